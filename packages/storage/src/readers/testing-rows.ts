import type { Column, DataReader } from "./reader.ts";

/** All rows of a file: columns put together, and where each row stands. */
export async function readRows(
  reader: DataReader,
): Promise<{ rows: number; columns: Record<string, unknown[]>; where: string[] }> {
  const columns: Record<string, unknown[]> = Object.fromEntries(reader.columns.map(({ name }) => [name, []]));
  const where: string[] = [];
  try {
    for await (const block of reader.blocks()) {
      for (const column of block.columns) columns[column.name]!.push(...rowsOf(column, block.rows));
      for (let row = 0; row < block.rows; row++) where.push(block.locate(row));
    }
  } finally {
    await reader.close();
  }
  return { rows: where.length, columns, where };
}

function rowsOf(column: Column, rows: number): unknown[] {
  if (column.kind === "cells") return [...column.values];
  if (column.shape.length === 0) return [...column.values];
  const size = column.values.length / rows;
  return Array.from({ length: rows }, (_, row) => Array.from(column.values.slice(row * size, (row + 1) * size)));
}
