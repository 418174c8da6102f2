// All committed tensors of one step or inference, derived in BigInt over the whole padded tables: what the relations
// say is computed in every cell, so that a change in any place has its exact consequences everywhere.
import type { Cells, Circuit, Division, TensorName } from "../circuit/circuit.ts";
import { inverse, mod, P } from "../field/fr.ts";
import { range } from "./dense.ts";

export type Tensors = Map<TensorName, bigint[]>;

/**
 * Changes what was just computed; everything that depends on it is computed from the changed values. Names are those of
 * the slots, and of whole numbers before they are cut into digits: `h0.quotient`, `o.quotient`, `h0.remainder`,
 * `o.rest`, ... A test of malicious provers lies here; values may be field elements.
 */
export type Alter = (name: string, values: bigint[]) => void;

export interface StepInputs {
  /** The whole tensors, in their layout. */
  readonly weights: readonly bigint[];
  readonly batch: readonly bigint[];
}

const floorDivide = (a: bigint, b: bigint): bigint => (a - mod(a, b)) / b;

/** The representative nearest to zero. */
export function centred(value: bigint): bigint {
  const reduced = mod(value);
  return reduced > P / 2n ? reduced - P : reduced;
}

export function deriveTensors(circuit: Circuit, inputs: StepInputs, alter: Alter = () => {}): Tensors {
  return new Derivation(circuit, inputs, alter).run();
}

class Derivation {
  readonly #circuit: Circuit;
  readonly #alter: Alter;
  readonly #tensors: Tensors = new Map();
  readonly #samples: number;
  readonly #inputs: bigint[][] = [];
  readonly #quotients: bigint[][] = [];

  constructor(circuit: Circuit, { weights, batch }: StepInputs, alter: Alter) {
    this.#circuit = circuit;
    this.#alter = alter;
    this.#samples = 2 ** circuit.batchVars;
    for (const { name, vars } of circuit.tensors)
      if (!["helpers", "pads", "mask", "blind"].includes(name))
        this.#tensors.set(name, Array<bigint>(2 ** vars).fill(0n));
    this.#tensors.set("weights", [...weights]);
    this.#tensors.set("batch", [...batch]);
  }

  run(): Tensors {
    const { layers, statement } = this.#circuit;
    layers.forEach((_, layer) => this.#forward(layer));
    if (statement === "step") {
      this.#exponentials();
      this.#backward(this.#loss());
    }
    if (this.#circuit.slots.has("x.value.0")) this.#rangeInput();
    this.#tables();
    return this.#tensors;
  }

  /** A committed input: x + 2^w, and the multiple of it that has the full number of digits. */
  #rangeInput(): void {
    const { slots, program, settings } = this.#circuit;
    const digits = range(100).filter((j) => slots.has(`x.value.${j}`)).length;
    const width = BigInt(program.widths.input);
    const values = this.#read("input").map((value) => value + (1n << width));
    const shift = BigInt(digits * settings.tableBits) - width - 1n;
    this.#number("x.value", digits, values);
    this.#number(
      "x.scaled",
      digits,
      values.map((value) => value << shift),
    );
  }

