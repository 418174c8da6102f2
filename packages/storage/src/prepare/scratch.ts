// Rows while a dataset is made: blocks of columns in a file, numbers as they were read.
import fs from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { storeError } from "../errors.ts";
import type { NumericArray } from "../readers/reader.ts";
import { MAX_CATEGORIES, type PlannedColumn } from "./columns.ts";

/** Code of a category that is missing. */
export const NO_CATEGORY = 0xffff;

export type ScratchColumn = NumericArray;
export interface ScratchBlock {
  readonly rows: number;
  /** In the order of the plan: float64 numbers (NaN: missing), uint16 codes of categories, elements of tensors, bytes 0 or 1 of hashed words. */
  readonly columns: readonly ScratchColumn[];
}

const TYPES = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;
export type Dtype = keyof typeof TYPES;

/** What NumPy's other types are kept as: integers of 64 bits come as doubles that hold them exactly. */
const KEPT_AS: Readonly<Record<string, Dtype>> = {
  bool: "uint8",
  int64: "float64",
  uint64: "float64",
  float16: "float32",
};

/** Type in which the numbers of a tensor are kept. @param dtype as NumPy names it */
export const storedType = (dtype: string): Dtype => KEPT_AS[dtype] ?? (dtype as Dtype);

/** Type and count of a row's elements of a column. */
export function slotOf({ kind, dtype, shape, size }: PlannedColumn): { dtype: Dtype; count: number } {
  switch (kind) {
    case "number":
      return { dtype: "float64", count: 1 };
    case "category":
      return { dtype: "uint16", count: 1 };
    case "text":
      return { dtype: "uint8", count: size };
    case "tensor":
      return { dtype: storedType(dtype), count: shape.reduce((product, length) => product * length, 1) };
  }
}

/** Zeros for `rows` rows of a column. */
export function allocate(column: PlannedColumn, rows: number): NumericArray {
  const { dtype, count } = slotOf(column);
  return new TYPES[dtype](rows * count);
}

/** Bytes of a row of these columns, as they are kept and as inputs: a category may become an input for each class. */
export const rowBytes = (columns: readonly PlannedColumn[]): number =>
  columns
    .map((column) => ({ ...slotOf(column), inputs: column.kind === "category" ? MAX_CATEGORIES : 0 }))
    .reduce((sum, { dtype, count, inputs }) => sum + count * TYPES[dtype].BYTES_PER_ELEMENT + inputs, 0);

/** Appends a block: its number of rows as a 32-bit integer, then the columns. @throws StorageError `DiskFull`, `StoreFailed` */
export async function writeBlock(scratch: FileHandle, { rows, columns }: ScratchBlock): Promise<void> {
  const parts = [new Uint8Array(Uint32Array.of(rows).buffer)];
  for (const { buffer, byteOffset, byteLength } of columns)
    parts.push(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
  try {
    let rest = parts.filter(({ length }) => length > 0);
    while (rest.length > 0) rest = unwritten(rest, (await scratch.writev(rest.slice(0, MOST_PARTS))).bytesWritten);
  } catch (cause) {
    throw storeError(cause, "the data's scratch file");
  }
}

/** The operating system takes so many parts at once. */
const MOST_PARTS = 1024;

function unwritten(parts: readonly Uint8Array<ArrayBuffer>[], bytes: number): Uint8Array<ArrayBuffer>[] {
  let left = bytes;
  const rest: Uint8Array<ArrayBuffer>[] = [];
  for (const part of parts) {
    if (left < part.length) rest.push(part.subarray(left));
    left = Math.max(0, left - part.length);
  }
  return rest;
}

/** The blocks of a file in their order. */
export async function* readBlocks(file: string, columns: readonly PlannedColumn[]): AsyncGenerator<ScratchBlock> {
  const slots = columns.map(slotOf);
  const handle = await fs.open(file, "r");
  try {
    const { size } = await handle.stat();
    for (let at = 0; at < size;) {
      const [rows] = new Uint32Array((await readBytes(handle, at, 4)).buffer) as unknown as [number];
      at += 4;
      const arrays: NumericArray[] = [];
      for (const { dtype, count } of slots) {
        const length = rows * count * TYPES[dtype].BYTES_PER_ELEMENT;
        arrays.push(new TYPES[dtype]((await readBytes(handle, at, length)).buffer as ArrayBuffer));
        at += length;
      }
      yield { rows, columns: arrays };
    }
  } finally {
    await handle.close();
  }
}

/** @throws Error when the file ends before */
export async function readBytes(
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error(`the file ends at ${position + done} instead of ${position + length}`);
    done += bytesRead;
  }
  return bytes;
}
