import type { Cell, CellColumn, Column, ColumnInfo, RowBlock, TensorColumn } from "../readers/reader.ts";
import { DistinctValues, limitsFor, NARROW_LIMITS, type DistinctLimits, type ValueCount } from "./distinct.ts";
import { Moments, type Summary } from "./moments.ts";

/** Texts that stand for a value that is missing, as pandas and R write them, and "?" as the UCI archive does. */
export const MISSING_TEXTS: ReadonlySet<string> = new Set(
  ", NA, N/A, n/a, <NA>, #N/A, null, NULL, None, NaN, nan, ?".split(", "),
);

/** Tensors with more numbers in a row are summed up as a whole only. */
const MAX_ELEMENTS = 65_536;

/** What was seen of one column. Counts are of rows, but `nan` and `infinite` of numbers. */
export interface ColumnStatistics extends ColumnInfo {
  readonly rows: number;
  /** Cells: null, or a text of {@link MISSING_TEXTS}; those are in no count below but `empty`. */
  readonly missing: number;
  /** Of those that are missing: texts without a character other than spaces. */
  readonly empty: number;
  /** Cells that are finite numbers, or texts of one. */
  readonly numbers: number;
  /** Of these: whole numbers that a double holds exactly. */
  readonly integers: number;
  /** Cells that are true or false, also as a text in any case. */
  readonly booleans: number;
  readonly nan: number;
  /** Also texts of numbers that are too large for a double. */
  readonly infinite: number;
  /** Of all finite numbers; undefined if there are none. */
  readonly summary?: Summary;
  /** Of tensors with a shape: the same of each of their numbers, in row-major order. */
  readonly elements?: readonly (Summary | undefined)[];
  /** Different values that are not missing; undefined for tensors with a shape. */
  readonly distinct?: number;
  /** false: `distinct` is an estimate, and there are no `values`. */
  readonly distinctExact: boolean;
  /** Up to 1,000 values (fewer in tables of more than 500 columns) with the number of their occurrences, the most frequent first. */
  readonly values: readonly ValueCount[];
}

export interface StatisticsOptions {
  /** Texts that stand for a missing value instead of {@link MISSING_TEXTS}; compared after spaces were cut off. */
  readonly missing?: ReadonlySet<string> | undefined;
  /** Position of the column of the classes: 1,000 of its values are counted, however many columns there are. */
  readonly target?: number | undefined;
}

export interface Statistics {
  /** @param block with the columns that the statistics were created for */
  add(block: RowBlock): void;
  result(): ColumnStatistics[];
}

/** Sums up columns block by block; memory does not grow with the number of rows. */
export function createStatistics(columns: readonly ColumnInfo[], options: StatisticsOptions = {}): Statistics {
  const missing = options.missing ?? MISSING_TEXTS;
  const shared = limitsFor(columns.length);
  const scratch = { numbers: new Float64Array(1_024) };
  const parts = columns.map((column, i) => {
    const limits = i === options.target ? NARROW_LIMITS : shared;
    return column.kind === "cells"
      ? new CellStatistics(column, missing, limits, scratch)
      : new TensorStatistics(column, limits);
  });
  return {
    add: (block) => block.columns.forEach((column, i) => parts[i]!.add(column, block.rows)),
    result: () => parts.map((part) => part.result()),
  };
}

/** The number that a cell is or spells in decimal; Infinity if it is too large for a double; undefined: none. */
export function numberOf(cell: Cell): number | undefined {
  if (typeof cell === "number") return cell;
  if (typeof cell !== "string" || cell === "") return undefined;
  const value = Number(cell);
  if (Number.isNaN(value)) return undefined;
  // Number() takes spaces alone, "0x10", "0b1" and "0o7" as well; most cells begin otherwise.
  const first = cell.charCodeAt(0);
  const isOrdinary =
    (first > ZERO && first <= NINE) || first === MINUS || (first === ZERO && cell.charCodeAt(1) <= NINE);
  return isOrdinary || !/^\s*(0[xob]|$)/i.test(cell) ? value : undefined;
}

const [ZERO, NINE, MINUS] = [48, 57, 45];

