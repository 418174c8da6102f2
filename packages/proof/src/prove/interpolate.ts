import { inverse, mod, P } from "../field/fr.ts";

const rows = new Map<number, bigint[][]>();

/** Coefficients of the Lagrange basis on 0 ... degree. */
function basis(degree: number): bigint[][] {
  const known = rows.get(degree);
  if (known !== undefined) return known;
  const made = Array.from({ length: degree + 1 }, (_, i) => {
    let polynomial = [1n];
    let denominator = 1n;
    for (let k = 0; k <= degree; k++) {
      if (k === i) continue;
      const next = Array<bigint>(polynomial.length + 1).fill(0n);
      polynomial.forEach((value, e) => {
        next[e] = mod(next[e]! - value * BigInt(k));
        next[e + 1] = mod(next[e + 1]! + value);
      });
      polynomial = next;
      denominator = mod(denominator * BigInt(i - k));
    }
    const scale = inverse(denominator);
    return polynomial.map((value) => (value * scale) % P);
  });
  rows.set(degree, made);
  return made;
}

/** Coefficients c_0 ... c_degree of the polynomial with these values at 0 ... degree. */
export function interpolate(values: readonly bigint[]): bigint[] {
  const lagrange = basis(values.length - 1);
  return values.map((_, e) => mod(values.reduce((total, value, i) => total + value * lagrange[i]![e]!, 0n)));
}
