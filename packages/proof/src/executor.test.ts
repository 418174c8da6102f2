import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { OverflowError } from "./errors.ts";
import { createExecutor } from "./executor.ts";
import { fuzzers } from "./fuzz.ts";
import { initialWeights } from "./initial-weights.ts";
import type { IntegerProgram } from "./program.ts";
import { referenceStep } from "./reference/step.ts";
import { perceptronProgram, randomIntegers, referenceSettings, toMatrix } from "./testing.ts";

const small = perceptronProgram([5, 6, 3], { batchSize: 4, learningRate: 1 / 2, workers: 4 });

async function loaded(program: IntegerProgram, byte = 1) {
  const executor = await createExecutor(program);
  executor.load(initialWeights(program, new Uint8Array(32).fill(byte)));
  return executor;
}

function samples(program: IntegerProgram, count: number, seed: number) {
  const random = randomIntegers(seed);
  const x = Int8Array.from({ length: count * program.input.features }, () => random(-18, 46));
  const y = Uint8Array.from({ length: count }, () => random(0, program.loss.classes - 1));
  return { x, y };
}

describe("the executor equals the BigInt reference", () => {
  it("on random shapes, settings and data, overflows included", async () => {
    const report = await fuzzers.executor({ count: 400, seed: 1 });
    expect(report["steps"]).toBeGreaterThan(500);
    expect(report["overflows"]).toBeGreaterThan(100);
  });

  it.each([{ sizes: [784, 24, 10] }, { sizes: [100, 33, 17, 12] }, { sizes: [1200, 10] }])(
    "after three steps of $sizes",
    async ({ sizes }) => {
      const program = perceptronProgram(sizes, { batchSize: 16, learningRate: 1 / 4, workers: 2 });
      const executor = await loaded(program);
      let expected = executor.weights().map((tensor, i) => toMatrix(tensor, program.layers[i]!.outputs));
      for (let step = 0; step < 3; step++) {
        const { x, y } = samples(program, 16, step);
        executor.step(x, y);
        expected = referenceStep(referenceSettings(program), expected, toMatrix(x, sizes[0]!), [...y]);
      }
      executor.weights().forEach((tensor, i) => {
        expect(tensor).toEqual(Int32Array.from(expected[i]!.flat().map(Number)));
      });
    },
  );
});

describe("a step", () => {
  it("gives the same weights in every executor, for 8-bit and 16-bit inputs, after other work", async () => {
    const program = perceptronProgram([30, 20, 10], { batchSize: 12, learningRate: 3 / 8, workers: 1 });
    const [a, b] = [await loaded(program), await loaded(program)];
    for (let i = 0; i < 5; i++) {
      const { x, y } = samples(program, 12, i);
      const other = samples(program, 100, 50 + i);
      a.evaluate(other.x, other.y, 100);
      expect(a.step(x, y)).toEqual(b.step(Int16Array.from(x), y));
    }
    expect(a.weights()).toEqual(b.weights());
  });

  it("does not see samples that were evaluated before", async () => {
    const program = perceptronProgram([1, 1, 2], { batchSize: 1, learningRate: 1, workers: 1 });
    const executor = await createExecutor(program);
    // Class 0 is certain. A sample of class 1 would have a gradient far outside its width.
    const weights = [Int32Array.of(0, 0), Int32Array.of(2 ** 24, -(2 ** 24), 2 ** 19, 0)];
    executor.load(weights);
    executor.evaluate(new Int8Array(64), new Uint8Array(64).fill(1), 64);
    executor.step(Int8Array.of(1), Uint8Array.of(0));
    expect(executor.weights()).toEqual(weights);
    expect(() => executor.step(Int8Array.of(1), Uint8Array.of(1))).toThrow("gradient of gemm_1");
  });

  it("changes every weight by a multiple of the number of workers and lowers the loss", async () => {
    const executor = await loaded(small);
    const before = executor.weights();
    const { x, y } = samples(small, 4, 1);
    const first = executor.step(x, y).loss;
    for (const [i, tensor] of executor.weights().entries())
      expect(tensor.every((w, j) => (w - before[i]![j]!) % 4 === 0)).toBe(true);
    for (let i = 0; i < 50; i++) executor.step(x, y);
    expect(executor.step(x, y).loss).toBeLessThan(first / 2);
  });

  it.each([
    ["outputs of gemm_1", 0, 5 * 6, 2 ** 30 - 1],
    ["outputs of gemm_3", 1, 6 * 3, 2 ** 30 - 1],
    ["weights of gemm_1", 0, 1, 2 ** 30 - 4],
  ])("that overflows (%s) leaves the weights as they were", async (tensor, layer, at, value) => {
    const executor = await createExecutor(small);
    const weights = small.layers.map(({ inputs, outputs }) => new Int32Array((inputs + 1) * outputs));
    // Class 0 wins by its bias, the label is 1: the weight from feature 0 to unit 1 must grow, and it is at the limit.
    weights[1]![18] = 2 ** 23;
    weights[1]![4] = 3000;
    weights[layer]![at] = value;
    executor.load(weights);
    const x = Int8Array.from({ length: 20 }, (_, i) => (i % 5 === 0 ? 1 : 0));
    const attempt = () => executor.step(x, Uint8Array.of(1, 1, 1, 1));
    expect(attempt).toThrow(OverflowError);
    expect(attempt).toThrow(tensor);
    expect(executor.weights()).toEqual(weights);
  });
});