export function isMissing(cell: Cell, texts: ReadonlySet<string> = MISSING_TEXTS): boolean {
  if (typeof cell !== "string") return cell === null;
  if (texts.has(cell)) return true;
  // Only then is there anything to cut off.
  const [first, last] = [cell.charCodeAt(0), cell.charCodeAt(cell.length - 1)];
  return (
    (first <= SPACE || last <= SPACE || first >= NO_BREAK_SPACE || last >= NO_BREAK_SPACE) && texts.has(cell.trim())
  );
}

const SPACE = 0x20;
const NO_BREAK_SPACE = 0xa0;

class CellStatistics {
  readonly #info: ColumnInfo;
  readonly #missingTexts: ReadonlySet<string>;
  readonly #distinct: DistinctValues;
  readonly #moments = new Moments(1);
  readonly #counts = { rows: 0, missing: 0, empty: 0, integers: 0, booleans: 0 };
  readonly #scratch: { numbers: Float64Array };

  /** @param scratch that all columns use, one after the other */
  constructor(
    info: ColumnInfo,
    missingTexts: ReadonlySet<string>,
    limits: DistinctLimits,
    scratch: { numbers: Float64Array },
  ) {
    this.#info = info;
    this.#missingTexts = missingTexts;
    this.#distinct = new DistinctValues(limits);
    this.#scratch = scratch;
  }

  add(column: Column, rows: number): void {
    const { values } = column as CellColumn;
    if (this.#scratch.numbers.length < rows) this.#scratch.numbers = new Float64Array(rows);
    const found = this.#scratch.numbers;
    let numbers = 0;
    for (let row = 0; row < rows; row++) {
      const cell = values[row]!;
      if (isMissing(cell, this.#missingTexts)) {
        this.#counts.missing++;
        if (typeof cell === "string" && cell.trim() === "") this.#counts.empty++;
        continue;
      }
      this.#distinct.add(cell);
      const number = numberOf(cell);
      if (number !== undefined) {
        found[numbers++] = number;
        if (Number.isSafeInteger(number)) this.#counts.integers++;
      } else if (typeof cell === "boolean" || /^\s*(true|false)\s*$/i.test(cell as string)) this.#counts.booleans++;
    }
    this.#counts.rows += rows;
    this.#moments.add(found, numbers);
  }

  result(): ColumnStatistics {
    const summary = this.#moments.at(0);
    return {
      ...this.#info,
      ...this.#counts,
      numbers: summary?.count ?? 0,
      nan: this.#moments.nan,
      infinite: this.#moments.infinite,
      ...(summary && { summary }),
      distinct: this.#distinct.count,
      distinctExact: this.#distinct.exact,
      values: this.#distinct.top(),
    };
  }
}

class TensorStatistics {
  readonly #info: ColumnInfo;
  readonly #distinct: DistinctValues | undefined;
  readonly #moments: Moments;
  #rows = 0;
  #integers = 0;

  constructor(info: ColumnInfo, limits: DistinctLimits) {
    this.#info = info;
    const shape = info.shape ?? [];
    const width = shape.reduce((product, size) => product * size, 1);
    this.#distinct = shape.length === 0 ? new DistinctValues(limits) : undefined;
    this.#moments = new Moments(width >= 1 && width <= MAX_ELEMENTS ? width : 1);
  }

  add(column: Column, rows: number): void {
    const { values } = column as TensorColumn;
    this.#rows += rows;
    this.#moments.add(values);
    if (this.#distinct === undefined) return;
    for (const value of values) {
      this.#distinct.add(value);
      if (Number.isSafeInteger(value)) this.#integers++;
    }
  }

  result(): ColumnStatistics {
    const { width, nan, infinite } = this.#moments;
    const summary = this.#moments.all();
    const scalar = this.#distinct !== undefined;
    return {
      ...this.#info,
      rows: this.#rows,
      missing: 0,
      empty: 0,
      numbers: scalar ? (summary?.count ?? 0) : this.#rows,
      integers: this.#integers,
      booleans: 0,
      nan,
      infinite,
      ...(summary && { summary }),
      ...(!scalar && width > 1 && { elements: Array.from({ length: width }, (_, j) => this.#moments.at(j)) }),
      ...(scalar && { distinct: this.#distinct!.count }),
      distinctExact: this.#distinct?.exact ?? true,
      values: this.#distinct?.top() ?? [],
    };
  }
}
