import { ModelBuilder } from "./build.ts";
import { OnnxError } from "./errors.ts";
import { parseModel } from "./parse.ts";

interface FuzzOptions {
  count: number;
  seed: number;
  onProgress?: (done: number) => void;
}

/** Uniform integers below `bound` from a seed (splitmix32). */
function randomBelow(seed: number): (bound: number) => number {
  let state = seed | 0;
  return (bound) => {
    state = (state + 0x9e3779b9) | 0;
    let t = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
    return Math.floor((((t ^ (t >>> 15)) >>> 0) / 2 ** 32) * bound);
  };
}

function weights(model: ModelBuilder, name: string, ...shape: number[]): string {
  return model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
}

/** Small models that together use every supported operator. */
function corpus(): Uint8Array[] {
  const gemm = new ModelBuilder({ name: "gemm", metadata: { key: "value" } });
  let value = gemm.node("Flatten", [gemm.input("x", "float32", ["batch", 2, 3])], { axis: 1n });
  value = gemm.node("Relu", [gemm.node("Gemm", [value, weights(gemm, "w1", 6, 4), weights(gemm, "b1", 4)])]);
  value = gemm.node("Gemm", [value, weights(gemm, "w2", 3, 4), weights(gemm, "b2", 3)], { transB: 1n, alpha: 1 });
  gemm.output(value, "y", "float32", ["batch", 3]);

  const matmul = new ModelBuilder({ name: "matmul" });
  const shape = matmul.constant("shape", "int64", [2], BigInt64Array.of(0n, -1n));
  value = matmul.node("Reshape", [matmul.input("x", "float32", ["batch", 2, 2]), shape]);
  value = matmul.node("Add", [matmul.node("MatMul", [value, weights(matmul, "w", 4, 2)]), weights(matmul, "b", 2)]);
  matmul.output(matmul.node("Softmax", [value], { axis: -1n }), "y", "float32", ["batch", 2]);
  return [gemm.encode(), matmul.encode()];
}

function mutate(models: readonly Uint8Array[], below: (bound: number) => number): Uint8Array {
  let bytes: number[] = [...models[below(models.length)]!];
  for (let edits = 1 + below(4); edits > 0; edits--) {
    const at = below(bytes.length + 1);
    const length = below(1 + below(40));
    switch (below(7)) {
      case 0:
        bytes[Math.min(at, bytes.length - 1)] = below(256);
        break;
      case 1:
        bytes[Math.min(at, bytes.length - 1)]! ^= 1 << below(8);
        break;
      case 2:
        bytes.splice(at, length);
        break;
      case 3:
        bytes.splice(at, 0, ...Array.from({ length }, () => below(256)));
        break;
      case 4:
        bytes.splice(at, 0, ...bytes.slice(at, at + length));
        break;
      case 5:
        bytes = [...bytes.slice(0, at), ...models[below(models.length)]!.slice(below(400))];
        break;
      default:
        if (below(8) === 0) bytes = bytes.slice(0, at);
    }
    if (bytes.length === 0) break;
  }
  return Uint8Array.from(bytes);
}

/** Damaged models: `parseModel` either reads them or raises `OnnxError`, nothing else, and quickly. */
async function fuzzParse({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const models = corpus();
  const report: Record<string, number> = { read: 0, slowestMs: 0 };
  for (let i = 0; i < count; i++) {
    const bytes = mutate(models, randomBelow(seed * 1_000_003 + i));
    const startedMs = performance.now();
    try {
      parseModel(bytes);
      report["read"]!++;
    } catch (cause) {
      if (!(cause instanceof OnnxError))
        throw new Error(`case ${i} of seed ${seed}: not a typed error: ${String(cause)}`, { cause });
      report[cause.code] = (report[cause.code] ?? 0) + 1;
    }
    const elapsedMs = performance.now() - startedMs;
    if (elapsedMs > 2000) throw new Error(`case ${i} of seed ${seed}: took ${elapsedMs.toFixed(0)} ms`);
    report["slowestMs"] = Math.max(report["slowestMs"]!, Math.round(elapsedMs));
    onProgress?.(i + 1);
  }
  return report;
}

/** Run by `npm run fuzz -- onnx-parse`. */
export const fuzzers = { "onnx-parse": fuzzParse };
