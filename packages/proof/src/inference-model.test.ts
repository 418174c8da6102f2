import { ModelBuilder, parseModel } from "@skynet/onnx";
import * as ort from "onnxruntime-node";
import { expect, it } from "vitest";
import { architectureOf, programOf } from "./architecture.ts";
import { createExecutor } from "./executor.ts";
import { exportModel } from "./export.ts";
import { readInferenceModel } from "./inference-model.ts";
import { initialWeights } from "./initial-weights.ts";
import { perceptronProgram, randomIntegers } from "./testing.ts";

const program = perceptronProgram([7, 5, 3], { batchSize: 8, learningRate: 1 / 4, workers: 2 });
const weights = initialWeights(program, new Uint8Array(32).fill(9));

it("reads an exported model back with exactly its integers", async () => {
  const model = readInferenceModel(exportModel(program, weights));
  expect(model.exact).toBe(true);
  expect(model.weights).toEqual(weights);
  const [own, other] = [await createExecutor(program), await createExecutor(model.program)];
  own.load(weights);
  other.load(model.weights);
  const x = Int8Array.from({ length: 70 }, (_, i) => ((i * 37) % 65) - 18);
  expect(other.logits(x, 10)).toEqual(own.logits(x, 10));
});

it("refuses exported models with damaged metadata or weights", () => {
  const bytes = exportModel(program, weights);
  const text = Buffer.from(bytes).toString("latin1");
  const damaged = (from: string, to: string) => Buffer.from(text.replace(from, to), "latin1");
  expect(() => readInferenceModel(damaged('"batchSize":8', '"batchSize":x'))).toThrow("metadata are not JSON");
  expect(() => readInferenceModel(damaged('["gemm_1"', '["gemm_9"'))).toThrow("has no integer weights");
  expect(() => readInferenceModel(damaged('"workers":2', '"workers":3'))).toThrow("power of two");
});

it("rounds the weights of floating-point models far below their noise, transposed kernels included", async () => {
  const random = randomIntegers(4);
  const floats = (count: number) => Float32Array.from({ length: count }, () => random(-1000, 1000) / 1500);
  const model = new ModelBuilder({ name: "float" });
  const x = model.input("x", "float32", ["batch", 6]);
  const w1 = model.constant("w1", "float32", [4, 6], floats(24));
  const hidden = model.node("Relu", [
    model.node("Gemm", [x, w1, model.constant("b1", "float32", [4], floats(4))], { transB: 1n }),
  ]);
  const w2 = model.constant("w2", "float32", [4, 3], floats(12));
  const z = model.node("Add", [model.node("MatMul", [hidden, w2]), model.constant("b2", "float32", [3], floats(3))]);
  model.output(z, "logits", "float32", ["batch", 3]);
  const bytes = model.encode();
  parseModel(bytes);
  const inference = readInferenceModel(bytes);
  expect(inference.exact).toBe(false);
  const executor = await createExecutor(inference.program);
  executor.load(inference.weights);
  const input = Int8Array.from({ length: 30 }, () => random(-64, 64));
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const expected = (
    await session.run({
      x: new ort.Tensor(
        "float32",
        Float32Array.from(input, (v) => v / 64),
        [5, 6],
      ),
    })
  )["logits"]!.data as Float32Array;
  executor.logits(input, 5).forEach((value, i) => expect(Math.abs(value / 16 - expected[i]!)).toBeLessThan(0.25));
});

it("describes a model without its weights: the same circuit follows from the description", () => {
  const model = readInferenceModel(exportModel(program, weights));
  const architecture = architectureOf(model.program);
  const rebuilt = programOf(JSON.parse(JSON.stringify(architecture)) as typeof architecture);
  expect(rebuilt).toEqual(model.program);
  expect(() => programOf({ ...architecture, workers: 3 })).toThrow("power of two");
});
