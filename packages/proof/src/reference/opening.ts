import { inverse, mod } from "../field/fr.ts";
import { bindLow, range } from "./dense.ts";

/** The other side of an opening. */
export interface Exchange {
  commit(polynomials: readonly (readonly bigint[])[]): void;
  words(values: readonly bigint[]): void;
  draw(): bigint;
}

/** Opens a polynomial at rho, modulo p: see docs/proof-system.md, "Opening". */
export function openPlainly(polynomial: readonly bigint[], rho: readonly bigint[], p: bigint, other: Exchange): void {
  const reduce = (value: bigint) => mod(value, p);
  const at = (coefficients: readonly bigint[], x: bigint) => evaluate(coefficients, x, p);
  const folds = [polynomial];
  for (const i of range(rho.length - 1)) folds.push(bindLow(folds[i]!, rho[i]!, p));
  other.commit(folds.slice(1));
  const r = other.draw();
  const r2 = reduce(r * r);
  const half = (fold: readonly bigint[], parity: number) =>
    at(
      fold.filter((_, i) => i % 2 === parity),
      r2,
    );
  other.words([...folds.flatMap((fold) => [half(fold, 0), half(fold, 1)]), at(polynomial, r2)]);
  const q = other.draw();
  const batched = polynomial.map((_, i) => reduce(folds.reduceRight((sum, fold) => sum * q + (fold[i] ?? 0n), 0n)));
  const [even, odd] = [half(batched, 0), half(batched, 1)];
  const kappa = reduce((at(batched, r2) - even - odd * r2) * inverse(reduce(r2 * r2 - r2), p));
  other.words([kappa]);
  // batched = even + odd X + kappa (X^2 - r^2) + (X - r)(X + r)(X - r^2) quotient
  const rest = [...batched];
  rest[0] = reduce(rest[0]! - even + kappa * r2);
  rest[1] = reduce(rest[1]! - odd);
  rest[2] = reduce((rest[2] ?? 0n) - kappa);
  const quotient = [r, -r, r2].reduce((coefficients: readonly bigint[], root) => divide(coefficients, root, p), rest);
  other.commit([quotient]);
  const z = other.draw();
  const vanishing = reduce((z * z - r2) * (z - r2));
  const value = reduce(even + odd * z + kappa * (z * z - r2));
  const all = batched.map((coefficient, i) => reduce(coefficient - vanishing * (quotient[i] ?? 0n)));
  if (at(all, z) !== value) throw new Error("the quotient is not exact");
  all[0] = reduce(all[0]! - value);
  other.commit([divide(all, z, p)]);
}

function evaluate(coefficients: readonly bigint[], x: bigint, p: bigint): bigint {
  return coefficients.reduceRight((value, coefficient) => mod(value * x + coefficient, p), 0n);
}

/** The quotient by X - root of a polynomial that vanishes there. */
function divide(coefficients: readonly bigint[], root: bigint, p: bigint): bigint[] {
  const quotient: bigint[] = [];
  let carry = 0n;
  for (let i = coefficients.length - 1; i > 0; i--) {
    carry = mod(carry * root + coefficients[i]!, p);
    quotient[i - 1] = carry;
  }
  return quotient;
}
