import { StorageError } from "../errors.ts";
import type { ByteStream } from "./byte-stream.ts";
import { columnInfoOf, decodeColumn, elementsOf, rowBytesOf, type ElementLayout } from "./elements.ts";
import type { DataFormat, DataReader, ReadOptions, RowBlock } from "./reader.ts";

const BLOCK_BYTES = 2 ** 20;
const MAX_BLOCK_ROWS = 8_192;
/** Largest row that is read: 64 MiB. */
const MAX_ROW_BYTES = 2 ** 26;

/** One column that is stored as an array of its own. */
export interface ArrayPart extends ElementLayout {
  /** The file or entry, for errors. */
  readonly where: string;
  /** At the first row. */
  open(signal: AbortSignal | undefined): Promise<ByteStream>;
}

export interface ArrayReaderOptions {
  readonly format: DataFormat;
  readonly file: string;
  /** Bytes of the file on disk, for the progress. */
  readonly fileBytes: number;
  readonly rows: number;
  readonly parts: readonly ArrayPart[];
  readonly notes?: readonly string[];
  close?(): Promise<void>;
}

/**
 * Checks a shape before anything is read by it, and cuts off the rows.
 * @throws StorageError `UnsupportedFile` (no rows), `TooLarge`, `BadFile`
 */
export function rowsOf(where: string, shape: readonly number[], elementBytes: number): [number, readonly number[]] {
  const text = `(${shape.join(", ")})`;
  if (shape.length === 0)
    throw new StorageError("UnsupportedFile", `${where}: a single value, not rows`, {
      hint: "the first dimension of an array is its rows",
    });
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw new StorageError("BadFile", `${where}: the shape ${text} is not one of sizes`);
  const [rows, ...row] = shape as [number, ...number[]];
  const rowBytes = elementsOf(row) * elementBytes;
  if (rowBytes > MAX_ROW_BYTES || !Number.isSafeInteger(rows * rowBytes))
    throw new StorageError("TooLarge", `${where}: an array of shape ${text} is too large`, {
      hint: `one row may have ${MAX_ROW_BYTES / 2 ** 20} MiB; is the header damaged?`,
    });
  if (rowBytes === 0 && rows > 0)
    throw new StorageError("BadFile", `${where}: an array of shape ${text} holds no values`);
  return [rows, row];
}

/** Reads several arrays with the same number of rows side by side. */
export function createArrayReader(options: ArrayReaderOptions): DataReader {
  const { format, file, fileBytes, rows, parts, notes } = options;
  const largest = Math.max(1, ...parts.map(rowBytesOf));
  const step = Math.min(MAX_BLOCK_ROWS, Math.max(1, Math.floor(BLOCK_BYTES / largest)));
  async function* blocks({ signal, onProgress }: ReadOptions = {}): AsyncGenerator<RowBlock> {
    const streams: ByteStream[] = [];
    try {
      for (const part of parts) streams.push(await part.open(signal));
      for (let start = 0; start < rows; start += step) {
        signal?.throwIfAborted();
        const count = Math.min(step, rows - start);
        yield await readBlock(parts, streams, start, count);
        onProgress?.(Math.round((fileBytes * (start + count)) / rows), fileBytes);
      }
      for (const stream of streams) await stream.end();
    } finally {
      for (const stream of streams) await stream.close();
    }
  }
  const close = options.close ?? (() => Promise.resolve());
  return { format, file, columns: parts.map(columnInfoOf), rows, ...(notes && { notes }), blocks, close };
}

async function readBlock(
  parts: readonly ArrayPart[],
  streams: readonly ByteStream[],
  start: number,
  rows: number,
): Promise<RowBlock> {
  const columns = [];
  for (const [i, part] of parts.entries()) {
    const bytes = await streams[i]!.take(rows * rowBytesOf(part), `rows ${start} to ${start + rows - 1}`);
    const perRow = elementsOf(part.shape);
    columns.push(decodeColumn(part, bytes, (element) => `${part.where}: row ${start + Math.floor(element / perRow)}`));
  }
  return { rows, columns, locate: (row) => `row ${start + row}` };
}
