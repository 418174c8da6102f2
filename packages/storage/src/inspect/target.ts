import type { Cell, Column, ColumnInfo, RowBlock } from "../readers/reader.ts";
import { StorageError } from "../errors.ts";
import { canBeClasses, targetCandidates } from "../schema/target-column.ts";
import { createStatistics, isMissing } from "./statistics.ts";

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
  const candidates = targetCandidates(infos);
  const statistics = createStatistics(candidates.map((at) => infos[at]!));
  for (const block of first) statistics.add({ ...block, columns: candidates.map((at) => block.columns[at]!) });
  const seen = statistics.result();
  return candidates.find((_, i) => canBeClasses(seen[i]!));
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
