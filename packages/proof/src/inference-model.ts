import { parseModel, readConstants, type Tensor } from "@skynet/onnx";
import { programOf } from "./architecture.ts";
import { findChain } from "./chain.ts";
import { compileTraining, type TrainingSettings } from "./compile.ts";
import { CompileError } from "./errors.ts";
import { checkWeights, defaultScales, defaultWidths, type IntegerProgram } from "./program.ts";

/** A model with its weights as integers, ready for inference. */
export interface InferenceModel {
  readonly program: IntegerProgram;
  readonly weights: readonly Int32Array[];
  /** Whether the weights are exactly those of the file, or rounded from floating point. */
  readonly exact: boolean;
}

/** Scales of a model that was trained elsewhere: 22 fraction bits of the weights round far below float32's noise. */
const ROUNDED: TrainingSettings = { batchSize: 256, learningRate: 1, workers: 1 };

/**
 * Reads a model for inference: one that SkyNet exported, with exactly its integers, or any supported floating-point
 * model, whose weights are rounded.
 * @throws OnnxError, CompileError, DataError `BadWeights` when a weight is too large to round
 */
export function readInferenceModel(bytes: Uint8Array): InferenceModel {
  const { initializers, metadata } = readConstants(bytes);
  if (metadata.has("skynet.training")) return readExported(initializers, metadata);
  const graph = parseModel(bytes);
  const program = compileTraining(graph, ROUNDED);
  const weights = findChain(graph).layers.map(({ kernel, transposed, bias, inputs, outputs }, i) => {
    const scale = 2 ** program.layers[i]!.weightScale;
    const tensor = new Int32Array((inputs + 1) * outputs);
    const put = (at: number, value: number | bigint) => {
      const rounded = Math.round(Number(value) * scale);
      if (!(Math.abs(rounded) < 2 ** 30))
        throw new CompileError("UnsupportedModel", `a weight of "${program.layers[i]!.name}" is ${value}: too large`, {
          hint: "Weights of up to 256 in magnitude can be used.",
        });
      tensor[at] = rounded;
    };
    for (let row = 0; row < inputs; row++)
      for (let column = 0; column < outputs; column++)
        put(row * outputs + column, kernel.data[transposed ? column * inputs + row : row * outputs + column]!);
    for (let column = 0; column < outputs; column++) put(inputs * outputs + column, bias.data[column]!);
    return tensor;
  });
  return { program, weights, exact: false };
}

function refuse(message: string): never {
  throw new CompileError("UnsupportedModel", `the exported model is damaged: ${message}`, {
    hint: "Fetch it again from the job that trained it.",
  });
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return refuse("its metadata are not JSON");
  }
}

/** Rebuilds the architecture from shapes and metadata; the compiler checks everything as for a new model. */
function readExported(
  initializers: ReadonlyMap<string, Tensor>,
  metadata: ReadonlyMap<string, string>,
): InferenceModel {
  const settings = parseJson(metadata.get("skynet.training")) as TrainingSettings & { softmaxOutput?: boolean };
  const names = parseJson(metadata.get("skynet.layers"));
  if (!Array.isArray(names) || names.length === 0 || typeof settings !== "object" || settings === null)
    return refuse("its metadata name no layers");
  const tensors = names.map((name) => {
    const kernel = initializers.get(`skynet/${name}/weights`);
    const bias = initializers.get(`skynet/${name}/bias`);
    if (!(kernel?.data instanceof Int32Array) || !(bias?.data instanceof Int32Array) || kernel.shape.length !== 2)
      return refuse(`the layer "${String(name)}" has no integer weights`);
    return { name: String(name), kernel, bias, data: Int32Array.from([...kernel.data, ...bias.data]) };
  });
  const [offset, divisor] = [metadata.get("skynet.input.offset"), metadata.get("skynet.input.divisor")];
  const program = programOf({
    ...settings,
    sizes: [tensors[0]!.kernel.shape[0]!, ...tensors.map(({ kernel }) => kernel.shape[1]!)],
    scales: { ...defaultScales, ...settings.scales },
    widths: { ...defaultWidths, ...settings.widths },
    normalisation:
      offset === undefined && divisor === undefined ? null : { offset: Number(offset), divisor: Number(divisor) },
    softmaxOutput: settings.softmaxOutput === true,
  });
  const weights = tensors.map(({ data }) => data);
  checkWeights(program, weights);
  return { program, weights, exact: true };
}
