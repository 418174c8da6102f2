import { StorageError } from "../errors.ts";
import type { Column, DataReader, ReadOptions, RowBlock } from "./reader.ts";

/** Some rows of a block, from `from` up to `to`. */
export function sliceRows({ rows, columns, locate }: RowBlock, from: number, to: number): RowBlock {
  return {
    rows: to - from,
    columns: columns.map((column) => sliceOf(column, rows, from, to)),
    locate: (row) => locate(row + from),
  };
}

function sliceOf(column: Column, rows: number, from: number, to: number): Column {
  if (from === 0 && to === rows) return column;
  if (column.kind === "cells") return { ...column, values: column.values.slice(from, to) };
  const width = column.values.length / rows;
  return { ...column, values: column.values.subarray(from * width, to * width) };
}

/**
 * One row of a file, as a block.
 * @param index from 0
 * @throws StorageError of the reader; `BadDataset` if there are fewer rows
 */
export async function readRow(reader: DataReader, index: number, options?: ReadOptions): Promise<RowBlock> {
  let before = 0;
  for await (const block of reader.blocks(options)) {
    if (index < before + block.rows) return sliceRows(block, index - before, index - before + 1);
    before += block.rows;
  }
  throw new StorageError("BadDataset", `${reader.file} has ${before} rows; there is no number ${index}`, {
    hint: `rows are counted from 0 to ${before - 1}`,
  });
}
