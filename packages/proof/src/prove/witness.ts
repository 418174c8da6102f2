import type { Cells, Circuit, Division, TensorName } from "../circuit/circuit.ts";
import { OverflowError } from "../errors.ts";
import type { Inputs, StepTrace } from "../executor.ts";

/** Cells of a tensor up to its last used one; only tests of malicious provers use field elements. */
export type TensorCells = Int32Array | readonly bigint[];

/** All committed tensors of the prover and the statement, by name. */
export type Witness = Map<TensorName, TensorCells>;

/** Columns of a witness by the name of their slot, before they are laid out. */
export type Columns = Map<string, TensorCells>;

/**
 * Columns of one step or inference from what the executor computed: the same integers, taken apart into digits.
 * @throws OverflowError when a value does not fit its digits: then there is no proof
 */
export function columnsOf(circuit: Circuit, trace: StepTrace): Columns {
  const columns: Columns = new Map();
  const step = circuit.statement === "step";
  const last = circuit.layers.length - 1;
  circuit.layers.forEach(({ forward }, i) => {
    const cells = cellsOf(circuit, i);
    const z = transposed(circuit, cells, trace.products[i]!);
    const quotient = divide(circuit, forward, z, i === last ? "o.remainder" : `h${i}.remainder`, columns);
    if (i === last) {
      writeNumber(circuit, columns, "o.logit", forward.quotientDigits, offset(circuit, forward, quotient));
      if (step) writeLoss(circuit, columns, quotient, trace.labels!);
      return;
    }
    const sign = quotient.map((q) => (q >= 0 ? 1 : 0));
    writeNumber(
      circuit,
      columns,
      `h${i}.magnitude`,
      forward.quotientDigits,
      quotient.map((q) => (q >= 0 ? q : -q - 1)),
    );
    columns.set(`h${i}.sign`, Int32Array.from(sign));
    columns.set(
      `h${i}.activation`,
      Int32Array.from(quotient, (q) => Math.max(q, 0)),
    );
    const backward = circuit.layers[i + 1]!.backward;
    if (backward === null) return;
    const below = transposed(circuit, cells, trace.gradientProducts[i]!);
    const gradient = divide(circuit, backward, below, `h${i}.gradientRemainder`, columns);
    writeNumber(
      circuit,
      columns,
      `h${i}.gradientQuotient`,
      backward.quotientDigits,
      offset(circuit, backward, gradient),
    );
    columns.set(
      `h${i}.gradient`,
      Int32Array.from(gradient, (g, at) => g * sign[at]!),
    );
  });
  return columns;
}

/** Columns that range a committed input: x + 2^w and its multiple that fills the digits. */
export function setInputColumns(circuit: Circuit, columns: Columns, x: Inputs): void {
  const { slots, settings, program } = circuit;
  if (!slots.has("x.value.0")) return;
  const count = [...slots.keys()].filter((name) => name.startsWith("x.value.")).length;
  const width = program.widths.input;
  const values = new Float64Array(2 ** slots.get("x.value.0")!.vars).fill(2 ** width);
  layOutInput(circuit, x).forEach((value, i) => (values[i]! += value));
  writeNumber(circuit, columns, "x.value", count, values);
  const factor = 2 ** (count * settings.tableBits - width - 1);
  writeNumber(
    circuit,
    columns,
    "x.scaled",
    count,
    values.map((value) => value * factor),
  );
}

export function cellsOf({ layers }: Circuit, layer: number): Cells {
  const { outputs, columnVars } = layers[layer]!;
  return { layer, unitVars: columnVars, units: outputs };
}

/** Row-major [batch, units] to the index b + 2^batchVars x, padded with zeros. */
export function transposed(
  { batch, batchVars }: Circuit,
  { unitVars, units }: Cells,
  values: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(2 ** (batchVars + unitVars));
  for (let b = 0; b < batch; b++) for (let u = 0; u < units; u++) out[b + u * 2 ** batchVars] = values[b * units + u]!;
  return out;
}

/** Q of each cell; writes the digits of the scaled remainder. */
function divide(circuit: Circuit, division: Division, z: Float64Array, name: string, columns: Columns): Float64Array {
  const { shift, digits, scale } = division;
  const half = 2 ** (shift - 1);
  const quotient = z.map((value) => Math.floor((value + half) / 2 ** shift));
  const remainder = z.map((value, i) => (value + half - quotient[i]! * 2 ** shift) * Number(scale));
  writeNumber(circuit, columns, name, digits, remainder);
  return quotient;
}