  #read(slot: string): bigint[] {
    const { tensor, offset, vars } = this.#circuit.slots.get(slot)!;
    return this.#tensors.get(tensor)!.slice(offset, offset + 2 ** vars);
  }

  #write(slot: string, values: bigint[]): bigint[] {
    this.#alter(slot, values);
    const { tensor, offset } = this.#circuit.slots.get(slot)!;
    values.forEach((value, i) => (this.#tensors.get(tensor)![offset + i] = value));
    return values;
  }

  /** Cuts numbers into digits; the highest digit takes all that is left, whatever it is. */
  #number(name: string, count: number, values: bigint[]): bigint[] {
    const base = 1n << BigInt(this.#circuit.settings.tableBits);
    this.#alter(name, values);
    let rest = values;
    for (let j = 0; j < count; j++) {
      this.#write(
        `${name}.${j}`,
        rest.map((value) => (j < count - 1 ? mod(value, base) : value)),
      );
      rest = rest.map((value) => floorDivide(value, base));
    }
    return values;
  }

  #signed(name: string, { quotientDigits }: Division, values: readonly bigint[]): void {
    const half = 1n << BigInt(quotientDigits * this.#circuit.settings.tableBits - 1);
    this.#number(
      name,
      quotientDigits,
      values.map((value) => value + half),
    );
  }

  #name(layer: number): string {
    return layer === this.#circuit.layers.length - 1 ? "o" : `h${layer}`;
  }

  #cells(layer: number): Cells {
    const { outputs, columnVars } = this.#circuit.layers[layer]!;
    return { layer, unitVars: columnVars, units: outputs };
  }

  /** The quotient of sums, rounded; the remainder, in digits. */
  #divide(prefix: string, quotientName: string, remainderName: string, division: Division, sums: bigint[]): bigint[] {
    const { shift, scale, digits } = division;
    const power = 1n << BigInt(digits * this.#circuit.settings.tableBits);
    const numerators = sums.map((value) => scale * (value + (1n << BigInt(shift - 1))));
    const quotients = numerators.map((value) => floorDivide(value, power));
    this.#alter(`${prefix}.${quotientName}`, quotients);
    this.#number(
      `${prefix}.${remainderName}`,
      digits,
      numerators.map((value, i) => centred(value - power * quotients[i]!)),
    );
    return quotients;
  }

  /** A(b, k) of a layer over all rows of its weights, with the bias. */
  #inputsOf(layer: number): bigint[] {
    const { inputs, rowVars, biasRow } = this.#circuit.layers[layer]!;
    const { batch, program } = this.#circuit;
    const values = Array<bigint>(this.#samples * 2 ** rowVars).fill(0n);
    const rows = layer === 0 ? inputs : 2 ** this.#circuit.layers[layer - 1]!.columnVars;
    const source = layer === 0 ? this.#tensors.get("batch")! : this.#read(`h${layer - 1}.activation`);
    const start = layer === 0 ? (this.#circuit.slots.get("input")?.offset ?? 0) : 0;
    for (let i = 0; i < rows * this.#samples; i++) values[i] = source[start + i]!;
    for (let b = 0; b < batch; b++)
      values[b + biasRow * this.#samples] = 1n << BigInt(program.layers[layer]!.inputScale);
    return values;
  }

  #forward(layer: number): void {
    const { rowVars, columnVars, forward } = this.#circuit.layers[layer]!;
    const inputs = this.#inputsOf(layer);
    const weights = this.#read(`weights.${layer}`);
    const sums = range(this.#samples * 2 ** columnVars).map((i) => {
      const [b, unit] = [i % this.#samples, Math.floor(i / this.#samples)];
      return range(2 ** rowVars).reduce(
        (sum, k) => sum + inputs[b + k * this.#samples]! * weights[unit + k * 2 ** columnVars]!,
        0n,
      );
    });
    const name = this.#name(layer);
    const quotients = this.#divide(name, "quotient", "remainder", forward, sums);
    this.#inputs[layer] = inputs;
    this.#quotients[layer] = quotients;
    if (name === "o") {
      this.#signed("o.logit", forward, quotients);
      if (this.#circuit.slots.has("output")) this.#write("output", [...quotients]);
    } else this.#rectify(name, forward, quotients);
  }

  /** Q = sign magnitude - (1 - sign)(magnitude + 1), solved for the magnitude for any sign. */
  #rectify(name: string, { quotientDigits }: Division, quotients: bigint[]): void {
    const sign = this.#write(
      `${name}.sign`,
      quotients.map((q) => (q >= 0n ? 1n : 0n)),
    );
    const magnitude = this.#number(
      `${name}.magnitude`,
      quotientDigits,
      quotients.map((q, i) => centred((q - sign[i]! + 1n) * inverse(2n * sign[i]! - 1n))),
    );
    this.#write(
      `${name}.activation`,
      magnitude.map((value, i) => value * sign[i]!),
    );
  }

  #exponentials(): void {
    const table = this.#tensors.get("exponentials")!;
    this.#circuit.program.loss.exponentials.slice(0, table.length).forEach((e, i) => (table[i] = BigInt(e)));
  }

  #exponential(u: bigint): bigint {
    return u >= 0n ? (this.#tensors.get("exponentials")![Number(u)] ?? 0n) : 0n;
  }

  /** Softmax and cross-entropy; returns the gradient of the logits. */
  #loss(): bigint[] {
    const { batch, program } = this.#circuit;
    const { classes, probabilityScale } = program.loss;
    const z = this.#quotients.at(-1)!;
    const stride = this.#samples;
    const cells = range(z.length);
    const best = range(batch).map((b) =>
      range(classes).reduce((at, k) => (z[b + k * stride]! > z[b + at * stride]! ? k : at), 0),
    );
    const top = this.#write(
      "o.top",
      cells.map((i) => (best[i % stride] === Math.floor(i / stride) ? 1n : 0n)),
    );
    const maximum = this.#write(
      "o.maximum",
      range(stride).map((b) => cells.filter((i) => i % stride === b).reduce((sum, i) => sum + top[i]! * z[i]!, 0n)),
    );
    const real = (i: number) => Math.floor(i / stride) < classes;
    const exponential = this.#write(
      "o.exponential",
      cells.map((i) => this.#exponential((real(i) ? maximum[i % stride]! : 0n) - z[i]!)),
    );
    const sums = range(stride).map((b) =>
      cells.filter((i) => i % stride === b && real(i)).reduce((sum, i) => sum + exponential[i]!, 0n),
    );
    const numerator = cells.map(
      (i) => (real(i) && i % stride < batch ? exponential[i]! << BigInt(probabilityScale + 1) : 0n) + sums[i % stride]!,
    );
    const probability = this.#number(
      "o.probability",
      this.#digits("o.probability"),
      cells.map((i) => (sums[i % stride] === 0n ? 0n : floorDivide(numerator[i]!, 2n * sums[i % stride]!))),
    );
    const rest = this.#number(
      "o.rest",
      this.#digits("o.rest"),
      cells.map((i) => centred(numerator[i]! - 2n * sums[i % stride]! * probability[i]!)),
    );
    this.#number(
      "o.restComplement",
      this.#digits("o.restComplement"),
      cells.map((i) => 2n * sums[i % stride]! - 1n - rest[i]!),
    );
    const label = this.#read("label");
    return cells.map((i) => probability[i]! - (label[i]! << BigInt(probabilityScale)));
  }

  #digits(name: string): number {
    return [...this.#circuit.slots.keys()].filter((slot) => slot.startsWith(`${name}.`)).length;
  }

  #backward(loss: bigint[]): void {
    const { layers, program } = this.#circuit;
    const next = this.#tensors.get("next")!;
    this.#tensors.get("weights")!.forEach((value, i) => (next[i] = value));
    let gradient = loss;
    for (let layer = layers.length - 1; layer >= 0; layer--) {
      const { columnVars, rowVars, backward } = layers[layer]!;
      const { offset } = this.#circuit.slots.get(`weights.${layer}`)!;
      const inputs = this.#inputs[layer]!;
      for (let i = 0; i < 2 ** (rowVars + columnVars); i++) {
        const [unit, row] = [i % 2 ** columnVars, Math.floor(i / 2 ** columnVars)];
        const change = range(this.#samples).reduce(
          (sum, b) => sum + inputs[b + row * this.#samples]! * gradient[b + unit * this.#samples]!,
          0n,
        );
        next[offset + i]! -= BigInt(program.learningRateInteger) * change;
      }
      if (backward === null) break;
      gradient = this.#gradientBelow(layer, backward, gradient);
    }
    this.#alter("next", next);
  }

  #gradientBelow(layer: number, backward: Division, gradient: bigint[]): bigint[] {
    const { columnVars } = this.#circuit.layers[layer]!;
    const { unitVars } = this.#cells(layer - 1);
    const weights = this.#read(`weights.${layer}`);
    const sums = range(this.#samples * 2 ** unitVars).map((i) => {
      const [b, unit] = [i % this.#samples, Math.floor(i / this.#samples)];
      return range(2 ** columnVars).reduce(
        (sum, o) => sum + gradient[b + o * this.#samples]! * weights[o + unit * 2 ** columnVars]!,
        0n,
      );
    });
    const name = `h${layer - 1}`;
    const quotients = this.#divide(name, "roundedGradient", "gradientRemainder", backward, sums);
    this.#signed(`${name}.gradientQuotient`, backward, quotients);
    const sign = this.#read(`${name}.sign`);
    return this.#write(
      `${name}.gradient`,
      quotients.map((q, i) => q * sign[i]!),
    );
  }

  /** The tables' multiplicities: over the whole slots, what lies between the columns included. */
  #tables(): void {
    const { slots, statement, products } = this.#circuit;
    const ranged = this.#tensors.get("ranged")!;
    this.#alter("ranged", ranged);
    const counts = (slot: string, values: readonly bigint[]) => {
      const table = range(2 ** slots.get(slot)!.vars).map(() => 0n);
      for (const value of values) if (value >= 0n && value < BigInt(table.length)) table[Number(value)]!++;
      this.#write(slot, table);
    };
    counts("table", this.#read("ranged"));
    if (statement === "step") {
      const group = products.find(({ name }) => name === "top")!;
      const distance = group.parts.find(({ name }) => name === "o.maximum is reached")!.right;
      counts("pairTable", formTable(this.#circuit, this.#tensors, distance, group.cells).map(centred));
    }
    this.#alter("auxiliary", this.#tensors.get("auxiliary")!);
  }
}

type FormOf = Circuit["products"][number]["factor"];

/** A form in every cell, modulo p; `masked` terms times the indicator of real cells. */
export function formTable(circuit: Circuit, tensors: Tensors, form: FormOf, cells: Cells, p: bigint = P): bigint[] {
  const { batch, batchVars, slots } = circuit;
  const stride = 2 ** batchVars;
  const columns = form.terms.map(({ slot }) => {
    const { tensor, offset, vars } = slots.get(slot)!;
    return tensors.get(tensor)!.slice(offset, offset + 2 ** vars);
  });
  const total = (column: readonly bigint[], b: number, units: number) =>
    range(units).reduce((sum, x) => sum + column[b + x * stride]!, 0n);
  return range(stride * 2 ** cells.unitVars).map((i) => {
    const [b, x] = [i % stride, Math.floor(i / stride)];
    const terms = form.terms.map(({ kind, coefficient }, t) => {
      const column = columns[t]!;
      switch (kind) {
        case "cell":
          return coefficient * column[i]!;
        case "masked":
          return b < batch && x < cells.units ? coefficient * column[i]! : 0n;
        case "row":
          return x < cells.units ? coefficient * column[b]! : 0n;
        case "rowSum":
          return coefficient * total(column, b, cells.units);
        case "paddedSum":
          return coefficient * total(column, b, 2 ** cells.unitVars);
      }
    });
    const constant = form.everywhere + (b < batch ? form.realSamples : 0n);
    return mod(
      terms.reduce((sum, value) => sum + value, constant),
      p,
    );
  });
}
