import type { Contraction } from "../circuit/circuit.ts";
import { mod, P } from "../field/fr.ts";
import { equalityTable } from "../script/core.ts";
import type { Vector } from "../vectors/field-vectors.ts";
import type { Tables } from "./tables.ts";

interface Operands {
  readonly name: string;
  readonly vars: number;
  readonly coefficient: bigint;
  left: Vector;
  right: Vector;
  /** coefficient x the factors 1 - x of variables that it lacks. */
  scale: bigint;
  /** Its sum while it waits for its first variable. */
  sum: bigint;
}

/** The prover's side of the contraction sumcheck: each product's operands with all but the summed index bound. */
export class ContractionTables {
  readonly #tables: Tables;
  readonly #r: readonly bigint[];
  readonly #list: Operands[];
  readonly total: bigint;

  constructor(
    tables: Tables,
    r: readonly bigint[],
    eta: bigint,
    interfere?: (name: string, left: bigint[], right: bigint[]) => void,
  ) {
    this.#tables = tables;
    this.#r = r;
    const { circuit, vectors } = tables;
    let power = 1n;
    let updates = 1n;
    const powers = new Map<string, bigint>();
    for (const { name, form } of circuit.contractions) {
      if (form === null) continue;
      powers.set(name, power);
      power = mod(power * eta);
      updates = power;
    }
    this.#list = circuit.contractions.map((contraction) => {
      let [left, right] = this.#operands(contraction);
      if (interfere !== undefined) {
        const [a, b] = [vectors.toBigInts(left), vectors.toBigInts(right)];
        interfere(contraction.name, a, b);
        [left, right] = [vectors.fromBigInts(a), vectors.fromBigInts(b)];
      }
      const weight = powers.get(contraction.name) ?? mod(updates * this.#place(contraction.layer));
      const coefficient = mod(weight * contraction.coefficient);
      const sum = vectors.dot(left, right);
      return { name: contraction.name, vars: contraction.vars, coefficient, left, right, scale: coefficient, sum };
    });
    this.total = mod(this.#list.reduce((total, { coefficient, sum }) => total + coefficient * sum, 0n));
  }