function offset({ settings }: Circuit, { quotientDigits }: Division, values: Float64Array): Float64Array {
  const half = 2 ** (quotientDigits * settings.tableBits - 1);
  return values.map((value) => value + half);
}

/** Writes the digits of non-negative numbers. @throws OverflowError when one has more */
function writeNumber({ settings }: Circuit, columns: Columns, name: string, count: number, values: Float64Array): void {
  const base = 2 ** settings.tableBits;
  const limit = base ** count;
  for (const value of values)
    if (!(value >= 0 && value < limit)) throw new OverflowError(name, `[0, 2^${count * settings.tableBits})`);
  for (let j = 0; j < count; j++)
    columns.set(
      `${name}.${j}`,
      Int32Array.from(values, (value) => Math.floor(value / base ** j) % base),
    );
}

/** Softmax and cross-entropy: selector of the maximum (lowest class of ties), exponentials, probabilities. */
function writeLoss(circuit: Circuit, columns: Columns, z: Float64Array, labels: Uint8Array): void {
  const { batch, batchVars, program } = circuit;
  const { classes, exponentials, probabilityScale } = program.loss;
  const stride = 2 ** batchVars;
  const top = new Int32Array(z.length);
  const label = new Int32Array(z.length);
  const maximum = new Int32Array(stride);
  const exponential = new Int32Array(z.length);
  const probability = new Float64Array(z.length);
  const rest = new Float64Array(z.length);
  const complement = new Float64Array(z.length);
  const exp = (u: number) => exponentials[u] ?? 0;
  for (let b = 0; b < stride; b++) {
    let best = 0;
    for (let k = 1; k < classes; k++) if (z[b + k * stride]! > z[b + best * stride]!) best = k;
    const real = b < batch;
    if (real) {
      maximum[b] = z[b + best * stride]!;
      top[b + best * stride] = 1;
      label[b + labels[b]! * stride] = 1;
    }
    let sum = 0;
    for (let at = b, k = 0; at < z.length; at += stride, k++) {
      exponential[at] = k < classes ? exp(maximum[b]! - z[at]!) : exp(0);
      if (k < classes) sum += exponential[at]!;
    }
    for (let at = b, k = 0; at < z.length; at += stride, k++) {
      const numerator = (real && k < classes ? exponential[at]! * 2 ** (probabilityScale + 1) : 0) + sum;
      probability[at] = Math.floor(numerator / (2 * sum));
      rest[at] = numerator - probability[at]! * 2 * sum;
      complement[at] = 2 * sum - 1 - rest[at]!;
    }
  }
  columns.set("o.top", top).set("label", label).set("o.maximum", maximum).set("o.exponential", exponential);
  const count = (name: string) => [...circuit.slots.keys()].filter((slot) => slot.startsWith(`${name}.`)).length;
  writeNumber(circuit, columns, "o.probability", count("o.probability"), probability);
  writeNumber(circuit, columns, "o.rest", count("o.rest"), rest);
  writeNumber(circuit, columns, "o.restComplement", count("o.restComplement"), complement);
}

/** Lays the columns of the prover's tensors out and counts the multiplicities of the tables. */
export function layOut(circuit: Circuit, columns: Columns): Witness {
  const witness: Witness = new Map();
  for (const { name, used } of circuit.tensors)
    if (name === "ranged" || name === "auxiliary") witness.set(name, placed(circuit, name, used, columns));
  countMultiplicities(circuit, columns, witness);
  return witness;
}

function placed(circuit: Circuit, name: TensorName, used: number, columns: Columns): TensorCells {
  const inside = [...circuit.slots].filter(([key, { tensor }]) => tensor === name && columns.has(key));
  const integers = inside.every(([key]) => columns.get(key) instanceof Int32Array);
  if (!integers) {
    const cells = Array<bigint>(used).fill(0n);
    for (const [key, { offset: at }] of inside)
      (columns.get(key)! as readonly bigint[]).forEach((value, i) => (cells[at + i] = BigInt(value)));
    return cells;
  }
  const cells = new Int32Array(used);
  for (const [key, { offset: at }] of inside) cells.set(columns.get(key) as Int32Array, at);
  return cells;
}

