import type { TensorName } from "../circuit/circuit.ts";
import { mod, P } from "../field/fr.ts";
import type { ClaimTerm, Factor, Point, RoundPads } from "../script/backend.ts";
import { equalityTable, roundWeights } from "../script/core.ts";
import { keyOf } from "../script/weights.ts";
import type { FieldVectors, Vector } from "../vectors/field-vectors.ts";

/** Terms of one tensor with the same factors; weight x coefficient by offset. */
export interface TermFamily {
  readonly factors: readonly Factor<bigint>[];
  readonly vars: number;
  readonly places: Map<number, bigint>;
}

/** Weights low ⊗ high: `low` over the cells of a block, `high` over the blocks. */
export interface Family {
  readonly low: Vector;
  readonly high: bigint[];
}

/** The batched weights of all claims about a tensor. */
export function familiesOf(
  tensor: TensorName,
  claims: readonly { readonly terms: readonly ClaimTerm<bigint>[] }[],
  weights: Point<bigint>,
): TermFamily[] {
  const families = new Map<string, TermFamily>();
  claims.forEach(({ terms }, j) => {
    for (const term of terms) {
      if (term.tensor !== tensor) continue;
      const key = term.factors.map(keyOf).join(" ");
      const vars = term.factors.reduce((total, factor) => total + factor.vars, 0);
      if (!families.has(key)) families.set(key, { factors: term.factors, vars, places: new Map() });
      const { places } = families.get(key)!;
      places.set(term.offset, mod((places.get(term.offset) ?? 0n) + weights.at(j) * term.coefficient));
    }
  });
  return [...families.values()];
}

const isRounds = (factor: Factor<bigint>): factor is RoundPads<bigint> =>
  factor.kind === "zeroRounds" || factor.kind === "productRounds";

/** One factor, or a part of it, as low ⊗ high around a cut of its index bits. */
interface Cut {
  readonly low: Vector;
  readonly high: bigint[];
}

/** Dense forms of weights. */
export class WeightTables {
  readonly #vectors: FieldVectors;

  constructor(vectors: FieldVectors) {
    this.#vectors = vectors;
  }

  /** target += all families. */
  addAll(target: Vector, families: readonly TermFamily[]): void {
    const vectors = this.#vectors;
    for (const { factors, places } of families) {
      const mark = vectors.mark();
      const base = this.#product(factors);
      for (const [offset, weight] of places)
        vectors.addScaled(vectors.slice(target, offset, base.length), base, weight);
      vectors.release(mark);
    }
  }

  #product(factors: readonly Factor<bigint>[]): Vector {
    if (factors.length === 0) return this.#vectors.fromIntegers(Int32Array.of(1));
    return factors.map((factor) => this.dense(factor)).reduce((low, high) => this.#vectors.outer(low, high));
  }

  dense(factor: Factor<bigint>): Vector {
    const vectors = this.#vectors;
    const size = 2 ** factor.vars;
    if (factor.kind === "ones") return this.#indicator(size, 0, size);
    if (factor.kind === "place") return vectors.fromIntegers(Int32Array.from({ length: size }, (_, i) => i + 1));
    if (isRounds(factor)) return this.#roundPads(factor);
    if (factor.kind === "prefix") return this.#indicator(size, 0, factor.count);
    const equality = vectors.equality(coordinates(factor));
    return factor.kind === "equality" ? equality : vectors.multiply(equality, this.#indicator(size, 0, factor.count));
  }

  #roundPads(pads: RoundPads<bigint>): Vector {
    const cells = Array<bigint>(2 ** pads.vars).fill(0n);
    roundWeights(pads).forEach((weight, i) => (cells[pads.from + i] = weight));
    return this.#vectors.fromBigInts(cells);
  }

  #indicator(size: number, from: number, to: number): Vector {
    return this.#vectors.fromIntegers(Int32Array.from({ length: size }, (_, i) => (i >= from && i < to ? 1 : 0)));
  }

  /**
   * The families cut at the block length: those of at least a block as products, all smaller ones together as one part
   * for each block that they touch.
   */
  split(families: readonly TermFamily[], blockBits: number, blockVars: number): Family[] {
    const vectors = this.#vectors;
    const size = 2 ** blockBits;
    const blocks = 2 ** blockVars;
    const small = new Map<number, Vector>();
    const result: Family[] = [];
    for (const family of families.filter(({ vars }) => vars < blockBits))
      for (const offset of family.places.keys()) {
        const block = Math.floor(offset / size);
        if (!small.has(block)) small.set(block, vectors.zeros(size));
      }
    for (const { factors, vars, places } of families) {
      if (vars >= blockBits) {
        for (const { low, high } of this.#cut(factors, blockBits)) {
          const all = Array<bigint>(blocks).fill(0n);
          for (const [offset, weight] of places)
            high.forEach((value, i) => (all[offset / size + i] = mod(all[offset / size + i]! + weight * value)));
          result.push({ low, high: all });
        }
        continue;
      }
      const mark = vectors.mark();
      const base = this.#product(factors);
      for (const [offset, weight] of places) {
        const target = small.get(Math.floor(offset / size))!;
        vectors.addScaled(vectors.slice(target, offset % size, base.length), base, weight);
      }
      vectors.release(mark);
    }
    for (const [block, low] of small)
      result.push({ low, high: Array.from({ length: blocks }, (_, i) => (i === block ? 1n : 0n)) });
    return result;
  }

  /** A product of factors as a sum of low ⊗ high, cut after `bits` index bits. */
  #cut(factors: readonly Factor<bigint>[], bits: number): Cut[] {
    const vectors = this.#vectors;
    let left = bits;
    let parts: Cut[] = [{ low: vectors.fromIntegers(Int32Array.of(1)), high: [1n] }];
    for (const factor of factors) {
      const inside = Math.min(left, factor.vars);
      const own = this.#cutFactor(factor, inside);
      parts = parts.flatMap((part) =>
        own.map(({ low, high }) => ({
          low: low.length === 1 ? part.low : vectors.outer(part.low, low),
          high: high.flatMap((b) => part.high.map((a) => (a * b) % P)),
        })),
      );
      left -= inside;
    }
    return parts;
  }

  /** A prefix that ends inside a high index is whole below it and partial at it. */
  #cutFactor(factor: Factor<bigint>, bits: number): Cut[] {
    if (factor.kind === "place" || isRounds(factor)) throw new Error("pads and mask lie in one block");
    const size = 2 ** bits;
    const high = factor.vars - bits;
    const lowFactor = { ...factor, vars: bits };
    const table =
      "point" in factor ? equalityTable(coordinates(factor).slice(bits)) : Array<bigint>(2 ** high).fill(1n);
    if (!("count" in factor)) return [{ low: this.dense(lowFactor as Factor<bigint>), high: table }];
    const whole = Math.floor(factor.count / size);
    const rest = factor.count % size;
    const low = (count: number) => this.dense({ ...lowFactor, count } as Factor<bigint>);
    const cuts: Cut[] = [{ low: low(size), high: table.map((value, i) => (i < whole ? value : 0n)) }];
    if (rest > 0) cuts.push({ low: low(rest), high: table.map((value, i) => (i === whole ? value : 0n)) });
    return cuts;
  }
}

function coordinates(factor: Extract<Factor<bigint>, { kind: "equality" | "prefixEquality" }>): bigint[] {
  return Array.from({ length: factor.vars }, (_, k) => factor.point.at(factor.from + k));
}
