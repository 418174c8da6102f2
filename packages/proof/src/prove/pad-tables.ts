import type { PadLayout } from "../circuit/circuit.ts";
import { mod } from "../field/fr.ts";
import { equalityTable } from "../script/core.ts";

/** The prover's side of the zerocheck of the pads' products: a few dozen cells, so that plain integers do. */
export class PadTables {
  #left: bigint[];
  #right: bigint[];
  #product: bigint[];
  readonly #tau: readonly bigint[];

  constructor({ productVars }: PadLayout, pads: readonly bigint[], tau: readonly bigint[]) {
    const pairs = 2 ** productVars;
    this.#left = pads.slice(0, pairs);
    this.#right = pads.slice(pairs, 2 * pairs);
    this.#product = pads.slice(2 * pairs, 3 * pairs);
    this.#tau = tau;
  }

  /** t_1 and t_2 of t(X) = the sum over the other variables of eq(tau, .) (left right - product). */
  round(j: number): bigint[] {
    const half = 2 ** j;
    let [t1, t2] = [0n, 0n];
    equalityTable(this.#tau.slice(0, j)).forEach((weight, i) => {
      const [a, b] = [this.#left[i]!, this.#right[i]!];
      const [da, db] = [this.#left[i + half]! - a, this.#right[i + half]! - b];
      t1 += weight * (a * db + b * da - this.#product[i + half]! + this.#product[i]!);
      t2 += weight * (da * db);
    });
    return [mod(t1), mod(t2)];
  }

  bind(j: number, x: bigint): void {
    const half = 2 ** j;
    const fold = (table: readonly bigint[]) =>
      table.slice(0, half).map((low, i) => mod(low + x * (table[i + half]! - low)));
    this.#left = fold(this.#left);
    this.#right = fold(this.#right);
    this.#product = fold(this.#product);
  }

  factors(): bigint[] {
    return [this.#left[0]!, this.#right[0]!];
  }
}
