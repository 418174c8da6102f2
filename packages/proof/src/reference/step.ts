// The training step once more, straight from its relations, in BigInt and without any code of the executor or the
// compiler: slow, obvious, and the judge of both.

/** A network by its layer sizes (features, hidden ..., classes) and the settings of the training. */
export interface ReferenceSettings {
  readonly sizes: readonly number[];
  /** log2(batch size / learning rate) and log2 of the number of workers. */
  readonly log2Ratio: number;
  readonly log2Workers: number;
  readonly scales: {
    readonly input: number;
    readonly activation: number;
    readonly logit: number;
    readonly exponential: number;
    readonly probability: number;
    readonly gradient: number;
  };
  readonly widths: { readonly activation: number; readonly logit: number; readonly gradient: number };
}

export type Matrix = bigint[][];

/** A value left its enforced width. */
export class ReferenceOverflow extends Error {}

const big = (value: number): bigint => BigInt(value);
const power = (exponent: number): bigint => 1n << big(exponent);
const range = (count: number): number[] => [...Array(count).keys()];

function multiply(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => range(b[0]!.length).map((j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0n)));
}

const transpose = (a: Matrix): Matrix => range(a[0]!.length).map((j) => a.map((row) => row[j]!));

/** The unique Q with z + 2^(shift - 1) = 2^shift Q + R and 0 <= R < 2^shift. */
function requantise(z: bigint, shift: number, width: number): bigint {
  const numerator = z + power(shift - 1);
  const remainder = ((numerator % power(shift)) + power(shift)) % power(shift);
  const quotient = (numerator - remainder) / power(shift);
  if (quotient >= power(width) || quotient < -power(width)) throw new ReferenceOverflow();
  return quotient;
}

/** round(2^scale exp(-u / 2^logitScale)): powers of exp(-1 / 2^logitScale), which comes from its alternating series. */
export function referenceExponential(u: bigint, scale: number, logitScale: number): bigint {
  const precision = 320;
  let base = 0n;
  let term = power(precision);
  for (let k = 1n; term !== 0n; k++) {
    base += term;
    term = -term / (k * power(logitScale));
  }
  let value = power(precision);
  for (let i = 0n; i < u && value > 0n; i++) value = (value * base) >> big(precision);
  return ((value << big(scale + 1)) + power(precision)) >> big(precision + 1);
}

/** Fraction bits of the weights, the input and the gradient of layer `layer`. */
function scalesOf({ sizes, log2Ratio, log2Workers, scales }: ReferenceSettings, layer: number) {
  const input = layer === 0 ? scales.input : scales.activation;
  const gradient = layer === sizes.length - 2 ? scales.probability : scales.gradient;
  return { input, gradient, weights: log2Ratio + log2Workers + input + gradient };
}

/** Inputs with the bias constant of every layer, and Q of every layer; the last Q are the logits. */
function forward(
  settings: ReferenceSettings,
  weights: readonly Matrix[],
  x: Matrix,
): { inputs: Matrix[]; q: Matrix[] } {
  const inputs: Matrix[] = [];
  const q: Matrix[] = [];
  let values = x;
  weights.forEach((w, layer) => {
    const last = layer === weights.length - 1;
    const scale = scalesOf(settings, layer);
    const withBias = values.map((row) => [...row, power(scale.input)]);
    const target = last ? settings.scales.logit : settings.scales.activation;
    const width = last ? settings.widths.logit : settings.widths.activation;
    const rounded = multiply(withBias, w).map((row) =>
      row.map((z) => requantise(z, scale.input + scale.weights - target, width)),
    );
    inputs.push(withBias);
    q.push(rounded);
    values = rounded.map((row) => row.map((value) => (value < 0n ? 0n : value)));
  });
  return { inputs, q };
}

/** The integer logits. */
export function referenceLogits(settings: ReferenceSettings, weights: readonly Matrix[], x: Matrix): Matrix {
  return forward(settings, weights, x).q.at(-1)!;
}

/** P - 2^q Y with P = floor((2^(q+1) e + S) / 2S). */
function lossGradient({ scales }: ReferenceSettings, logits: bigint[], label: number): bigint[] {
  const top = logits.reduce((a, b) => (a > b ? a : b));
  const e = logits.map((z) => referenceExponential(top - z, scales.exponential, scales.logit));
  const sum = e.reduce((a, b) => a + b, 0n);
  return e.map((value, k) => {
    const probability = ((value << big(scales.probability + 1)) + sum) / (2n * sum);
    return k === label ? probability - power(scales.probability) : probability;
  });
}

/**
 * Weights after one step, a matrix [inputs + 1][outputs] per layer with the bias in the last row.
 * @throws ReferenceOverflow
 */
export function referenceStep(
  settings: ReferenceSettings,
  weights: readonly Matrix[],
  x: Matrix,
  labels: readonly number[],
): Matrix[] {
  const { inputs, q } = forward(settings, weights, x);
  const gradients: Matrix[] = [];
  let gradient = q.at(-1)!.map((row, b) => lossGradient(settings, row, labels[b]!));
  for (let layer = weights.length - 1; layer >= 0; layer--) {
    gradients[layer] = gradient;
    if (layer === 0) break;
    const scale = scalesOf(settings, layer);
    const shift = scale.gradient + scale.weights - settings.scales.gradient;
    const below = multiply(gradient, transpose(weights[layer]!.slice(0, -1)));
    const units = q[layer - 1]!;
    gradient = below.map((row, b) =>
      row.map((value, n) => {
        const rounded = requantise(value, shift, settings.widths.gradient);
        return units[b]![n]! < 0n ? 0n : rounded;
      }),
    );
  }
  return weights.map((w, layer) => {
    const change = multiply(transpose(inputs[layer]!), gradients[layer]!);
    return w.map((row, k) =>
      row.map((value, n) => {
        const next = value - power(settings.log2Workers) * change[k]![n]!;
        if (next >= power(30) || next <= -power(30)) throw new ReferenceOverflow();
        return next;
      }),
    );
  });
}
