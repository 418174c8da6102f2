// Multilinear extensions as dense tables in BigInt: slow, obvious, independent of the prover's kernels.
import { mod, P } from "../field/fr.ts";
import type { ClaimTerm, Factor, Point, RoundPads } from "../script/backend.ts";

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** eq(point, index) of every index, the lowest bit first. */
export function equalities(point: readonly bigint[], p: bigint = P): bigint[] {
  return range(2 ** point.length).map((index) =>
    point.reduce((product, x, k) => (product * (Math.floor(index / 2 ** k) % 2 === 1 ? x : mod(1n - x, p))) % p, 1n),
  );
}

export const coordinates = (point: Point<bigint>, from: number, vars: number): bigint[] =>
  range(vars).map((k) => point.at(from + k));

/** Value of the multilinear extension of a table. */
export function extension(table: readonly bigint[], point: readonly bigint[], p: bigint = P): bigint {
  return dot(equalities(point, p), table, p);
}

export function dot(a: readonly bigint[], b: readonly bigint[], p: bigint = P): bigint {
  return mod(
    a.reduce((total, value, i) => total + value * b[i]!, 0n),
    p,
  );
}

/** Binds the top variable. */
export function bindTop(table: readonly bigint[], x: bigint, p: bigint = P): bigint[] {
  const half = table.length / 2;
  return range(half).map((i) => mod(table[i]! + x * (table[half + i]! - table[i]!), p));
}

/** Binds the lowest variable. */
export function bindLow(table: readonly bigint[], x: bigint, p: bigint = P): bigint[] {
  return range(table.length / 2).map((i) => mod(table[2 * i]! + x * (table[2 * i + 1]! - table[2 * i]!), p));
}

/** A factor of a weight as the table that it stands for. */
export function factorTable(factor: Factor<bigint>, p: bigint = P): bigint[] {
  const size = 2 ** factor.vars;
  switch (factor.kind) {
    case "place":
      return range(size).map((i) => BigInt(i + 1));
    case "zeroRounds":
    case "productRounds":
      return roundTable(factor, p);
    default: {
      const count = "count" in factor ? factor.count : size;
      const table =
        "point" in factor
          ? equalities(coordinates(factor.point, factor.from, factor.vars), p)
          : range(size).map(() => 1n);
      return table.map((value, i) => (i < count ? value : 0n));
    }
  }
}

/**
 * How the final claim of a sumcheck depends on each scalar that was sent: claim' = claim + sum_i t_i (x^i - tau), or
 * claim' = x claim + (1 - 2 x) c_0 + (x^2 - x) c_2.
 */
function roundTable({ kind, vars, from, degree, top, bottom, point, tau }: RoundPads<bigint>, p: bigint): bigint[] {
  const table = range(2 ** vars).map(() => 0n);
  for (let j = bottom; j < top; j++) {
    const x = point.at(j);
    const lower = kind === "zeroRounds" ? [] : range(j - bottom).map((k) => point.at(bottom + k));
    const later = lower.reduce((product, value) => (product * value) % p, 1n);
    const own =
      kind === "zeroRounds"
        ? range(degree).map((i) => x ** BigInt(i + 1) - tau!.at(j))
        : [(1n - 2n * x) * later, (x * x - x) * later];
    own.forEach((weight, i) => (table[from + degree * (top - 1 - j) + i] = mod(weight, p)));
  }
  return table;
}

/** The cells of a term's weight, from its offset on. */
export function termTable({ factors, coefficient }: ClaimTerm<bigint>, p: bigint = P): bigint[] {
  return factors
    .map((factor) => factorTable(factor, p))
    .reduce((low, high) => high.flatMap((b) => low.map((a) => (a * b) % p)), [mod(coefficient, p)]);
}
