// Multilinear extensions as dense tables in BigInt: slow, obvious, independent of the prover's kernels.
import { mod, P } from "../field/fr.ts";
import type { ClaimTerm, Factor, Point } from "../script/backend.ts";

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** eq(point, index) of every index, the lowest bit first. */
export function equalities(point: readonly bigint[]): bigint[] {
  return range(2 ** point.length).map((index) =>
    point.reduce((product, x, k) => (product * (Math.floor(index / 2 ** k) % 2 === 1 ? x : mod(1n - x))) % P, 1n),
  );
}

export const coordinates = (point: Point<bigint>, from: number, vars: number): bigint[] =>
  range(vars).map((k) => point.at(from + k));

/** Value of the multilinear extension of a table. */
export function extension(table: readonly bigint[], point: readonly bigint[]): bigint {
  return dot(equalities(point), table);
}

export function dot(a: readonly bigint[], b: readonly bigint[]): bigint {
  return mod(a.reduce((total, value, i) => total + value * b[i]!, 0n));
}

/** Binds the top variable. */
export function bindTop(table: readonly bigint[], x: bigint): bigint[] {
  const half = table.length / 2;
  return range(half).map((i) => mod(table[i]! + x * (table[half + i]! - table[i]!)));
}

/** Binds the lowest variable. */
export function bindLow(table: readonly bigint[], x: bigint): bigint[] {
  return range(table.length / 2).map((i) => mod(table[2 * i]! + x * (table[2 * i + 1]! - table[2 * i]!)));
}

/** A factor of a weight as the table that it stands for. */
export function factorTable(factor: Factor<bigint>): bigint[] {
  const count = "count" in factor ? factor.count : 2 ** factor.vars;
  const table =
    "point" in factor
      ? equalities(coordinates(factor.point, factor.from, factor.vars))
      : range(2 ** factor.vars).map(() => 1n);
  return table.map((value, i) => (i < count ? value : 0n));
}

/** The cells of a term's weight, from its offset on. */
export function termTable({ factors, coefficient }: ClaimTerm<bigint>): bigint[] {
  return factors
    .map(factorTable)
    .reduce((low, high) => high.flatMap((b) => low.map((a) => (a * b) % P)), [mod(coefficient)]);
}
