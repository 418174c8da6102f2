import type { TensorName } from "../circuit/circuit.ts";
import { mod } from "../field/fr.ts";
import type { Claim, ClaimTerm, Point } from "../script/backend.ts";
import type { Vector } from "../vectors/field-vectors.ts";
import { type Family, familiesOf, WeightTables } from "./claim-weights.ts";
import type { Tables } from "./tables.ts";

/** One tensor in the claim sumcheck: its weights times its values, top variable first. */
interface Side {
  readonly vars: number;
  /** c_0 and c_2 of this round's polynomial. */
  round(): readonly [bigint, bigint];
  bind(x: bigint): void;
  /** Sum of weights times values. */
  sum(): bigint;
  /** The values with all block variables bound; defined once they are. */
  block(): Vector;
}

/** A side that holds all its weights and values as field elements. */
class DenseSide implements Side {
  readonly #tables: Tables;
  readonly #blockBits: number;
  #vars: number;
  #weights: Vector;
  #values: Vector;
  #block: Vector | undefined;

  constructor(tables: Tables, weights: Vector, values: Vector, vars: number) {
    this.#tables = tables;
    this.#blockBits = tables.circuit.settings.blockBits;
    this.#weights = weights;
    this.#values = values;
    this.#vars = vars;
    this.#snapshot();
  }

  get vars(): number {
    return this.#vars;
  }

  #snapshot(): void {
    if (this.#vars === this.#blockBits) this.#block = this.#tables.vectors.copy(this.#values);
  }

  round(): readonly [bigint, bigint] {
    return this.#tables.vectors.quadraticRound(this.#weights, this.#values);
  }

  bind(x: bigint): void {
    const { vectors } = this.#tables;
    this.#weights = vectors.fold(this.#weights, x);
    this.#values = vectors.fold(this.#values, x);
    this.#vars--;
    this.#snapshot();
  }

  sum(): bigint {
    return this.#tables.vectors.dot(this.#weights, this.#values);
  }

