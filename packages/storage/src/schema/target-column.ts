// Which column of a file holds the classes, where nobody says it.
import type { ColumnStatistics } from "../inspect/statistics.ts";
import type { ColumnInfo } from "../readers/reader.ts";

/** Names by which files usually call their classes. */
const NAMES = /^(y|label|labels|target|targets|class|classes|species|diagnosis)(_train)?$/i;
/** The column that tells the parts for training and testing apart: never classes. */
export const SPLIT_COLUMN = "split";
export const MAX_CLASSES = 256;

/** Columns that may hold the classes, the likeliest first: those with a usual name, then the last one. */
export function targetCandidates(infos: readonly ColumnInfo[]): number[] {
  const last = infos.length - 1;
  const named = infos.flatMap(({ name }, at) => (NAMES.test(name) ? [at] : []));
  const all = last > 0 && !named.includes(last) ? [...named, last] : named;
  return all.filter((at) => infos[at]!.name !== SPLIT_COLUMN && (infos[at]!.shape ?? []).length === 0);
}

/** Whether values can be classes: few different ones, each more than once in a longer table, and no fractions. */
export function canBeClasses(seen: ColumnStatistics): boolean {
  const present = seen.rows - seen.missing;
  const different = seen.distinct ?? Infinity;
  const fractions = seen.numbers + seen.nan + seen.infinite === present && seen.integers < present;
  return present > 0 && different <= MAX_CLASSES && (present <= 20 || different <= present / 2) && !fractions;
}
