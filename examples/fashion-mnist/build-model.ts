// Writes mlp.onnx, the model of the example job: 784-128-10 with Relu between the layers, for images of 28 x 28 bytes.
// To make it again: node examples/fashion-mnist/build-model.ts
import fs from "node:fs";
import path from "node:path";
import { ModelBuilder } from "@skynet/onnx";

const [FEATURES, HIDDEN, CLASSES] = [784, 128, 10];

/**
 * The untrained model. Its input is float32 [batch, 784], (byte - 73) / 256 for each pixel (73 is the mean of the
 * training images; the metadata say so); its output are logits [batch, 10]. The stored weights are zeros, which git and
 * networks compress to nothing: a job draws its initial weights from its seed.
 */
export function buildMlp(): Uint8Array {
  const model = new ModelBuilder({
    name: "fashion-mnist-mlp",
    metadata: {
      "skynet.input.offset": "73",
      "skynet.input.divisor": "256",
      "skynet.weights": "zeros; a job draws its initial weights from its seed",
    },
  });
  const zeros = (name: string, ...shape: number[]) =>
    model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const image = model.input("image", "float32", ["batch", FEATURES]);
  const first = model.node("Gemm", [image, zeros("hidden.weight", FEATURES, HIDDEN), zeros("hidden.bias", HIDDEN)]);
  const hidden = model.node("Relu", [first]);
  const last = model.node("Gemm", [hidden, zeros("output.weight", HIDDEN, CLASSES), zeros("output.bias", CLASSES)]);
  model.output(last, "logits", "float32", ["batch", CLASSES]);
  return model.encode();
}

if (import.meta.main) fs.writeFileSync(path.join(import.meta.dirname, "mlp.onnx"), buildMlp());
