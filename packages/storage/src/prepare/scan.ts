// Reads the file once: checks every value and keeps it as a number.
import type { FileHandle } from "node:fs/promises";
import { StorageError } from "../errors.ts";
import { isMissing, numberOf } from "../inspect/statistics.ts";
import type { Cell, Column, DataReader, NumericArray, ReadOptions, RowBlock } from "../readers/reader.ts";
import { sliceRows } from "../readers/rows.ts";
import { MAX_CLASSES } from "../schema/target-column.ts";
import { MAX_CATEGORIES, type PlannedColumn } from "./columns.ts";
import { hashWords } from "./hash-words.ts";
import { allocate, NO_CATEGORY, rowBytes, slotOf, writeBlock, type ScratchBlock } from "./scratch.ts";

/** Larger numbers are mistakes more often than data, and sums over them lose everything else. */
const LARGEST = 1e30;

export interface ScannedColumn {
  /** Of categories: texts in the order of their codes. */
  readonly categories: readonly string[];
  readonly missing: number;
  /** Of a test part: categories that the training part does not have. */
  readonly unknown: number;
}

export interface Scan {
  readonly rows: number;
  readonly dropped: number;
  readonly columns: readonly ScannedColumn[];
}

/** Rows are taken in pieces of about so many bytes. */
const PIECE_BYTES = 8 * 2 ** 20;

/** What one column needs while the file is read. */
class ColumnScan {
  readonly plan: PlannedColumn;
  readonly #codes: Map<string, number>;
  /** Whether the categories are those of the training part, or of dataset.yaml: no others are taken. */
  readonly #isTest: boolean;
  #missing = 0;
  #unknown = 0;

  constructor(plan: PlannedColumn, known: readonly string[] | undefined) {
    this.plan = plan;
    this.#isTest = known !== undefined;
    this.#codes = new Map((known ?? plan.classes ?? []).map((name, code) => [name, code]));
  }

  /** @param drop 1 for rows to leave out */
  read(column: Column, block: RowBlock, file: string, drop: Uint8Array): NumericArray {
    const out = allocate(this.plan, block.rows);
    if (column.kind === "tensor") return this.#tensor(column.values, out, block, file);
    const { values } = column;
    const { kind } = this.plan;
    for (let row = 0; row < block.rows; row++) {
      if (drop[row] === 1) {
        out[row] = Number.NaN;
        continue;
      }
      const cell = values[row]!;
      const at = () => `${file}: ${block.locate(row)}, column "${this.plan.name}"`;
      if (kind === "text") hashWords(cell, out as Uint8Array, row, this.plan.size);
      else if (kind === "category") out[row] = this.#category(cell, at);
      else out[row] = this.#number(cell, at);
    }
    return out;
  }

