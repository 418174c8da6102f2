import type { Cell, Column, ColumnInfo, RowBlock } from "../readers/reader.ts";
import { StorageError } from "../errors.ts";
import { createStatistics, isMissing, type ColumnStatistics } from "./statistics.ts";

/** Names by which files usually call their classes. */
const NAMES = /^(y|label|labels|target|targets|class|classes|species|diagnosis)(_train)?$/i;
const MAX_CLASSES = 256;

/** Whether values can be classes: few different ones, most of them more than once, and no fractions. */
function canBeClasses(seen: ColumnStatistics): boolean {
  const present = seen.rows - seen.missing;
  const different = seen.distinct ?? Infinity;
  const fractions = seen.numbers + seen.nan + seen.infinite === present && seen.integers < present;
  return present > 0 && different <= MAX_CLASSES && (present <= 20 || different <= present / 2) && !fractions;
}

/**
 * Which column holds the classes: the one with a usual name, else the last one, if its first values can be classes.
 * @param wanted its name, when it is said
 * @throws StorageError `BadSchema` if there is no column of that name
 */
export function findTarget(
  infos: readonly ColumnInfo[],
  first: readonly RowBlock[],
  wanted: string | undefined,
): number | undefined {
  if (wanted !== undefined) {
    const at = infos.findIndex(({ name }) => name === wanted);
    if (at >= 0) return at;
    const names = infos.map(({ name }) => name);
    const list = names.length > 12 ? `${names.slice(0, 12).join(", ")}, ...` : names.join(", ");
    throw new StorageError("BadSchema", `there is no column "${wanted}"`, { hint: `the columns are: ${list}` });
  }
  const last = infos.length - 1;
  const candidates = infos.flatMap(({ name }, at) => (at === last || NAMES.test(name) ? [at] : []));
  const statistics = createStatistics(candidates.map((at) => infos[at]!));
  for (const block of first) statistics.add({ ...block, columns: candidates.map((at) => block.columns[at]!) });
  const seen = statistics.result();
  const usable = (at: number) => infos[at]!.name !== "split" && canBeClasses(seen[candidates.indexOf(at)]!);
  const named = candidates.find((at) => NAMES.test(infos[at]!.name) && usable(at));
  if (named !== undefined) return named;
  return last > 0 && usable(last) ? last : undefined;
}

/** The value of a column without a shape. */
export const valueAt = (column: Column, row: number): Cell => column.values[row]!;

/** Watches whether each value of a column comes with one class only: then a model need not learn anything else. */
export class LeakWatch {
  #classes: Map<Cell, Cell> | undefined = new Map();
  readonly #most: number;

  /** @param most values that are watched: a column with more is let go */
  constructor(most: number) {
    this.#most = most;
  }

  add(values: Column, target: Column, rows: number): void {
    if (this.#classes === undefined) return;
    for (let row = 0; row < rows; row++) {
      const value = valueAt(values, row);
      const label = valueAt(target, row);
      if (isMissing(value) || isMissing(label)) continue;
      const before = this.#classes.get(value);
      if (before === undefined && this.#classes.size < this.#most) this.#classes.set(value, label);
      else if (before !== label) {
        this.#classes = undefined;
        return;
      }
    }
  }

  /** Different values, if each came with one class only. */
  get values(): number | undefined {
    return this.#classes?.size;
  }

  /** Classes that the values tell. */
  get classes(): number {
    return new Set(this.#classes?.values()).size;
  }
}
