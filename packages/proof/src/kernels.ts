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

/** The two modules that `packages/proof/build.ts` makes. */
export type KernelFile = "kernels.wasm" | "proof.wasm";

const compiled = new Map<KernelFile, Promise<WebAssembly.Module>>();

/** Node reads the file that `npm run setup` built; elsewhere the caller passes the kernels. */
async function builtKernels(name: KernelFile): Promise<WebAssembly.Module> {
  const fs = globalThis.process?.getBuiltinModule?.("node:fs");
  if (fs === undefined)
    throw new DataError("BadKernels", "outside Node the WebAssembly kernels must be passed", {
      hint: `Fetch packages/proof/build/${name} and pass it as { kernels }.`,
    });
  const file = new URL(`../build/${name}`, import.meta.url);
  if (!fs.existsSync(file))
    throw new DataError("BadKernels", "the WebAssembly kernels are not built", { hint: "Run: npm run setup" });
  return WebAssembly.compile(new Uint8Array(fs.readFileSync(file)));
}

/**
 * Compiles kernels; those that set-up built only once.
 * @throws DataError `BadKernels`
 */
export async function compileKernels(name: KernelFile, source?: KernelSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  try {
    if (source !== undefined) return await WebAssembly.compile(source);
    let module = compiled.get(name);
    if (module === undefined) {
      module = builtKernels(name);
      compiled.set(name, module);
      module.catch(() => compiled.delete(name));
    }
    return await module;
  } catch (cause) {
    throw badKernels(cause);
  }
}

function badKernels(cause: unknown): DataError {
  if (cause instanceof DataError) return cause;
  return new DataError("BadKernels", "the WebAssembly kernels do not load", {
    hint: "They need WebAssembly SIMD; run npm run setup to build them again.",
    cause,
  });
}

/**
 * Instantiates compiled kernels on a memory; the caller names the interface of the module.
 * @throws DataError `BadKernels`
 */
export async function instantiateKernels<Exports>(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<Exports> {
  try {
    return (await WebAssembly.instantiate(module, { env: { memory } })).exports as Exports;
  } catch (cause) {
    throw badKernels(cause);
  }
}

/**
 * Instantiates the executor's kernels on a memory.
 * @throws DataError `BadKernels`
 */
export async function loadKernels(source: KernelSource | undefined, memory: WebAssembly.Memory): Promise<Kernels> {
  return instantiateKernels(await compileKernels("kernels.wasm", source), memory);
}
