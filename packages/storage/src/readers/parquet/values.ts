import type { ParquetParsers } from "hyparquet";
import type { Cell, NumericArray } from "../reader.ts";
import { TENSOR_TYPES, type TensorType } from "./columns.ts";
import { ParquetProblem } from "./guard.ts";

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const MS_PER_DAY = 86_400_000;

function textOf(bytes: Uint8Array): string {
  try {
    return text.decode(bytes);
  } catch {
    throw new ParquetProblem("unsupported: it has bytes that are not text");
  }
}

function refuse(): never {
  throw new ParquetProblem("unsupported: it has shapes on a map");
}

/** Dates and times are milliseconds since 1970, JSON stays text. */
export const PARSERS: ParquetParsers = {
  timestampFromMilliseconds: Number,
  timestampFromMicroseconds: (micros) => Number(micros) / 1000,
  timestampFromNanoseconds: (nanos) => Number(nanos) / 1_000_000,
  dateFromDays: (days) => days * MS_PER_DAY,
  stringFromBytes: textOf,
  jsonFromBytes: textOf,
  uuidFromBytes: (bytes: Uint8Array) => Buffer.from(bytes).toString("hex"),
  geometryFromBytes: refuse,
  geographyFromBytes: refuse,
};

/** @throws ParquetProblem for what is no cell */
export function cellOf(value: unknown): Cell {
  if (typeof value === "number" || typeof value === "string" || typeof value === "boolean" || value === null)
    return value;
  if (typeof value === "bigint") return Number(value);
  throw new ParquetProblem(
    value === undefined ? "a value is not in its dictionary" : "a value has another type than its column",
  );
}

/** Lengths of nested lists, by their first elements. */
export function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  return shape;
}

/**
 * Numbers of rows of nested lists, one after the other.
 * @throws ParquetProblem with the index of the row among those given
 */
export function tensorOf(rows: readonly unknown[], shape: readonly number[], dtype: TensorType): NumericArray {
  const size = shape.reduce((product, length) => product * length, 1);
  const values = new TENSOR_TYPES[dtype](rows.length * size);
  let at = 0;
  const take = (value: unknown, depth: number, row: number): void => {
    if (depth < shape.length) {
      if (!Array.isArray(value) || value.length !== shape[depth])
        throw new RowProblem(row, `its list is not one of ${shape.join(" x ")} numbers as in the first row`);
      for (const inner of value) take(inner, depth + 1, row);
    } else if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean")
      values[at++] = Number(value);
    else throw new RowProblem(row, "a number in its list is missing");
  };
  rows.forEach((row, index) => take(row, 0, index));
  return values;
}

/** What is wrong with one of some rows. */
export class RowProblem extends Error {
  readonly row: number;

  constructor(row: number, message: string) {
    super(message);
    this.row = row;
  }
}
