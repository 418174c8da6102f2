import { ModelBuilder } from "@skynet/onnx";
import { checkWeights, type IntegerProgram, type Requantisation } from "./program.ts";

/**
 * The trained model as ONNX of standard operators: float32 input [batch, features], normalised as in the training
 * model, to float32 logits [batch, classes] (or probabilities where the model ends with Softmax). Inside it computes
 * exactly the integer inference in float64 (all sums stay below 2^53), so logits equal the executor's, divided by
 * 2^logitScale. Weights are stored as int32.
 * @param metadata for the file, beside what says how it was trained
 * @throws DataError `BadWeights`
 */
export function exportModel(
  program: IntegerProgram,
  weights: readonly Int32Array[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  checkWeights(program, weights);
  const { input, layers, loss, scales } = program;
  const model = new ModelBuilder({
    name: "skynet-trained",
    prefix: "skynet/",
    metadata: { ...metadata, ...metadataOf(program) },
  });
  const half = model.constant("half", "float64", [], Float64Array.of(0.5));
  const multiply = (value: string, name: string, factor: number): string =>
    model.node("Mul", [value, model.constant(name, "float64", [], Float64Array.of(factor))]);
  const round = (value: string): string => model.node("Floor", [model.node("Add", [value, half])]);
  const requantise = (value: string, name: string, { shift }: Requantisation): string =>
    round(multiply(value, `${name}/unit`, 2 ** -shift));

  const x = model.input(input.name, "float32", ["batch", input.features]);
  let value = round(multiply(model.node("Cast", [x], { to: 11n }), "input/scale", 2 ** scales.input));
  layers.forEach(({ name, inputs, outputs, relu, inputScale, forward }, i) => {
    const split = inputs * outputs;
    const kernel = model.constant(`${name}/weights`, "int32", [inputs, outputs], weights[i]!.subarray(0, split));
    const bias = model.constant(`${name}/bias`, "int32", [outputs], weights[i]!.subarray(split));
    const product = model.node("MatMul", [value, model.node("Cast", [kernel], { to: 11n })]);
    const shift = multiply(model.node("Cast", [bias], { to: 11n }), `${name}/one`, 2 ** inputScale);
    value = requantise(model.node("Add", [product, shift]), name, forward);
    if (relu) value = model.node("Relu", [value]);
  });
  value = multiply(value, "logits/unit", 2 ** -loss.logitScale);
  value = model.node("Cast", [value], { to: 1n });
  if (program.softmaxOutput) value = model.node("Softmax", [value], { axis: -1n });
  model.output(value, program.outputName, "float32", ["batch", loss.classes]);
  return model.encode();
}

function metadataOf(program: IntegerProgram): Record<string, string> {
  const { input, loss, layers } = program;
  const { normalisation } = input;
  const { batchSize, learningRate, workers, scales, widths, softmaxOutput } = program;
  return {
    ...(normalisation && {
      "skynet.input.offset": String(normalisation.offset),
      "skynet.input.divisor": String(normalisation.divisor),
    }),
    "skynet.logits.scale": String(loss.logitScale),
    // what `readInferenceModel` needs to find the same integers again
    "skynet.training": JSON.stringify({ batchSize, learningRate, workers, scales, widths, softmaxOutput }),
    "skynet.layers": JSON.stringify(layers.map(({ name }) => name)),
    "skynet.weights.scales": layers.map(({ weightScale }) => weightScale).join(","),
  };
}