/** How often each entry of the tables is looked up; the cells between slots count too, they are zeros. */
function countMultiplicities(circuit: Circuit, columns: Columns, witness: Witness): void {
  const { slots } = circuit;
  const table = new Int32Array(2 ** slots.get("table")!.vars);
  const ranged = witness.get("ranged")!;
  for (const value of ranged) {
    const at = Number(value);
    if (at >= 0 && at < table.length) table[at]!++;
  }
  table[0]! += 2 ** slots.get("ranged")!.vars - ranged.length;
  const auxiliary = witness.get("auxiliary")!;
  write(auxiliary, slots.get("table")!.offset, table);
  if (circuit.statement !== "step") return;
  const pairs = new Int32Array(2 ** slots.get("pairTable")!.vars);
  for (const u of distances(circuit, columns)) if (u >= 0 && u < pairs.length) pairs[u]!++;
  write(auxiliary, slots.get("pairTable")!.offset, pairs);
}

function write(target: TensorCells, at: number, values: Int32Array): void {
  if (target instanceof Int32Array) target.set(values, at);
  else values.forEach((value, i) => ((target as bigint[])[at + i] = BigInt(value)));
}

/** max(z) - z of every class cell, 0 in padded classes. */
function distances(circuit: Circuit, columns: Columns): Float64Array {
  const { batchVars, layers, settings, program } = circuit;
  const { quotientDigits } = layers.at(-1)!.forward;
  const maximum = columns.get("o.maximum")!;
  const digits = Array.from({ length: quotientDigits }, (_, j) => columns.get(`o.logit.${j}`)!);
  const half = 2 ** (quotientDigits * settings.tableBits - 1);
  return Float64Array.from({ length: digits[0]!.length }, (_, i) => {
    const z = digits.reduce((total, column, j) => total + Number(column[i]) * 2 ** (j * settings.tableBits), -half);
    const real = Math.floor(i / 2 ** batchVars) < program.loss.classes;
    return (real ? Number(maximum[i % 2 ** batchVars]) : 0) - z;
  });
}

/** Weights [rows][columns] in the layout of their tensor. */
export function layOutWeights({ layers, slots, tensors }: Circuit, weights: readonly Int32Array[]): Int32Array {
  const cells = new Int32Array(tensors[0]!.used);
  layers.forEach(({ inputs, outputs, biasRow, columnVars }, i) => {
    const { offset: start } = slots.get(`weights.${i}`)!;
    for (let row = 0; row <= inputs; row++) {
      const target = row === inputs ? biasRow : row;
      cells.set(weights[i]!.subarray(row * outputs, (row + 1) * outputs), start + target * 2 ** columnVars);
    }
  });
  return cells;
}

/** A batch in the layout of its tensor: inputs b + 2^batchVars i, and for steps the labels as one-hot rows. */
export function layOutBatch(circuit: Circuit, x: Inputs, labels?: Uint8Array): Int32Array {
  const { batchVars, slots, tensors } = circuit;
  const cells = new Int32Array(tensors.find(({ name }) => name === "batch")!.used);
  cells.set(layOutInput(circuit, x), slots.get("input")!.offset);
  if (labels !== undefined) {
    const { offset: first } = slots.get("label")!;
    labels.forEach((label, b) => (cells[first + b + label * 2 ** batchVars] = 1));
  }
  return cells;
}

/** Inputs [batch, features] as cells b + 2^batchVars i. */
export function layOutInput({ batch, batchVars, layers }: Circuit, x: Inputs): Int32Array {
  const { inputs } = layers[0]!;
  const cells = new Int32Array(inputs * 2 ** batchVars);
  for (let b = 0; b < batch; b++) for (let i = 0; i < inputs; i++) cells[b + i * 2 ** batchVars] = x[b * inputs + i]!;
  return cells;
}

/** The integer logits [batch, classes] that the columns of an inference hold. */
export function logitsOf(circuit: Circuit, columns: Columns): Int32Array {
  const { batch, batchVars, layers, settings, program } = circuit;
  const { quotientDigits } = layers.at(-1)!.forward;
  const { classes } = program.loss;
  const half = 2 ** (quotientDigits * settings.tableBits - 1);
  return Int32Array.from({ length: batch * classes }, (_, i) => {
    const at = Math.floor(i / classes) + (i % classes) * 2 ** batchVars;
    let value = -half;
    for (let j = 0; j < quotientDigits; j++)
      value += Number(columns.get(`o.logit.${j}`)![at]) * 2 ** (j * settings.tableBits);
    return value;
  });
}

/** Logits [batch, classes] in the layout of the output's tensor. */
export function logitCells(circuit: Circuit, logits: Int32Array): Int32Array {
  return Int32Array.from(transposed(circuit, cellsOf(circuit, circuit.layers.length - 1), logits));
}
