import type { Cells, Circuit, Form, TensorName } from "../circuit/circuit.ts";
import type { FieldVectors, Vector } from "../vectors/field-vectors.ts";
import type { TensorCells, Witness } from "./witness.ts";

/** The witness as field vectors. Tables that a sumcheck folds are copies. */
export class Tables {
  readonly vectors: FieldVectors;
  readonly circuit: Circuit;
  readonly #witness: Witness;
  readonly #made = new Map<TensorName, Vector>();

  constructor(vectors: FieldVectors, circuit: Circuit, witness: Witness) {
    this.vectors = vectors;
    this.circuit = circuit;
    this.#witness = new Map(witness);
    if (circuit.statement === "step") {
      const table = new Int32Array(2 ** circuit.slots.get("exponentials")!.vars);
      table.set(circuit.program.loss.exponentials.slice(0, table.length));
      this.#witness.set("exponentials", table);
    }
    // all at once: what is made between a mark and its release would be lost
    for (const { name, vars } of circuit.tensors)
      if (this.#witness.has(name) && this.#needsVector(name, vars))
        this.#made.set(name, this.#make(name, this.cells(name)));
  }

  /** Weights and batches of several blocks are only ever used as integers. */
  #needsVector(name: TensorName, vars: number): boolean {
    const integers = this.cells(name) instanceof Int32Array && vars > this.circuit.settings.blockBits;
    return (
      !(integers && ["weights", "next", "batch", "output"].includes(name)) ||
      this.circuit.slots.get("label")?.tensor === name
    );
  }

  cells(name: TensorName): TensorCells {
    const cells = this.#witness.get(name);
    if (cells === undefined) throw new Error(`the witness has no tensor ${name}`);
    return cells;
  }

  /** The whole tensor, zeros behind its cells. */
  vector(name: TensorName): Vector {
    const vector = this.#made.get(name);
    if (vector === undefined) throw new Error(`the witness has no tensor ${name}`);
    return vector;
  }

  #make(name: TensorName, cells: TensorCells): Vector {
    const { vars } = this.circuit.tensors.find((tensor) => tensor.name === name)!;
    const vector = this.vectors.zeros(2 ** vars);
    const mark = this.vectors.mark();
    const values = cells instanceof Int32Array ? this.vectors.fromIntegers(cells) : this.vectors.fromBigInts(cells);
    this.vectors.copyInto(this.vectors.slice(vector, 0, cells.length), values);
    this.vectors.release(mark);
    return vector;
  }

  set(name: TensorName, cells: TensorCells, vector: Vector): void {
    this.#witness.set(name, cells);
    this.#made.set(name, vector);
  }

  /** View of a slot; `lane` of `lanes` equal parts. */
  column(slot: string, lane = 0, lanes = 1): Vector {
    const { tensor, offset, vars } = this.circuit.slots.get(slot)!;
    const size = 2 ** vars / lanes;
    return this.vectors.slice(this.vector(tensor), offset + lane * size, size);
  }

  /** Cells of a slot as integers; undefined where a test put field elements. */
  integers(slot: string): Int32Array | undefined {
    const { tensor, offset, vars } = this.circuit.slots.get(slot)!;
    const cells = this.cells(tensor);
    return cells instanceof Int32Array ? cells.subarray(offset, offset + 2 ** vars) : undefined;
  }

  /** Indicator of x < units for every cell. */
  units({ unitVars, units }: Cells): Vector {
    return this.vectors.fromIntegers(Int32Array.from({ length: 2 ** unitVars }, (_, x) => (x < units ? 1 : 0)));
  }

  samples(): Vector {
    const { batch, batchVars } = this.circuit;
    return this.vectors.fromIntegers(Int32Array.from({ length: 2 ** batchVars }, (_, b) => (b < batch ? 1 : 0)));
  }

  /** target += weight x form in every cell, without its masked terms. */
  addForm(target: Vector, { terms, everywhere, realSamples }: Form, cells: Cells, weight: bigint): void {
    const { vectors } = this;
    const mark = vectors.mark();
    const ones = vectors.fromIntegers(new Int32Array(2 ** cells.unitVars).fill(1));
    const all = vectors.fromIntegers(new Int32Array(2 ** this.circuit.batchVars).fill(1));
    if (everywhere !== 0n) vectors.addScaled(target, vectors.outer(all, ones), weight * everywhere);
    if (realSamples !== 0n) vectors.addScaled(target, vectors.outer(this.samples(), ones), weight * realSamples);
    for (const { kind, slot, coefficient } of terms) {
      const column = this.column(slot);
      const factor = weight * coefficient;
      if (kind === "cell") vectors.addScaled(target, column, factor);
      else if (kind === "row") vectors.addScaled(target, vectors.outer(column, this.units(cells)), factor);
      else if (kind === "rowSum")
        vectors.addScaled(target, vectors.outer(vectors.columnDots(column, this.units(cells)), ones), factor);
      else if (kind === "paddedSum")
        vectors.addScaled(target, vectors.outer(vectors.columnDots(column, ones), ones), factor);
    }
    vectors.release(mark);
  }

  cellCount({ unitVars }: Cells): number {
    return 2 ** (this.circuit.batchVars + unitVars);
  }
}
