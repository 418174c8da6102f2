import { inverse, mod, P } from "../field/fr.ts";
import type { Point } from "../script/backend.ts";
import type { FieldVectors, Vector } from "../vectors/field-vectors.ts";

/**
 * The prover's side of the opening: HyperKZG (Gemini folding, ePrint 2022/420, section 2.4) with even and odd parts
 * instead of values at r and -r, and one quotient for all points. See docs/proof-system.md, "Opening".
 */
export class Opening {
  readonly #vectors: FieldVectors;
  /** P_0 ... P_(l-1), halving in length; P_0 is what is opened. */
  readonly folds: Vector[];
  #r = 0n;
  #batched: Vector | undefined;
  #quotient: Vector | undefined;

  constructor(vectors: FieldVectors, polynomial: Vector, vars: number, rho: Point<bigint>) {
    this.#vectors = vectors;
    this.folds = [polynomial];
    for (let i = 0; i + 1 < vars; i++) this.folds.push(vectors.foldLow(this.folds[i]!, rho.at(i)));
  }

  /** Even and odd part of each fold at r^2, then P_0(r^2). */
  evaluations(r: bigint): bigint[] {
    this.#r = r;
    const words = this.folds.flatMap((fold) => {
      const { even, odd } = this.#parts(fold);
      return [even, odd];
    });
    return [...words, this.#vectors.evaluate(this.folds[0]!, mod(r * r))];
  }

  #parts(polynomial: Vector): { even: bigint; odd: bigint } {
    const r = this.#r;
    const [plus, minus] = [this.#vectors.evaluate(polynomial, r), this.#vectors.evaluate(polynomial, mod(-r))];
    return { even: mod((plus + minus) * inverse(2n)), odd: mod((plus - minus) * inverse(mod(2n * r))) };
  }

  /** Top coefficient of the polynomial even + odd X + kappa (X^2 - r^2) through the values at r, -r and r^2. */
  kappa(q: bigint): bigint {
    const vectors = this.#vectors;
    const batched = vectors.zeros(this.folds[0]!.length);
    let weight = 1n;
    for (const fold of this.folds) {
      vectors.addScaled(vectors.slice(batched, 0, fold.length), fold, weight);
      weight = (weight * q) % P;
    }
    this.#batched = batched;
    const r2 = mod(this.#r * this.#r);
    const { even, odd } = this.#parts(batched);
    return mod((vectors.evaluate(batched, r2) - even - odd * r2) * inverse(mod(r2 * r2 - r2)));
  }

  quotient(): Vector {
    const vectors = this.#vectors;
    const r = this.#r;
    let quotient = this.#batched!;
    for (const root of [r, mod(-r), mod(r * r)]) quotient = vectors.divideLinear(quotient, root);
    this.#quotient = quotient;
    return quotient;
  }

  /** Witness that batched - (value at z) - (vanishing polynomial at z) quotient vanishes at z. */
  witness(z: bigint): Vector {
    const vectors = this.#vectors;
    const r2 = mod(this.#r * this.#r);
    const rest = vectors.copy(this.#batched!);
    vectors.addScaled(rest, this.#quotient!, mod(-(z * z - r2) * (z - r2)));
    return vectors.divideLinear(rest, z);
  }
}
