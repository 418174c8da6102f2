import { ModelBuilder, parseModel } from "@skynet/onnx";
import type { Architecture } from "@skynet/protocol";
import { compileTraining } from "./compile.ts";
import type { IntegerProgram } from "./program.ts";

/** What a program consists of besides names, fit to be published: `programOf` gives the same integers back. */
export function architectureOf({
  batchSize,
  learningRate,
  workers,
  scales,
  widths,
  input: { features, normalisation },
  layers,
  softmaxOutput,
}: IntegerProgram): Architecture {
  const sizes = [features, ...layers.map(({ outputs }) => outputs)];
  const { offset, divisor } = normalisation ?? {};
  return {
    sizes,
    batchSize,
    learningRate,
    workers,
    scales: { ...scales },
    widths: { ...widths },
    normalisation: offset === undefined || divisor === undefined ? null : { offset, divisor },
    softmaxOutput,
  };
}

/**
 * The program of an architecture: the same for everybody, so that all generate the same circuit. The compiler checks
 * everything as for a new model.
 * @throws CompileError
 */
export function programOf(architecture: Architecture): IntegerProgram {
  const { sizes, batchSize, learningRate, workers, scales, widths, normalisation, softmaxOutput } = architecture;
  const metadata = normalisation && {
    "skynet.input.offset": String(normalisation.offset),
    "skynet.input.divisor": String(normalisation.divisor),
  };
  const model = new ModelBuilder({ name: "architecture", metadata: metadata ?? {} });
  let value = model.input("x", "float32", ["batch", sizes[0]!]);
  sizes.slice(1).forEach((outputs, i) => {
    const inputs = sizes[i]!;
    const w = model.constant(`layer${i}/w`, "float32", [inputs, outputs], new Float32Array(inputs * outputs));
    const b = model.constant(`layer${i}/b`, "float32", [outputs], new Float32Array(outputs));
    value = model.node("Gemm", [value, w, b]);
    if (i + 2 < sizes.length) value = model.node("Relu", [value]);
  });
  if (softmaxOutput) value = model.node("Softmax", [value], { axis: -1n });
  model.output(value, "logits", "float32", ["batch", sizes.at(-1)!]);
  return compileTraining(parseModel(model.encode()), { batchSize, learningRate, workers, scales, widths });
}
