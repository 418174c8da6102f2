import { DataError } from "./errors.ts";

/** Fraction bits of each kind of value: value = integer / 2^scale. Weights follow from these (see `compileTraining`). */
export interface Scales {
  readonly input: number;
  readonly activation: number;
  readonly logit: number;
  readonly exponential: number;
  readonly probability: number;
  readonly gradient: number;
}

/** Enforced widths: a value of width b lies in [-2^b, 2^b). */
export interface Widths {
  readonly input: number;
  readonly activation: number;
  readonly logit: number;
  readonly gradient: number;
}

/** Recommended scales: within the noise of float32 on the measured tasks. */
export const defaultScales: Scales = {
  input: 6,
  activation: 4,
  logit: 4,
  exponential: 6,
  probability: 8,
  gradient: 8,
};

/** Four to eight times the magnitudes seen in training. */
export const defaultWidths: Widths = { input: 7, activation: 10, logit: 12, gradient: 11 };

/** Every weight stays below 2^30 in magnitude. */
export const WEIGHT_BITS = 30;

/** Q = floor((Z + 2^(shift - 1)) / 2^shift), remainder in [0, 2^shift), Q in [-2^bits, 2^bits). */
export interface Requantisation {
  readonly shift: number;
  readonly bits: number;
}

/**
 * A fully connected layer. Forward: Z = [A, 1] W, Q = requantise(Z), and for hidden layers A' = max(Q, 0).
 * Update: W' = W - learningRateInteger [A, 1]^T G, exactly.
 */
export interface DenseLayer {
  readonly kind: "dense";
  /** Name of the node in the model. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** True for hidden layers; the last layer gives logits. */
  readonly relu: boolean;
  readonly inputScale: number;
  readonly weightScale: number;
  /** Scale of Q. */
  readonly outputScale: number;
  /** Scale of the gradient G of Z. */
  readonly gradientScale: number;
  /** Largest magnitude of an input and of G. */
  readonly inputLimit: number;
  readonly gradientLimit: number;
  readonly forward: Requantisation;
  /** From G W^T to the gradient of the layer before; none for the first layer. */
  readonly backward: Requantisation | null;
}

/**
 * u = max(z) - z, e = exponentials[min(u, last)], S = sum e, P = floor((2^(q+1) e + S) / (2 S)) with q =
 * `probabilityScale`, G = P - 2^q Y. Ties of the maximum change nothing here; predictions take the lowest index.
 */
export interface SoftmaxCrossEntropy {
  readonly classes: number;
  readonly logitScale: number;
  readonly exponentialScale: number;
  readonly probabilityScale: number;
  /** round(2^exponentialScale exp(-u / 2^logitScale)) for u = 0, 1, ...; the last entry, and all after it, are 0. */
  readonly exponentials: readonly number[];
}

/** How bytes become inputs: integer = floor((byte - offset) / divisor 2^scale + 1/2). */
export interface InputNormalisation {
  readonly offset: number;
  readonly divisor: number;
}

/** One training step in integers. Plain data: it can be encoded, compared and hashed. */
export interface IntegerProgram {
  readonly batchSize: number;
  readonly learningRate: number;
  /** Nominal number of workers N; every delta is a multiple of N. */
  readonly workers: number;
  /** The factor of the update; equal to N. */
  readonly learningRateInteger: number;
  readonly scales: Scales;
  readonly widths: Widths;
  readonly input: {
    readonly name: string;
    readonly features: number;
    /** Null when the model does not say. */
    readonly normalisation: InputNormalisation | null;
  };
  readonly outputName: string;
  /** Whether the model ends with Softmax (the exported model then does too). */
  readonly softmaxOutput: boolean;
  readonly layers: readonly DenseLayer[];
  readonly loss: SoftmaxCrossEntropy;
}

/** Name, shape and scale of a weight tensor. The last row of `shape` is the bias. */
export interface WeightTensor {
  readonly name: string;
  readonly shape: readonly [number, number];
  readonly scale: number;
}

/** The weight tensors in the order of the layers: Int32, row-major [inputs + 1, outputs], the bias in the last row. */
export function weightTensors(program: IntegerProgram): WeightTensor[] {
  return program.layers.map(({ name, inputs, outputs, weightScale }) => ({
    name,
    shape: [inputs + 1, outputs],
    scale: weightScale,
  }));
}

/** @throws DataError `BadWeights` when the tensors do not have the program's shapes or leave |w| < 2^30 */
export function checkWeights(program: IntegerProgram, weights: readonly Int32Array[]): void {
  if (weights.length !== program.layers.length)
    throw new DataError("BadWeights", `${weights.length} weight tensors instead of ${program.layers.length}`);
  weightTensors(program).forEach(({ name, shape }, i) => {
    const tensor = weights[i]!;
    if (!(tensor instanceof Int32Array) || tensor.length !== shape[0] * shape[1])
      throw new DataError("BadWeights", `the weights of ${name} are not ${shape.join(" x ")} 32-bit integers`);
    const limit = 2 ** WEIGHT_BITS;
    for (const value of tensor)
      if (value >= limit || value <= -limit)
        throw new DataError("BadWeights", `a weight of ${name} is ${value}, not below 2^${WEIGHT_BITS} in magnitude`);
  });
}

/**
 * Bytes (pixels) as inputs of the program, by the normalisation that the model's metadata state.
 * @throws DataError `BadBatch` when the model states none
 * @example const x = quantiseBytes(program, images);
 */
export function quantiseBytes(program: IntegerProgram, bytes: Uint8Array): Int8Array {
  const { normalisation } = program.input;
  if (normalisation === null)
    throw new DataError("BadBatch", "the model does not say how bytes become inputs", {
      hint: 'Add the metadata "skynet.input.offset" and "skynet.input.divisor" to the model.',
    });
  const table = Int8Array.from({ length: 256 }, (_, byte) =>
    Math.floor(((byte - normalisation.offset) / normalisation.divisor) * 2 ** program.scales.input + 0.5),
  );
  const out = new Int8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) out[i] = table[bytes[i]!]!;
  return out;
}