describe("evaluation", () => {
  it("takes any number of samples, ties go to the lowest class", async () => {
    const executor = await createExecutor(small);
    executor.load(small.layers.map(({ inputs, outputs }) => new Int32Array((inputs + 1) * outputs)));
    for (const count of [1, 63, 64, 65, 200]) {
      const { x } = samples(small, count, count);
      const y = new Uint8Array(count);
      expect(executor.evaluate(x, y, count)).toEqual({ correct: count, loss: expect.closeTo(Math.log(3), 9) });
      expect(executor.logits(x, count)).toEqual(new Int32Array(3 * count));
    }
  });

  it("of many samples equals that of each alone", async () => {
    const executor = await loaded(small, 9);
    const { x } = samples(small, 130, 3);
    const each = Array.from({ length: 130 }, (_, i) => [...executor.logits(x.slice(5 * i, 5 * i + 5), 1)]);
    expect([...executor.logits(x, 130)]).toEqual(each.flat());
  });
});

describe("refusals", () => {
  it("of batches and weights that do not fit", async () => {
    const executor = await createExecutor(small);
    const { x, y } = samples(small, 4, 1);
    expect(() => executor.step(x, y)).toThrow(expect.objectContaining({ code: "NotLoaded" }));
    expect(() => executor.load([])).toThrow(expect.objectContaining({ code: "BadWeights" }));
    const weights = initialWeights(small, new Uint8Array(32));
    expect(() => executor.load([weights[0]!.with(3, 2 ** 30), weights[1]!])).toThrow(/gemm_1/);
    expect(() => executor.load([weights[1]!, weights[0]!])).toThrow(/6 x 6/);
    executor.load(weights);
    const refused = expect.objectContaining({ code: "BadBatch" });
    expect(() => executor.step(x.subarray(1), y)).toThrow(refused);
    expect(() => executor.step(x, y.subarray(1))).toThrow(refused);
    expect(() => executor.step(x, Uint8Array.of(0, 1, 2, 3))).toThrow(/label 3 of sample 3/);
    expect(() => executor.step(Int16Array.from(x).with(2, 128), y)).toThrow(/input 128/);
    expect(() => executor.evaluate(x, y, 0)).toThrow(refused);
  });

  it("of kernels that are not WebAssembly", async () => {
    const kernels = Uint8Array.of(1, 2, 3);
    await expect(createExecutor(small, { kernels })).rejects.toMatchObject({ code: "BadKernels" });
  });
});

it("runs on kernels that the caller passes, as a browser does", async () => {
  const bytes = fs.readFileSync(path.join(import.meta.dirname, "../build/kernels.wasm"));
  const kernels = await WebAssembly.compile(new Uint8Array(bytes));
  const executor = await createExecutor(small, { kernels });
  executor.load(initialWeights(small, new Uint8Array(32)));
  const { x, y } = samples(small, 4, 1);
  expect(executor.step(x, y).loss).toBeGreaterThan(0);
});
