// Writes an untrained multi-layer perceptron with Relu between the layers, such as those of the examples iris and digits:
// node examples/build-perceptron.ts examples/iris/mlp.onnx 4 16 3
import fs from "node:fs";
import { ModelBuilder } from "@skynet/onnx";

const [file, ...sizes] = process.argv.slice(2);
const [features, ...outputs] = sizes.map(Number);
if (file === undefined || features === undefined || outputs.length === 0 || sizes.some((size) => !(Number(size) >= 1)))
  throw new Error("usage: node examples/build-perceptron.ts FILE.onnx FEATURES [HIDDEN ...] CLASSES");

// The stored weights are zeros, which compress to nothing: a job draws its initial weights from its seed.
const model = new ModelBuilder({ name: "perceptron" });
const zeros = (name: string, ...shape: number[]) =>
  model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
let value = model.input("x", "float32", ["batch", features]);
let inputs = features;
outputs.forEach((size, i) => {
  value = model.node("Gemm", [value, zeros(`layer${i}.weight`, inputs, size), zeros(`layer${i}.bias`, size)]);
  if (i + 1 < outputs.length) value = model.node("Relu", [value]);
  inputs = size;
});
model.output(value, "logits", "float32", ["batch", inputs]);
fs.writeFileSync(file, model.encode());
