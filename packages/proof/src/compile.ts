import type { Graph } from "@skynet/onnx";
import { findChain } from "./chain.ts";
import { CompileError } from "./errors.ts";
import { exponentialTable } from "./exponentials.ts";
import { initialLimit } from "./initial-weights.ts";
import { spillLength } from "./intervals.ts";
import {
  type DenseLayer,
  defaultScales,
  defaultWidths,
  type InputNormalisation,
  type IntegerProgram,
  type Requantisation,
  type Scales,
  WEIGHT_BITS,
  type Widths,
} from "./program.ts";

export interface TrainingSettings {
  /** Samples per step. `batchSize / learningRate` must be a power of two. */
  readonly batchSize: number;
  readonly learningRate: number;
  /** Nominal number of workers N, a power of two. */
  readonly workers: number;
  readonly scales?: Partial<Scales>;
  readonly widths?: Partial<Widths>;
}

const MAX_BATCH = 4096;
const MAX_WORKERS = 1024;
const MAX_CLASSES = 256;
const MAX_WEIGHTS = 2 ** 27;

/**
 * The integer program of one step of plain SGD on softmax cross-entropy for a chain of fully connected layers.
 *
 * The update needs no rounding: a weight has log2(B / lr) + log2(N) + (fraction bits of its input) + (fraction bits of
 * its gradient) fraction bits, so that W' = W - N dW exactly; every delta is then a multiple of N, and the average over
 * N workers is exact too. Only activations, gradients and probabilities are rounded.
 * @throws CompileError
 * @example const program = compileTraining(graph, { batchSize: 128, learningRate: 1 / 2, workers: 4 });
 */
export function compileTraining(graph: Graph, settings: TrainingSettings): IntegerProgram {
  const { batchSize, learningRate, workers } = settings;
  const scales = { ...defaultScales, ...settings.scales };
  const widths = { ...defaultWidths, ...settings.widths };
  const updateBits = checkSettings(settings, scales, widths);
  const chain = findChain(graph);
  const normalisation = readNormalisation(graph, scales.input, widths.input);
  const last = chain.layers.length - 1;
  const layers = chain.layers.map(({ name, inputs, outputs }, i): DenseLayer => {
    const first = i === 0;
    const relu = i < last;
    const inputScale = first ? scales.input : scales.activation;
    const gradientScale = relu ? scales.gradient : scales.probability;
    const weightScale = updateBits + inputScale + gradientScale;
    const outputScale = relu ? scales.activation : scales.logit;
    return {
      kind: "dense",
      name,
      inputs,
      outputs,
      relu,
      inputScale,
      weightScale,
      outputScale,
      gradientScale,
      inputLimit: first ? 2 ** widths.input : 2 ** widths.activation - 1,
      gradientLimit: relu ? 2 ** widths.gradient : 2 ** scales.probability,
      forward: requantise(inputScale + weightScale, outputScale, relu ? widths.activation : widths.logit, name),
      backward: first ? null : requantise(gradientScale + weightScale, scales.gradient, widths.gradient, name),
    };
  });
  for (const layer of layers) checkLayer(layer, batchSize, workers);
  const classes = layers[last]!.outputs;
  if (classes < 2 || classes > MAX_CLASSES)
    throw new CompileError("UnsupportedModel", `the model tells ${classes} classes apart; 2 to ${MAX_CLASSES} work`);
  if (layers.reduce((sum, { inputs, outputs }) => sum + (inputs + 1) * outputs, 0) > MAX_WEIGHTS)
    throw new CompileError("UnsupportedModel", `the model has more than ${MAX_WEIGHTS} weights`);
  return {
    batchSize,
    learningRate,
    workers,
    learningRateInteger: workers,
    scales,
    widths,
    input: { name: chain.input.name, features: chain.features, normalisation },
    outputName: chain.output.name,
    softmaxOutput: chain.softmax,
    layers,
    loss: {
      classes,
      logitScale: scales.logit,
      exponentialScale: scales.exponential,
      probabilityScale: scales.probability,
      exponentials: exponentialTable(scales.exponential, scales.logit),
    },
  };
}

/** The only place where a division by a power of two is written: remainder and quotient are both bounded. */
function requantise(fromScale: number, toScale: number, bits: number, name: string): Requantisation {
  const shift = fromScale - toScale;
  if (shift < 1 || shift > 47)
    throw new CompileError("WidthsDoNotFit", `"${name}": ${fromScale} fraction bits cannot be cut to ${toScale}`, {
      hint: "Use scales nearer to the recommended ones.",
    });
  return { shift, bits };
}

