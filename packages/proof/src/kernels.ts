import { DataError } from "./errors.ts";

/** The functions of `kernels/`; pointers are byte offsets. */
export interface Kernels {
  widen(source: number, x: number, batch: number, rows: number, features: number, k: number, one: number): void;
  packColumns(w: number, p: number, k: number, n: number): void;
  packRows(w: number, p: number, rows: number, n: number): void;
  product(x: number, p: number, z: number, b: number, k: number, n: number, chunk: number): void;
  pairRows(x: number, p: number, b: number, k: number): void;
  update(x: number, g: number, w: number, b: number, k: number, n: number, rate: number): number;
  relu(
    z: number,
    q: number,
    a: number,
    batch: number,
    rows: number,
    n: number,
    k: number,
    width: number,
    one: number,
    shift: number,
    bits: number,
  ): number;
  reluGradient(d: number, q: number, g: number, rows: number, n: number, shift: number, bits: number): number;
  logits(z: number, l: number, b: number, n: number, classes: number, shift: number, bits: number): number;
  softmax(
    l: number,
    y: number,
    e: number,
    entries: number,
    g: number,
    t: number,
    b: number,
    n: number,
    classes: number,
    q: number,
  ): void;
}

/** The compiled kernels: bytes, or a module that was compiled before (a browser fetches and compiles it once). */
export type KernelSource = Uint8Array<ArrayBuffer> | ArrayBuffer | WebAssembly.Module;

let compiled: Promise<WebAssembly.Module> | undefined;

/** Node reads the file that `npm run setup` built; elsewhere the caller passes the kernels. */
async function builtKernels(): Promise<WebAssembly.Module> {
  const fs = globalThis.process?.getBuiltinModule?.("node:fs");
  if (fs === undefined)
    throw new DataError("BadKernels", "outside Node the kernels must be passed to createExecutor", {
      hint: "Fetch packages/proof/build/kernels.wasm and pass it as { kernels }.",
    });
  const file = new URL("../build/kernels.wasm", import.meta.url);
  if (!fs.existsSync(file))
    throw new DataError("BadKernels", "the WebAssembly kernels are not built", { hint: "Run: npm run setup" });
  return WebAssembly.compile(new Uint8Array(fs.readFileSync(file)));
}

async function compile(source: KernelSource | undefined): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source !== undefined) return WebAssembly.compile(source);
  compiled ??= builtKernels();
  compiled.catch(() => {
    compiled = undefined;
  });
  return compiled;
}

/**
 * Instantiates the kernels on a memory.
 * @throws DataError `BadKernels`
 */
export async function loadKernels(source: KernelSource | undefined, memory: WebAssembly.Memory): Promise<Kernels> {
  try {
    const { exports } = await WebAssembly.instantiate(await compile(source), { env: { memory } });
    return exports as unknown as Kernels;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError("BadKernels", "the WebAssembly kernels do not load", {
      hint: "They need WebAssembly SIMD; run npm run setup to build them again.",
      cause,
    });
  }
}