  #number(cell: Cell, at: () => string): number {
    const value = numberOf(cell) ?? Number.NaN;
    if (!Number.isNaN(value)) {
      if (Math.abs(value) > LARGEST)
        throw new StorageError("BadFile", `${at()}: ${String(cell).slice(0, 40)} is too large or not finite`, {
          hint: `numbers are between -1e30 and 1e30; leave the column out with "${this.plan.name}: ignore" in dataset.yaml`,
        });
      return value;
    }
    if (!isMissing(cell))
      throw new StorageError("BadFile", `${at()}: "${String(cell).slice(0, 40)}" is not a number`, {
        hint: `correct it, or say "type: category" or "type: ignore" for this column in dataset.yaml`,
      });
    this.#miss(at);
    return Number.NaN;
  }

  #category(cell: Cell, at: () => string): number {
    const name = this.#nameOf(cell);
    if (isMissing(cell) && !this.#codes.has(name)) {
      this.#miss(at);
      return NO_CATEGORY;
    }
    return this.#code(name, at);
  }

  /** One name for each class: of numbers the shortest, of texts without spaces around and in one Unicode form. */
  #nameOf(cell: Cell): string {
    const number = this.plan.numeric ? numberOf(cell) : undefined;
    return number === undefined ? String(cell).trim().normalize("NFC") : String(number);
  }

  #code(name: string, at: () => string): number {
    const known = this.#codes.get(name);
    if (known !== undefined) return known;
    const { role, classes } = this.plan;
    const quoted = `"${name.slice(0, 40)}"`;
    if (classes !== undefined)
      throw new StorageError("BadFile", `${at()}: ${quoted} is not among the classes that dataset.yaml names`, {
        hint: "add it there, or leave classes out",
      });
    if (this.#isTest && role === "target")
      throw new StorageError("BadFile", `${at()}: there is no class ${quoted} in the training part`, {
        hint: 'name all classes with "classes: [...]" for the target in dataset.yaml',
      });
    if (this.#isTest) {
      this.#unknown++;
      return NO_CATEGORY;
    }
    const code = this.#codes.size;
    const most = role === "target" ? MAX_CLASSES : MAX_CATEGORIES;
    if (code >= most)
      throw new StorageError("BadFile", `${at()}: more than ${most} different values`, {
        hint:
          role === "target"
            ? `at most ${MAX_CLASSES} classes can be told apart: choose another column with "target: NAME"`
            : `say "type: text" or "type: ignore" for this column in dataset.yaml`,
      });
    this.#codes.set(name, code);
    return code;
  }

  #miss(at: () => string): void {
    this.#missing++;
    if (this.plan.missing === "error")
      throw new StorageError("BadFile", `${at()}: the value is missing`, {
        hint: `"missing: drop" for this column in dataset.yaml leaves such rows out`,
      });
  }

  #tensor(values: NumericArray, out: NumericArray, block: RowBlock, file: string): NumericArray {
    const perRow = this.plan.kind === "category" ? 1 : slotOf(this.plan).count;
    if (values.length !== out.length)
      throw new StorageError("BadFile", `${file}: ${block.locate(0)}, column "${this.plan.name}" has another shape`);
    const at = (i: number) => () => `${file}: ${block.locate(Math.floor(i / perRow))}, column "${this.plan.name}"`;
    if (this.plan.kind === "category") {
      for (let i = 0; i < values.length; i++) out[i] = this.#code(String(values[i]), at(i));
      return out;
    }
    for (let i = 0; i < values.length; i++)
      if (!(Math.abs(values[i]!) <= LARGEST))
        throw new StorageError("BadFile", `${at(i)()}: ${values[i]} is not a finite number`, {
          hint: "numbers are between -1e30 and 1e30",
        });
    out.set(values);
    return out;
  }

  result(): ScannedColumn {
    return { categories: [...this.#codes.keys()], missing: this.#missing, unknown: this.#unknown };
  }
}

export interface ScanOptions extends ReadOptions {
  readonly plan: readonly PlannedColumn[];
  /** Where the rows are kept. */
  readonly scratch: FileHandle;
  readonly onBlock?: (block: ScratchBlock) => void;
  /** Told about each block as it was read, with 1 for rows that are left out. */
  readonly onRows?: ((block: RowBlock, drop: Uint8Array) => void) | undefined;
  /** Of a test part: the categories of the training part, column by column. */
  readonly known?: readonly (readonly string[])[];
}

/** @throws StorageError of the reader, and `BadFile` for a value that does not fit its column, with file and place */
export async function scan(
  reader: DataReader,
  { plan, scratch, known, onBlock, onRows, ...options }: ScanOptions,
): Promise<Scan> {
  const columns = plan.map((column, i) => new ColumnScan(column, column.kind === "category" ? known?.[i] : undefined));
  let rows = 0;
  let dropped = 0;
  const most = Math.max(1, Math.floor(PIECE_BYTES / rowBytes(plan)));
  for await (const block of piecesOf(reader.blocks(options), most)) {
    const drop = rowsToDrop(block, plan);
    const arrays = columns.map((column) => column.read(block.columns[column.plan.index]!, block, reader.file, drop));
    const kept = drop.includes(1) ? withoutDropped(arrays, plan, drop) : { rows: block.rows, columns: arrays };
    rows += kept.rows;
    dropped += block.rows - kept.rows;
    onRows?.(block, drop);
    if (kept.rows === 0) continue;
    onBlock?.(kept);
    await writeBlock(scratch, kept);
  }
  return { rows, dropped, columns: columns.map((column) => column.result()) };
}

async function* piecesOf(blocks: AsyncGenerator<RowBlock>, most: number): AsyncGenerator<RowBlock> {
  for await (const block of blocks)
    for (let from = 0; from < block.rows; from += most) yield sliceRows(block, from, Math.min(block.rows, from + most));
}

/** 1 for rows in which a column misses a value whose rows dataset.yaml drops. */
function rowsToDrop({ rows, columns }: RowBlock, plan: readonly PlannedColumn[]): Uint8Array {
  const drop = new Uint8Array(rows);
  for (const { index, missing } of plan) {
    const column = columns[index]!;
    if (missing === "drop" && column.kind === "cells")
      column.values.forEach((cell, row) => isMissing(cell) && (drop[row] = 1));
  }
  return drop;
}

function withoutDropped(arrays: readonly NumericArray[], plan: readonly PlannedColumn[], drop: Uint8Array) {
  const rows = drop.reduce((kept, flag) => kept + 1 - flag, 0);
  const columns = arrays.map((values, i) => {
    const { count } = slotOf(plan[i]!);
    const out = allocate(plan[i]!, rows);
    let to = 0;
    drop.forEach((flag, row) => {
      if (flag === 0) out.set(values.subarray(row * count, (row + 1) * count), count * to++);
    });
    return out;
  });
  return { rows, columns };
}