  /** Multiplies the weights, then adds others; only for sides of one block. */
  reweigh(scale: bigint, add: (weights: Vector) => void): void {
    const { vectors } = this.#tables;
    const weights = vectors.zeros(this.#weights.length);
    vectors.addScaled(weights, this.#weights, scale);
    add(weights);
    this.#weights = weights;
  }

  /** The value when all variables are bound. */
  value(): bigint {
    return this.#tables.vectors.get(this.#values, 0);
  }

  block(): Vector {
    return this.#block!;
  }
}

/** Weights low ⊗ high with the products of `low` and every block of the values. */
interface BlockFamily {
  readonly low: Vector;
  high: bigint[];
  dots: bigint[];
}

/**
 * A side whose values are integers in several blocks. While block variables are bound, only the products of each family's
 * low part with every block matter: integer products, ten times cheaper than folding field elements.
 */
class BlockSide implements Side {
  readonly #tables: Tables;
  readonly #rows: Int32Array;
  readonly #families: BlockFamily[];
  readonly #bound: bigint[] = [];
  #blockVars: number;
  #dense: DenseSide | undefined;

  constructor(tables: Tables, cells: Int32Array, blockVars: number, families: readonly Family[]) {
    const { vectors, circuit } = tables;
    const size = 2 ** circuit.settings.blockBits;
    this.#tables = tables;
    this.#blockVars = blockVars;
    this.#rows = new Int32Array(Math.ceil(cells.length / size) * size);
    this.#rows.set(cells);
    this.#families = families.map(({ low, high }) => {
      const dots = Array<bigint>(2 ** blockVars).fill(0n);
      const mark = vectors.mark();
      vectors.toBigInts(vectors.integerRowDots(this.#rows, low)).forEach((value, i) => (dots[i] = value));
      vectors.release(mark);
      return { low, high: [...high], dots };
    });
  }

  get vars(): number {
    return this.#dense?.vars ?? this.#tables.circuit.settings.blockBits + this.#blockVars;
  }

  round(): readonly [bigint, bigint] {
    if (this.#dense !== undefined) return this.#dense.round();
    let [c0, c2] = [0n, 0n];
    const half = 2 ** (this.#blockVars - 1);
    for (const { high, dots } of this.#families)
      for (let i = 0; i < half; i++) {
        c0 += high[i]! * dots[i]!;
        c2 += (high[i + half]! - high[i]!) * (dots[i + half]! - dots[i]!);
      }
    return [mod(c0), mod(c2)];
  }

  bind(x: bigint): void {
    if (this.#dense !== undefined) return this.#dense.bind(x);
    const half = 2 ** (this.#blockVars - 1);
    const fold = (values: bigint[]) => values.slice(0, half).map((low, i) => mod(low + x * (values[i + half]! - low)));
    for (const family of this.#families) {
      family.high = fold(family.high);
      family.dots = fold(family.dots);
    }
    this.#bound.unshift(x);
    this.#blockVars--;
    if (this.#blockVars === 0) this.#dense = this.#bindBlocks();
  }

  #bindBlocks(): DenseSide {
    const { vectors, circuit } = this.#tables;
    const { blockBits } = circuit.settings;
    const size = 2 ** blockBits;
    const weights = vectors.zeros(size);
    for (const { low, high } of this.#families) vectors.addScaled(weights, low, high[0]!);
    const values = vectors.zeros(size);
    const mark = vectors.mark();
    const blocks = vectors.slice(vectors.equality(this.#bound), 0, this.#rows.length / size);
    vectors.copyInto(values, vectors.integerColumnDots(this.#rows, blocks));
    vectors.release(mark);
    return new DenseSide(this.#tables, weights, values, blockBits);
  }

  sum(): bigint {
    if (this.#dense !== undefined) return this.#dense.sum();
    return mod(
      this.#families.reduce((total, { high, dots }) => high.reduce((own, h, i) => own + h * dots[i]!, total), 0n),
    );
  }

  block(): Vector {
    return this.#dense!.block();
  }
}

interface Entry {
  readonly name: TensorName;
  readonly side: Side;
  /** Factors 1 - x of variables that the tensor lacks, and its sum while it waits for its first one. */
  scale: bigint;
  sum: bigint | undefined;
}

/** The prover's side of the claim sumcheck: every tensor with the batched weights of all claims about it. */
export class ClaimTables {
  readonly #tables: Tables;
  readonly #weights: WeightTables;
  readonly #entries: Entry[];

  constructor(tables: Tables, claims: readonly Claim<bigint>[], weights: Point<bigint>) {
    this.#tables = tables;
    this.#weights = new WeightTables(tables.vectors);
    this.#entries = tables.circuit.tensors.map(({ name, vars }) => {
      const side = this.#makeSide(name, vars, familiesOf(name, claims, weights));
      return { name, side, scale: 1n, sum: undefined };
    });
  }

  #makeSide(name: TensorName, vars: number, families: ReturnType<typeof familiesOf>): Side {
    const weights = this.#weights;
    const { vectors, circuit } = this.#tables;
    const { blockBits } = circuit.settings;
    const cells = this.#tables.cells(name);
    if (cells instanceof Int32Array && vars > blockBits)
      return new BlockSide(this.#tables, cells, vars - blockBits, weights.split(families, blockBits, vars - blockBits));
    const dense = vectors.zeros(2 ** vars);
    weights.addAll(dense, families);
    return new DenseSide(this.#tables, dense, vectors.copy(this.#tables.vector(name)), vars);
  }

  round(j: number): bigint[] {
    let [c0, c2] = [0n, 0n];
    for (const entry of this.#entries) {
      const [a, b] = entry.side.vars > j ? entry.side.round() : [(entry.sum ??= entry.side.sum()), 0n];
      c0 += entry.scale * a;
      c2 += entry.scale * b;
    }
    return [mod(c0), mod(c2)];
  }

  bind(j: number, x: bigint): void {
    for (const entry of this.#entries)
      if (entry.side.vars > j) entry.side.bind(x);
      else entry.scale = mod(entry.scale * (1n - x));
  }

  /** Terms that join once the block variables are bound: about tensors of one block. */
  join(terms: readonly ClaimTerm<bigint>[]): void {
    for (const entry of this.#entries) {
      const families = familiesOf(entry.name, [{ terms }], { id: "late", at: () => 1n });
      if (families.length === 0) continue;
      if (!(entry.side instanceof DenseSide)) throw new Error(`the tensor ${entry.name} has several blocks`);
      entry.side.reweigh(entry.scale, (weights) => this.#weights.addAll(weights, families));
      entry.scale = 1n;
      entry.sum = undefined;
    }
  }

  /** Value of a tensor of one block at the point. */
  valueOf(tensor: TensorName): bigint {
    const { side } = this.#entries.find(({ name }) => name === tensor)!;
    if (!(side instanceof DenseSide)) throw new Error(`the tensor ${tensor} has several blocks`);
    return side.value();
  }

  /** The polynomial to open: the blocks of each tensor bound at the high coordinates, added with the coefficients. */
  combined(coefficients: ReadonlyMap<TensorName, bigint>): Vector {
    const { vectors, circuit } = this.#tables;
    const out = vectors.zeros(2 ** circuit.settings.blockBits);
    for (const { name, side } of this.#entries) vectors.addScaled(out, side.block(), coefficients.get(name)!);
    return out;
  }
}
