import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { parseModel } from "@skynet/onnx";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { compileTraining } from "./compile.ts";
import { createExecutor, type Executor } from "./executor.ts";
import { exportModel } from "./export.ts";
import { initialWeights } from "./initial-weights.ts";
import { type IntegerProgram, quantiseBytes } from "./program.ts";
import { perceptronProgram, randomIntegers } from "./testing.ts";

const example = path.join(import.meta.dirname, "../../../examples/fashion-mnist");

/** Items of an IDX file: a header of 16 (images) or 8 (labels) bytes, then bytes. */
function readIdx(name: string): Uint8Array {
  const bytes = zlib.gunzipSync(fs.readFileSync(path.join(example, name)));
  return new Uint8Array(bytes.subarray(bytes[3] === 3 ? 16 : 8));
}

async function runtimeLogits(program: IntegerProgram, weights: Int32Array[], x: Float32Array): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(exportModel(program, weights), { intraOpNumThreads: 1 });
  const { features, name } = program.input;
  const outputs = await session.run({ [name]: new ort.Tensor("float32", x, [x.length / features, features]) });
  return outputs[program.outputName]!.data as Float32Array;
}

const asFloat = (logits: Int32Array, program: IntegerProgram) =>
  Float32Array.from(logits).map((z) => z / 2 ** program.loss.logitScale);

describe("the exported model in ONNX Runtime", () => {
  it.each([{ sizes: [7, 3] }, { sizes: [9, 5, 4] }, { sizes: [33, 20, 11, 6] }])(
    "gives the executor's logits for random $sizes",
    async ({ sizes }) => {
      const program = perceptronProgram(sizes, { batchSize: 8, learningRate: 1 / 4, workers: 2 });
      const random = randomIntegers(sizes[0]!);
      const weights = initialWeights(program, new Uint8Array(32).fill(sizes.length));
      for (const tensor of weights) tensor.forEach((w, i) => (tensor[i] = w + random(-50_000, 50_000)));
      const executor = await createExecutor(program);
      executor.load(weights);
      const x = Int8Array.from({ length: 50 * sizes[0]! }, () => random(-128, 127));
      const floats = Float32Array.from(x).map((value) => value / 2 ** program.scales.input);
      expect(await runtimeLogits(program, weights, floats)).toEqual(asFloat(executor.logits(x, 50), program));
    },
  );
});

it("ends with probabilities where the model ends with Softmax", async () => {
  const plain = perceptronProgram([4, 3], { batchSize: 2, learningRate: 1 / 4, workers: 1 });
  const weights = initialWeights(plain, new Uint8Array(32).fill(2));
  const x = Float32Array.of(1, -0.5, 0.25, 0);
  const logits = await runtimeLogits(plain, weights, x);
  const probabilities = await runtimeLogits({ ...plain, softmaxOutput: true }, weights, x);
  const sum = logits.reduce((total, z) => total + Math.exp(z), 0);
  logits.forEach((z, c) => expect(probabilities[c]).toBeCloseTo(Math.exp(z) / sum, 5));
});

describe("Fashion-MNIST", () => {
  const program = compileTraining(parseModel(fs.readFileSync(path.join(example, "mlp.onnx"))), {
    batchSize: 128,
    learningRate: 1 / 2,
    workers: 1,
  });
  const testLabels = readIdx("t10k-labels-idx1-ubyte.gz");
  const testBytes = readIdx("t10k-images-idx3-ubyte.gz");

  async function trained(steps: number): Promise<Executor> {
    const x = quantiseBytes(program, readIdx("train-images-idx3-ubyte.gz"));
    const y = readIdx("train-labels-idx1-ubyte.gz");
    const executor = await createExecutor(program);
    executor.load(initialWeights(program, new Uint8Array(32).fill(1)));
    for (let step = 0; step < steps; step++) {
      const [from, to] = [128 * step, 128 * (step + 1)];
      executor.step(x.subarray(784 * from, 784 * to), y.subarray(from, to));
    }
    return executor;
  }

  it("is learnt, and ONNX Runtime scores the exported model the same, bit by bit", async () => {
    const executor = await trained(300);
    const x = quantiseBytes(program, testBytes);
    const { correct, loss } = executor.evaluate(x, testLabels, 10_000);
    expect(correct).toBeGreaterThan(8100);
    expect(loss).toBeLessThan(0.6);

    const pixels = Float32Array.from(testBytes).map((byte) => (byte - 73) / 256);
    const logits = await runtimeLogits(program, executor.weights(), pixels);
    expect(
      Buffer.compare(Buffer.from(logits.buffer), Buffer.from(asFloat(executor.logits(x, 10_000), program).buffer)),
    ).toBe(0);
    let agreed = 0;
    testLabels.forEach((label, i) => {
      const row = logits.subarray(10 * i, 10 * i + 10);
      if (row.indexOf(Math.max(...row)) === label) agreed++;
    });
    expect(agreed).toBe(correct);
  });

  it("centres and rounds the pixels as the model's metadata say", () => {
    expect([...quantiseBytes(program, Uint8Array.of(0, 71, 73, 75, 255))]).toEqual([-18, 0, 0, 1, 46]);
    const plain = perceptronProgram([3, 2], { batchSize: 1, learningRate: 1, workers: 1 });
    expect(() => quantiseBytes(plain, Uint8Array.of(1))).toThrow(/does not say/);
  });
});