/** log2 of a positive power of two, else undefined. */
function exactLog2(value: number): number | undefined {
  if (!(value > 0) || !Number.isFinite(value)) return undefined;
  let exponent = 0;
  for (; value > 1; value /= 2) exponent++;
  for (; value < 1; value *= 2) exponent--;
  return value === 1 ? exponent : undefined;
}

/** Checks the settings; returns log2(batchSize / learningRate) + log2(workers). */
function checkSettings({ batchSize, learningRate, workers }: TrainingSettings, scales: Scales, widths: Widths): number {
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > MAX_BATCH)
    throw new CompileError("BadSetting", `the batch size ${batchSize} is not an integer from 1 to ${MAX_BATCH}`);
  const log2Workers = Number.isInteger(workers) && workers <= MAX_WORKERS ? exactLog2(workers) : undefined;
  if (log2Workers === undefined)
    throw new CompileError(
      "BadSetting",
      `the number of workers ${workers} is not a power of two up to ${MAX_WORKERS}`,
      {
        hint: "The average over workers is exact only for 1, 2, 4, 8, ... workers.",
      },
    );
  const ratio = exactLog2(batchSize / learningRate);
  if (ratio === undefined || ratio < -10 || ratio > 30) {
    const near = batchSize / 2 ** Math.max(0, Math.min(30, Math.round(Math.log2(batchSize / learningRate)) || 8));
    throw new CompileError(
      "BadSetting",
      `batch size ${batchSize} divided by learning rate ${learningRate} is not a power of two`,
      { hint: `The update is exact only then. Nearest learning rate: ${near}.` },
    );
  }
  for (const [name, value] of Object.entries({ ...scales }))
    if (!Number.isInteger(value) || value < 1 || value > 12)
      throw new CompileError("BadSetting", `the scale of the ${name} is ${value}, not an integer from 1 to 12`);
  for (const [name, value] of Object.entries({ ...widths }))
    if (!Number.isInteger(value) || value < 1 || value > (name === "logit" ? 24 : 14))
      throw new CompileError("BadSetting", `the width of the ${name} is ${value}, out of range`);
  if (scales.input > widths.input || scales.activation >= widths.activation)
    throw new CompileError(
      "WidthsDoNotFit",
      "the constant one of the bias does not fit the width of its layer's input",
    );
  return ratio + log2Workers;
}

/** Interval analysis of one layer: every intermediate sum fits its register for all values within the widths. */
function checkLayer(layer: DenseLayer, batchSize: number, rate: number): void {
  const { name, inputs, outputs, weightScale, inputLimit, gradientLimit } = layer;
  const hint = "Use fewer fraction bits, a larger learning rate, fewer workers or a smaller batch.";
  const refuse = (what: string): never => {
    throw new CompileError("WidthsDoNotFit", `"${name}": ${what}`, { hint });
  };
  if (initialLimit(inputs, outputs, layer.relu, weightScale) >= 2 ** (WEIGHT_BITS - 2))
    refuse(`weights with ${weightScale} fraction bits leave no room to grow below 2^${WEIGHT_BITS}`);
  if (rate * batchSize * inputLimit * gradientLimit >= 2 ** 31)
    refuse(`the update may reach ${rate} x ${batchSize} x ${inputLimit} x ${gradientLimit}, more than 31 bits`);
  if (spillLength(inputLimit) < 8 || spillLength(gradientLimit) < 8) refuse("16-bit products overflow 32-bit sums");
  if ((Math.max(inputs, outputs) + 1) * Math.max(inputLimit, gradientLimit) * 2 ** WEIGHT_BITS >= 2 ** 52)
    refuse("a matrix product may leave the exact integers of float64, which the exported model uses");
}

/** The metadata `skynet.input.offset` and `skynet.input.divisor` say how bytes become inputs. */
function readNormalisation(graph: Graph, scale: number, width: number): InputNormalisation | null {
  const offset = graph.metadata.get("skynet.input.offset");
  const divisor = graph.metadata.get("skynet.input.divisor");
  if (offset === undefined && divisor === undefined) return null;
  const normalisation = { offset: Number(offset), divisor: Number(divisor) };
  const edge = (byte: number) => Math.abs((byte - normalisation.offset) / normalisation.divisor) * 2 ** scale + 1;
  if (!(normalisation.divisor > 0) || !(Math.max(edge(0), edge(255)) <= Math.min(127, 2 ** width - 1)))
    throw new CompileError(
      "UnsupportedModel",
      `the metadata skynet.input.* (${offset}, ${divisor}) make no 8-bit inputs`,
      {
        hint: 'For images use the offset "73" and the divisor "256".',
      },
    );
  return normalisation;
}
