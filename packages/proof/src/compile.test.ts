import fs from "node:fs";
import path from "node:path";
import { ModelBuilder, parseModel } from "@skynet/onnx";
import { decode, encode } from "@skynet/protocol";
import { describe, expect, it } from "vitest";
import { compileTraining, type TrainingSettings } from "./compile.ts";
import { CompileError } from "./errors.ts";
import { fuzzers } from "./fuzz.ts";
import { weightTensors } from "./program.ts";
import { perceptronProgram } from "./testing.ts";

const mlp = parseModel(fs.readFileSync(path.join(import.meta.dirname, "../../../examples/fashion-mnist/mlp.onnx")));
const usual: TrainingSettings = { batchSize: 128, learningRate: 1 / 2, workers: 4 };

function errorOf(action: () => unknown): CompileError {
  try {
    action();
  } catch (error) {
    if (error instanceof CompileError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** A model x [batch, 2] -> y [batch, 2] from a list of layers. */
function chain(build: (model: ModelBuilder, x: string, w: string, b: string) => string): () => unknown {
  const model = new ModelBuilder({ name: "chain" });
  const x = model.input("x", "float32", ["batch", 2]);
  const w = model.constant("w", "float32", [2, 2], new Float32Array(4));
  const b = model.constant("b", "float32", [2], new Float32Array(2));
  model.output(build(model, x, w, b), "y", "float32", ["batch", 2]);
  return () => compileTraining(parseModel(model.encode()), usual);
}

function firstScale(settings: Partial<TrainingSettings>): number {
  return compileTraining(mlp, { ...usual, ...settings }).layers[0]!.weightScale;
}

describe("scales", () => {
  it("of the example job: weights 24 and 22, shifts 26, 22 and 22", () => {
    const { layers, learningRateInteger } = compileTraining(mlp, usual);
    expect(layers.map(({ weightScale }) => weightScale)).toEqual([24, 22]);
    expect(layers.map(({ forward }) => forward.shift)).toEqual([26, 22]);
    expect(layers.map(({ backward }) => backward?.shift)).toEqual([undefined, 22]);
    expect(learningRateInteger).toBe(4);
  });

  it("are part of a program that is plain data", () => {
    const program = compileTraining(mlp, usual);
    expect(decode(encode(program))).toEqual(program);
  });

  it("grow with the batch, the number of workers and a smaller learning rate", () => {
    expect(firstScale({ batchSize: 256 })).toBe(25);
    expect(firstScale({ workers: 1 })).toBe(22);
    expect(firstScale({ learningRate: 1 / 8 })).toBe(26);
  });

  it("of a deeper network treat hidden layers alike", () => {
    const { layers } = perceptronProgram([20, 8, 7, 3], usual);
    expect(layers.map(({ weightScale }) => weightScale)).toEqual([24, 22, 22]);
    expect(layers.map(({ relu }) => relu)).toEqual([true, true, false]);
    expect(layers.map(({ inputLimit }) => inputLimit)).toEqual([128, 1023, 1023]);
    expect(layers.map(({ gradientLimit }) => gradientLimit)).toEqual([2048, 2048, 256]);
  });

  it("describe weight tensors with the bias as the last row", () => {
    expect(weightTensors(compileTraining(mlp, usual))).toEqual([
      { name: "gemm_1", shape: [785, 128], scale: 24 },
      { name: "gemm_3", shape: [129, 10], scale: 22 },
    ]);
  });
});

describe("models", () => {
  it("may use MatMul and Add, Flatten, transposed weights and Softmax", () => {
    const model = new ModelBuilder({ name: "variants" });
    let value = model.node("Flatten", [model.input("image", "float32", ["batch", 2, 3])]);
    value = model.node("MatMul", [value, model.constant("w1", "float32", [6, 5], new Float32Array(30))]);
    value = model.node("Add", [model.constant("b1", "float32", [1, 5], new Float32Array(5)), value]);
    value = model.node("Relu", [value]);
    const w2 = model.constant("w2", "float32", [4, 5], new Float32Array(20));
    const b2 = model.constant("b2", "float32", [4], new Float32Array(4));
    value = model.node("Softmax", [model.node("Gemm", [value, w2, b2], { transB: 1n })], { axis: -1n });
    model.output(value, "p", "float32", ["batch", 4]);
    const program = compileTraining(parseModel(model.encode()), usual);
    expect(program.layers.map(({ inputs, outputs }) => [inputs, outputs])).toEqual([
      [6, 5],
      [5, 4],
    ]);
    expect(program.softmaxOutput).toBe(true);
    expect(program.input.features).toBe(6);
  });

  it.each<[string, () => unknown, RegExp]>([
    ["no bias (Gemm)", chain((m, x, w) => m.node("Gemm", [x, w])), /Gemm "gemm_1" has no bias/],
    [
      "no bias (MatMul)",
      chain((m, x, w) => m.node("Relu", [m.node("MatMul", [x, w])])),
      /MatMul "matmul_1" has no bias/,
    ],
    ["Relu at the end", chain((m, x, w, b) => m.node("Relu", [m.node("Gemm", [x, w, b])])), /last layer/],
    ["no Relu between", chain((m, x, w, b) => m.node("Gemm", [m.node("Gemm", [x, w, b]), w, b])), /without Relu/],
    ["alpha", chain((m, x, w, b) => m.node("Gemm", [x, w, b], { alpha: 0.5 })), /"gemm_1" has alpha/],
    ["a sum of branches", chain((m, x, w, b) => m.node("Add", [m.node("Gemm", [x, w, b]), x])), /"add_2"/],
    ["no weights", chain((m, x) => m.node("Relu", [x])), /"relu_1" does not follow/],
  ])("are refused with %s", (_, compile, message) => {
    const error = errorOf(compile);
    expect(error.code).toBe("UnsupportedModel");
    expect(error.message).toMatch(message);
    expect(error.hint).toContain("Gemm");
  });
});

it("makes programs of random graphs or raises typed errors", async () => {
  const report = await fuzzers.compile({ count: 2000, seed: 1 });
  expect(report["programs"]).toBeGreaterThan(20);
  expect(report["UnsupportedModel"]).toBeGreaterThan(100);
});

describe("settings", () => {
  it.each<[Partial<TrainingSettings>, string, RegExp]>([
    [{ learningRate: 0.1 }, "BadSetting", /not a power of two/],
    [{ learningRate: 0 }, "BadSetting", /not a power of two/],
    [{ learningRate: Number.NaN }, "BadSetting", /not a power of two/],
    [{ workers: 3 }, "BadSetting", /number of workers 3/],
    [{ batchSize: 0 }, "BadSetting", /batch size 0/],
    [{ batchSize: 1.5 }, "BadSetting", /batch size 1.5/],
    [{ learningRate: 2 ** -12 }, "WidthsDoNotFit", /no room to grow/],
    [{ workers: 512, batchSize: 4096, learningRate: 16 }, "WidthsDoNotFit", /update may reach/],
    [{ scales: { activation: 12 }, widths: { activation: 11 } }, "WidthsDoNotFit", /bias/],
    [{ scales: { gradient: 0 } }, "BadSetting", /scale of the gradient/],
  ])("%o are refused", (settings, code, message) => {
    const error = errorOf(() => compileTraining(mlp, { ...usual, ...settings }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});
