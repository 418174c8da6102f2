import fs, { type FileHandle } from "node:fs/promises";
import { parquetSchema, type FileMetaData } from "hyparquet";
import { reasonOf, StorageError } from "../../errors.ts";
import { fileError } from "../../sources/decompress.ts";
import type { InputFile } from "../input.ts";
import type { Column, ColumnInfo, DataReader, ReadOptions, RowBlock } from "../reader.ts";
import { columnsOf, type ParquetColumn } from "./columns.ts";
import { createBudget, openCursor, type Cursor } from "./cursor.ts";
import { readFooter } from "./footer.ts";
import { ParquetProblem } from "./guard.ts";
import { cellOf, RowProblem, shapeOf, tensorOf } from "./values.ts";

const BLOCK_ROWS = 4096;
/** Values of one block at most, unless one row has more. */
const BLOCK_VALUES = 2 ** 18;
/** Numbers in one row at most, over all columns. */
const MAX_ROW_VALUES = 2 ** 24;

interface Table {
  readonly file: string;
  readonly size: number;
  readonly metadata: FileMetaData;
  readonly columns: readonly (ParquetColumn & { readonly shape: readonly number[] })[];
}

/**
 * Parquet files, page by page, so that row groups may be of any size: numbers, booleans, text, dates and times
 * (milliseconds since 1970), decimals as numbers, lists of numbers of one length as tensors.
 * @throws StorageError `BadFile`, `TooLarge`, `UnsupportedFile` with file, column and row
 */
export async function openParquet(input: InputFile): Promise<DataReader> {
  const { name: file, size } = input;
  if (input.packing !== undefined)
    throw new StorageError("UnsupportedFile", `${file} is a Parquet file that was compressed once more`, {
      hint: `unpack it first; Parquet is read from any place in the file`,
    });
  const table = await withFile(input.path, async (handle) => {
    const metadata = await guarded(file, undefined, () => readFooter(handle, size));
    const root = await guarded(file, undefined, async () => parquetSchema(metadata));
    const columns = columnsOf(root, file);
    const shapes = await firstShapes(handle, { file, size, metadata }, columns);
    return { file, size, metadata, columns: columns.map((column, index) => ({ ...column, shape: shapes[index]! })) };
  });
  if (table.columns.length === 0) throw new StorageError("BadFile", `${file}: no columns`);
  return {
    format: "parquet",
    file,
    columns: table.columns.map(infoOf),
    rows: Number(table.metadata.num_rows),
    blocks: (options) => readBlocks(input.path, table, options),
    close: async () => undefined,
  };
}

function infoOf({ name, kind, shape, dtype }: Table["columns"][number]): ColumnInfo {
  return kind === "cells" ? { name, kind } : { name, kind, shape, dtype };
}

/** Shapes of tensors, as the first row has them. */
async function firstShapes(
  handle: FileHandle,
  { file, size, metadata }: Omit<Table, "columns">,
  columns: readonly ParquetColumn[],
): Promise<number[][]> {
  const shapes: number[][] = [];
  const group = metadata.row_groups.find(({ num_rows: rows }) => rows > 0n);
  let total = 0;
  for (const column of columns) {
    const shape: number[] = [];
    if (column.kind === "tensor" && group !== undefined)
      await guarded(file, column.name, async () => {
        const [first] = await openCursor({ handle, size, group, column, budget: createBudget() }).take(1);
        shape.push(...shapeOf(first));
        if (shape.length === 0) throw new ParquetProblem("the list in the first row is missing");
      });
    total += shape.reduce((product, length) => product * length, 1);
    shapes.push(shape);
  }
  if (total > MAX_ROW_VALUES) throw new StorageError("TooLarge", `${file}: one row has ${total} values`);
  return shapes;
}

async function* readBlocks(
  path: string,
  table: Table,
  { signal, onProgress }: ReadOptions = {},
): AsyncGenerator<RowBlock> {
  const { file, size, columns, metadata } = table;
  const handle = await fs.open(path).catch((cause: unknown) => {
    throw fileError(file, cause);
  });
  const perRow = columns.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
  const blockRows = Math.max(1, Math.min(BLOCK_ROWS, Math.floor(BLOCK_VALUES / perRow)));
  let done = 0;
  try {
    for (const group of metadata.row_groups) {
      const rows = Number(group.num_rows);
      const budget = createBudget();
      const cursors: Cursor[] = [];
      for (const column of columns)
        cursors.push(await guarded(file, column.name, async () => openCursor({ handle, size, group, column, budget })));
      for (let at = 0; at < rows; at += blockRows) {
        signal?.throwIfAborted();
        const block = await readBlock(table, cursors, Math.min(blockRows, rows - at), done);
        done += block.rows;
        onProgress?.(Math.round((size * done) / Number(metadata.num_rows)), size);
        yield block;
      }
    }
  } finally {
    await handle.close();
  }
  if (done !== Number(metadata.num_rows))
    throw new StorageError("BadFile", `${file}: ${metadata.num_rows} rows are announced, ${done} are there`);
}

async function readBlock(
  { file, columns }: Table,
  cursors: readonly Cursor[],
  rows: number,
  before: number,
): Promise<RowBlock> {
  const found: Column[] = [];
  for (const [index, { name, kind, shape, dtype }] of columns.entries())
    await guarded(
      file,
      name,
      async () => {
        const values = await cursors[index]!.take(rows);
        if (kind === "tensor") found.push({ kind, name, shape, values: tensorOf(values, shape, dtype) });
        else found.push({ kind, name, values: values.map(cellOf) });
      },
      before,
    );
  return { rows, columns: found, locate: (row) => `row ${before + row + 1}` };
}

/** Runs what may fail on a malformed file, and says where it did. @param before rows before those that are read */
async function guarded<T>(file: string, column: string | undefined, run: () => Promise<T>, before = 0): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    if (cause instanceof Error && "errno" in cause && "syscall" in cause) throw fileError(file, cause);
    const row = cause instanceof RowProblem ? `, row ${before + cause.row + 1}` : "";
    const place = column === undefined ? file : `${file}, column ${JSON.stringify(column)}${row}`;
    const reason = reasonOf(cause).replace(/^parquet /, "");
    if (cause instanceof ParquetProblem && cause.tooLarge)
      throw new StorageError("TooLarge", `${place}: ${reason}`, {
        cause,
        hint: "write the file with smaller row groups and pages, for example 100,000 rows and 1 MiB",
      });
    if (/unsupported|not supported/.test(reason))
      throw new StorageError("UnsupportedFile", `${place}: ${reason}`, {
        cause,
        hint: "write the file with other settings",
      });
    throw new StorageError("BadFile", `${place}: ${reason}`, { cause, hint: "get the file again, or write it anew" });
  }
}

async function withFile<T>(path: string, run: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await fs.open(path).catch((cause: unknown) => {
    throw fileError(path, cause);
  });
  try {
    return await run(handle);
  } finally {
    await handle.close();
  }
}
