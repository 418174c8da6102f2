import type { TensorName } from "../circuit/circuit.ts";
import { mod } from "../field/fr.ts";
import type { Claim, ClaimTerm, Factor, Point } from "../script/backend.ts";
import type { Vector } from "../vectors/field-vectors.ts";
import type { Tables } from "./tables.ts";

interface Pair {
  readonly name: TensorName;
  readonly vars: number;
  weights: Vector;
  values: Vector;
  /** Factors 1 - x of variables that it lacks, and its sum while it waits for its first one. */
  scale: bigint;
  readonly sum: bigint;
  /** The values once the block variables are bound. */
  block: Vector | undefined;
}

/** The prover's side of the claim sumcheck: every tensor with the batched weights of all claims about it. */
export class ClaimTables {
  readonly #tables: Tables;
  readonly #pairs: Pair[];

  constructor(tables: Tables, claims: readonly Claim<bigint>[], weights: Point<bigint>) {
    this.#tables = tables;
    const { vectors, circuit } = tables;
    this.#pairs = circuit.tensors.map(({ name, vars }) => {
      const values = vectors.copy(tables.vector(name));
      const dense = vectors.zeros(2 ** vars);
      this.#addWeights(dense, name, claims, weights);
      const sum = vars < circuit.claimVars ? vectors.dot(dense, values) : 0n;
      return { name, vars, weights: dense, values, scale: 1n, sum, block: undefined };
    });
    this.#snapshot(circuit.claimVars);
  }

  /** Terms with the same factors share one dense vector. */
  #addWeights(target: Vector, tensor: TensorName, claims: readonly Claim<bigint>[], weights: Point<bigint>): void {
    const { vectors } = this.#tables;
    const families = new Map<string, { factors: readonly Factor<bigint>[]; places: Map<number, bigint> }>();
    claims.forEach(({ terms }, j) => {
      for (const term of terms) {
        if (term.tensor !== tensor) continue;
        const key = keyOf(term);
        if (!families.has(key)) families.set(key, { factors: term.factors, places: new Map() });
        const { places } = families.get(key)!;
        places.set(term.offset, mod((places.get(term.offset) ?? 0n) + weights.at(j) * term.coefficient));
      }
    });
    for (const { factors, places } of families.values()) {
      const mark = vectors.mark();
      const base = factors.map((factor) => this.#dense(factor)).reduce((low, high) => vectors.outer(low, high));
      for (const [offset, weight] of places)
        vectors.addScaled(vectors.slice(target, offset, base.length), base, weight);
      vectors.release(mark);
    }
  }

  #dense(factor: Factor<bigint>): Vector {
    const { vectors } = this.#tables;
    const size = 2 ** factor.vars;
    const indicator = (count: number) =>
      vectors.fromIntegers(Int32Array.from({ length: size }, (_, i) => (i < count ? 1 : 0)));
    if (factor.kind === "ones") return indicator(size);
    if (factor.kind === "prefix") return indicator(factor.count);
    const point = Array.from({ length: factor.vars }, (_, k) => factor.point.at(factor.from + k));
    const equality = vectors.equality(point);
    return factor.kind === "equality" ? equality : vectors.multiply(equality, indicator(factor.count));
  }

  #snapshot(round: number): void {
    const { vectors, circuit } = this.#tables;
    if (round !== circuit.settings.blockBits) return;
    for (const pair of this.#pairs) pair.block = vectors.copy(pair.values);
  }

  round(j: number): bigint[] {
    let [c0, c2] = [0n, 0n];
    for (const { vars, weights, values, scale, sum } of this.#pairs) {
      const [a, b] = vars > j ? this.#tables.vectors.quadraticRound(weights, values) : [sum, 0n];
      c0 += scale * a;
      c2 += scale * b;
    }
    return [mod(c0), mod(c2)];
  }

  bind(j: number, x: bigint): void {
    const { vectors } = this.#tables;
    for (const pair of this.#pairs)
      if (pair.vars > j) {
        pair.weights = vectors.fold(pair.weights, x);
        pair.values = vectors.fold(pair.values, x);
      } else pair.scale = mod(pair.scale * (1n - x));
    this.#snapshot(j);
  }

  /** The polynomial to open: the blocks of each tensor bound at the high coordinates, added with the coefficients. */
  combined(coefficients: ReadonlyMap<TensorName, bigint>): Vector {
    const { vectors, circuit } = this.#tables;
    const out = vectors.zeros(2 ** circuit.settings.blockBits);
    for (const { name, block } of this.#pairs) vectors.addScaled(out, block!, coefficients.get(name)!);
    return out;
  }
}

const keyOf = ({ factors }: ClaimTerm<bigint>): string =>
  factors
    .map((factor) => {
      const count = "count" in factor ? factor.count : "";
      return [factor.kind, factor.vars, count, ...("point" in factor ? [factor.point.id, factor.from] : [])].join("/");
    })
    .join(" ");