  /** Where the layer's weights lie, as a function of the coordinates above its slot. */
  #place(layer: number): bigint {
    const { circuit } = this.#tables;
    const { offset, vars } = circuit.slots.get(`weights.${layer}`)!;
    let value = 1n;
    for (let k = vars; k < circuit.tensors[0]!.vars; k++) {
      const x = this.#r[circuit.batchVars + k]!;
      value = mod(value * (Math.floor(offset / 2 ** k) % 2 === 1 ? x : 1n - x));
    }
    return value;
  }

  #equality(from: number, vars: number): Vector {
    return this.#tables.vectors.equality(this.#r.slice(from, from + vars));
  }

  #operands({ kind, layer }: Contraction): [Vector, Vector] {
    const { vectors, circuit } = this.#tables;
    const { batchVars, layers } = circuit;
    const { columnVars, rowVars } = layers[layer]!;
    const samples = () => this.#equality(0, batchVars);
    const units = () => this.#equality(batchVars, columnVars);
    if (kind === "forward") return [this.#inputsBySample(layer, samples()), this.#rows(layer, rowVars, units())];
    if (kind === "backward") {
      const below = this.#equality(batchVars, layers[layer - 1]!.columnVars);
      return [this.#gradientBySample(layer, samples()), this.#columns(layer, below)];
    }
    const rows = this.#r.slice(batchVars + columnVars, batchVars + columnVars + rowVars);
    return [this.#inputsByRow(layer, rows), this.#contractUnits(layer, units(), vectors)];
  }

  /**
   * W(., o) with the output bound, for all rows of the slot: behind the bias other layers may lie, which a row of zeros
   * in the other operand meets.
   */
  #rows(layer: number, rowVars: number, units: Vector): Vector {
    const { vectors, circuit } = this.#tables;
    const { offset } = circuit.slots.get(`weights.${layer}`)!;
    const size = 2 ** rowVars * units.length;
    const cells = this.#tables.cells("weights");
    if (!(cells instanceof Int32Array))
      return vectors.rowDots(vectors.slice(this.#tables.vector("weights"), offset, size), units);
    const rows = new Int32Array(size);
    rows.set(cells.subarray(offset, offset + size));
    return vectors.integerRowDots(rows, units);
  }

  /** W(h, .) with the row bound, rows of the biases left out. */
  #columns(layer: number, below: Vector): Vector {
    const { circuit } = this.#tables;
    const { offset } = circuit.slots.get(`weights.${layer}`)!;
    return this.#columnDots("weights", offset, below.length * 2 ** circuit.layers[layer]!.columnVars, below);
  }

  #rowDots(tensor: "weights" | "batch" | "auxiliary", at: number, size: number, v: Vector): Vector {
    const { vectors } = this.#tables;
    const cells = this.#tables.cells(tensor);
    if (cells instanceof Int32Array) return vectors.integerRowDots(cells.subarray(at, at + size), v);
    return vectors.rowDots(vectors.slice(this.#tables.vector(tensor), at, size), v);
  }

  #columnDots(tensor: "weights" | "batch" | "auxiliary", at: number, size: number, v: Vector): Vector {
    const { vectors } = this.#tables;
    const cells = this.#tables.cells(tensor);
    if (cells instanceof Int32Array) return vectors.integerColumnDots(cells.subarray(at, at + size), v);
    return vectors.columnDots(vectors.slice(this.#tables.vector(tensor), at, size), v);
  }

  #padded(values: Vector, size: number): Vector {
    const { vectors } = this.#tables;
    const out = vectors.zeros(size);
    vectors.copyInto(vectors.slice(out, 0, values.length), values);
    return out;
  }

  /** Inputs of a layer over its rows, samples bound, with the constant of the bias. */
  #inputsBySample(layer: number, samples: Vector): Vector {
    const { vectors, circuit } = this.#tables;
    const { inputs, rowVars, biasRow } = circuit.layers[layer]!;
    const { tensor, offset } = circuit.slots.get(layer === 0 ? "input" : `h${layer - 1}.activation`)!;
    const count = layer === 0 ? inputs : 2 ** circuit.layers[layer - 1]!.columnVars;
    const values = this.#rowDots(tensor as "batch" | "auxiliary", offset, count * samples.length, samples);
    const out = this.#padded(values, 2 ** rowVars);
    const bias = vectors.fromBigInts([this.#one(layer) * vectors.dot(this.#tables.samples(), samples)]);
    vectors.add(vectors.slice(out, biasRow, 1), bias);
    return out;
  }

  #one(layer: number): bigint {
    return 1n << BigInt(this.#tables.circuit.program.layers[layer]!.inputScale);
  }

  /** Inputs of a layer over the samples, row bound. */
  #inputsByRow(layer: number, rows: readonly bigint[]): Vector {
    const { vectors, circuit } = this.#tables;
    const { inputs, biasRow } = circuit.layers[layer]!;
    const table = equalityTable(rows);
    const { tensor, offset } = circuit.slots.get(layer === 0 ? "input" : `h${layer - 1}.activation`)!;
    const count = layer === 0 ? inputs : 2 ** circuit.layers[layer - 1]!.columnVars;
    const weights = vectors.fromBigInts(table.slice(0, count));
    const size = count * 2 ** circuit.batchVars;
    const out = vectors.copy(this.#columnDots(tensor as "batch" | "auxiliary", offset, size, weights));
    vectors.addScaled(out, this.#tables.samples(), (this.#one(layer) * table[biasRow]!) % P);
    return out;
  }

  /** Gradient of a layer's outputs over the cells, as one vector. */
  #gradient(layer: number): Vector {
    const { vectors, circuit } = this.#tables;
    const form = circuit.gradients[layer]!;
    const vars = circuit.batchVars + circuit.layers[layer]!.columnVars;
    const out = vectors.zeros(2 ** vars);
    for (const { slot, coefficient } of form.terms) vectors.addScaled(out, this.#tables.column(slot), coefficient);
    return out;
  }

  #gradientBySample(layer: number, samples: Vector): Vector {
    return this.#tables.vectors.rowDots(this.#gradient(layer), samples);
  }

  #contractUnits(layer: number, units: Vector, vectors = this.#tables.vectors): Vector {
    return vectors.columnDots(this.#gradient(layer), units);
  }

  round(j: number): bigint[] {
    let [c0, c2] = [0n, 0n];
    for (const { vars, left, right, scale, sum } of this.#list) {
      const [a, b] = vars > j ? this.#tables.vectors.quadraticRound(left, right) : [sum, 0n];
      c0 += scale * a;
      c2 += scale * b;
    }
    return [mod(c0), mod(c2)];
  }

  bind(j: number, x: bigint): void {
    const { vectors } = this.#tables;
    for (const own of this.#list)
      if (own.vars > j) {
        own.left = vectors.fold(own.left, x);
        own.right = vectors.fold(own.right, x);
      } else own.scale = mod(own.scale * (1n - x));
  }

  /** Both operands of each of these products at the point. */
  operands(names: readonly string[]): bigint[] {
    const { vectors } = this.#tables;
    return names.flatMap((name) => {
      const { left, right } = this.#list.find((own) => own.name === name)!;
      return [vectors.get(left, 0), vectors.get(right, 0)];
    });
  }
}
