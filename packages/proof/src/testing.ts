// Shared by the tests and the fuzzers of this package.
import { ModelBuilder, parseModel } from "@skynet/onnx";
import { compileTraining, type TrainingSettings } from "./compile.ts";
import type { IntegerProgram } from "./program.ts";
import type { Matrix, ReferenceSettings } from "./reference/step.ts";

/** Uniform integers from a seed (splitmix32). */
export function randomIntegers(seed: number): (lowest: number, highest: number) => number {
  let state = seed | 0;
  return (lowest, highest) => {
    state = (state + 0x9e3779b9) | 0;
    let t = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
    return lowest + Math.floor((((t ^ (t >>> 15)) >>> 0) / 2 ** 32) * (highest - lowest + 1));
  };
}

/** An untrained model features-hidden...-classes of Gemm and Relu. */
export function perceptron(sizes: readonly number[], metadata: Record<string, string> = {}): Uint8Array {
  const model = new ModelBuilder({ name: "perceptron", metadata });
  let value = model.input("x", "float32", ["batch", sizes[0]!]);
  for (let i = 1; i < sizes.length; i++) {
    const [inputs, outputs] = [sizes[i - 1]!, sizes[i]!];
    const w = model.constant(`w${i}`, "float32", [inputs, outputs], new Float32Array(inputs * outputs));
    const b = model.constant(`b${i}`, "float32", [outputs], new Float32Array(outputs));
    value = model.node("Gemm", [value, w, b]);
    if (i < sizes.length - 1) value = model.node("Relu", [value]);
  }
  model.output(value, "logits", "float32", ["batch", sizes.at(-1)!]);
  return model.encode();
}

export function perceptronProgram(sizes: readonly number[], settings: TrainingSettings): IntegerProgram {
  return compileTraining(parseModel(perceptron(sizes)), settings);
}

/** The settings of the reference for a program, taken from its sizes and choices only. */
export function referenceSettings(program: IntegerProgram): ReferenceSettings {
  return {
    sizes: [program.input.features, ...program.layers.map(({ outputs }) => outputs)],
    log2Ratio: Math.round(Math.log2(program.batchSize / program.learningRate)),
    log2Workers: Math.round(Math.log2(program.workers)),
    scales: program.scales,
    widths: program.widths,
  };
}

/** Row-major integers as a matrix of BigInt. */
export function toMatrix(data: ArrayLike<number>, columns: number): Matrix {
  return Array.from({ length: data.length / columns }, (_, row) =>
    Array.from({ length: columns }, (_, column) => BigInt(data[row * columns + column]!)),
  );
}
