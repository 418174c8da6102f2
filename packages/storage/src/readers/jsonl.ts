import { StorageError } from "../errors.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import { flattenRow, JsonProblem, type JsonValue } from "./json-values.ts";
import { MAX_COLUMNS } from "./limits.ts";
import type { Cell, Column, ColumnInfo, DataReader, ReadOptions, RowBlock } from "./reader.ts";
import { lineError, textChunks, type TextChunk } from "./text-chunks.ts";

/** Rows whose keys are the columns. */
const SAMPLE_ROWS = 1000;
const BLOCK_ROWS = 4096;
/** Numbers in the tensors of one block at most, unless one row has more. */
const BLOCK_NUMBERS = 2 ** 18;

interface Row {
  readonly line: number;
  readonly values: Map<string, JsonValue>;
}

/**
 * JSON lines: each line one object. Columns are the keys of the first 1,000 rows; a key that a row lacks is missing
 * there. Objects in a row become columns `outer.inner`, lists of numbers tensors of one shape.
 * @throws StorageError `BadFile`, `TooLarge`, `UnsupportedFile` with file and line
 */
export async function openJsonLines(input: InputFile, { skip = 0, signal }: OpenOptions): Promise<DataReader> {
  const columns = await readColumns(input, skip, { signal });
  return {
    format: "jsonl",
    file: input.name,
    columns,
    blocks: (options) => readBlocks(input, skip, columns, options),
    close: async () => undefined,
  };
}

function* rowsOf(chunk: TextChunk, file: string): Generator<Row> {
  let { line } = chunk;
  for (const text of chunk.text.split("\n")) {
    if (text.trim() !== "") yield { line, values: parseRow(text, line, file) };
    line++;
  }
}

function parseRow(text: string, line: number, file: string): Map<string, JsonValue> {
  try {
    return flattenRow(text);
  } catch (cause) {
    if (!(cause instanceof JsonProblem)) throw cause;
    const hint = text.trimStart().startsWith("[")
      ? "write each row as an object in a line of its own, for example with `jq -c '.[]'`"
      : "each line is one object, with numbers, strings, booleans, null, objects, and lists of numbers";
    throw lineError(file, line, cause.message, hint);
  }
}

async function readColumns(input: InputFile, skip: number, options: ReadOptions): Promise<ColumnInfo[]> {
  const columns = new Map<string, ColumnInfo>();
  let rows = 0;
  const take = ({ values, line }: Row): void => {
    for (const [name, value] of values) if (!columns.has(name)) columns.set(name, infoOf(name, value));
    // A key may be null before it has its first tensor.
    for (const [name, value] of values)
      if (isTensor(value) && columns.get(name)!.kind === "cells") columns.set(name, infoOf(name, value));
    if (columns.size > MAX_COLUMNS)
      throw lineError(input.name, line, `more than ${MAX_COLUMNS} keys`, "are there values in the place of keys?");
  };
  for await (const chunk of textChunks(input, skip, options)) {
    for (const row of rowsOf(chunk, input.name)) {
      take(row);
      if (++rows === SAMPLE_ROWS) return [...columns.values()];
    }
  }
  if (rows > 0) return [...columns.values()];
  throw new StorageError("BadFile", `${input.name}: no rows`, { hint: "the file is empty; check that it is complete" });
}

function infoOf(name: string, value: JsonValue): ColumnInfo {
  return isTensor(value) ? { name, kind: "tensor", shape: value.shape, dtype: "float64" } : { name, kind: "cells" };
}

function isTensor(value: JsonValue | undefined) {
  return typeof value === "object" && value !== null;
}

async function* readBlocks(
  input: InputFile,
  skip: number,
  columns: readonly ColumnInfo[],
  options: ReadOptions = {},
): AsyncGenerator<RowBlock> {
  const names = new Set(columns.map(({ name }) => name));
  const numbers = columns.reduce((sum, { shape }) => sum + (shape ?? []).reduce((size, length) => size * length, 1), 0);
  const blockRows = Math.max(1, Math.min(BLOCK_ROWS, Math.floor(BLOCK_NUMBERS / Math.max(1, numbers))));
  for await (const chunk of textChunks(input, skip, options)) {
    let rows: Row[] = [];
    for (const row of rowsOf(chunk, input.name)) {
      const unknown = [...row.values.keys()].find((name) => !names.has(name));
      if (unknown !== undefined)
        throw lineError(
          input.name,
          row.line,
          `the key ${JSON.stringify(unknown)} is not in the first ${SAMPLE_ROWS} rows`,
          "give the first row all keys, with null where a value is missing",
        );
      if (rows.push(row) === blockRows) {
        yield blockOf(rows, columns, input.name);
        rows = [];
      }
    }
    if (rows.length > 0) yield blockOf(rows, columns, input.name);
  }
}

function blockOf(rows: readonly Row[], columns: readonly ColumnInfo[], file: string): RowBlock {
  return {
    rows: rows.length,
    columns: columns.map((info) => (info.kind === "tensor" ? tensors(rows, info, file) : cells(rows, info, file))),
    locate: (row) => `line ${rows[row]!.line}`,
  };
}

function cells(rows: readonly Row[], { name }: ColumnInfo, file: string): Column {
  const values = rows.map(({ values: row, line }): Cell => {
    const value = row.get(name) ?? null;
    if (!isTensor(value)) return value as Cell;
    throw lineError(file, line, `${JSON.stringify(name)} is a list, but was none in the rows before`);
  });
  return { kind: "cells", name, values };
}

function tensors(rows: readonly Row[], { name, shape = [] }: ColumnInfo, file: string): Column {
  const size = shape.reduce((product, length) => product * length, 1);
  const values = new Float64Array(rows.length * size);
  rows.forEach(({ values: row, line }, index) => {
    const value = row.get(name);
    if (typeof value !== "object" || value === null || value.shape.join() !== shape.join())
      throw lineError(
        file,
        line,
        `${JSON.stringify(name)} is not a list of ${shape.join(" x ")} numbers as in the first rows`,
        "lists of one key must have one shape in all rows, and none may be missing",
      );
    values.set(value.values, index * size);
  });
  return { kind: "tensor", name, shape, values };
}
