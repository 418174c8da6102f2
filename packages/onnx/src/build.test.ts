import * as ort from "onnxruntime-node";
import { expect, it } from "vitest";
import { ModelBuilder } from "./build.ts";

it("writes models that ONNX Runtime runs", async () => {
  const model = new ModelBuilder({ name: "affine", prefix: "p/" });
  const x = model.input("x", "float64", ["batch", 2]);
  const w = model.constant("w", "float64", [2, 3], Float64Array.of(1, 2, 3, 4, 5, 6));
  const product = model.node("MatMul", [x, w]);
  const sum = model.node("ReduceSum", [product, model.constant("axis", "int64", [1], BigInt64Array.of(1n))], {
    keepdims: 0n,
  });
  model.output(sum, "y", "float64", ["batch"]);
  const session = await ort.InferenceSession.create(model.encode());
  const { y } = await session.run({ x: new ort.Tensor("float64", Float64Array.of(1, 10, 2, 0), [2, 2]) });
  expect(y!.data).toEqual(Float64Array.of(156, 12));
});
