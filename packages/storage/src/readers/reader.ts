/** A value of a table as the file has it; null: missing. Text files (CSV, plain text) have strings only. */
export type Cell = string | number | boolean | null;

/** Values of one column for some rows. */
export interface CellColumn {
  readonly kind: "cells";
  readonly name: string;
  /** One for each row. */
  readonly values: readonly Cell[];
}

export type NumericArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** One tensor of the same shape for each of some rows. */
export interface TensorColumn {
  readonly kind: "tensor";
  readonly name: string;
  /** Of one row; empty: a number. */
  readonly shape: readonly number[];
  /** Row-major, rows x product of `shape`. */
  readonly values: NumericArray;
}

export type Column = CellColumn | TensorColumn;

/** Some consecutive rows of a file, column by column in the order of {@link DataReader.columns}. */
export interface RowBlock {
  readonly rows: number;
  readonly columns: readonly Column[];
  /** Where a row of this block (from 0) stands in the file, for people: "line 17", "entry cats/3.png", "row 5". */
  locate(row: number): string;
}

export interface ColumnInfo {
  readonly name: string;
  readonly kind: "cells" | "tensor";
  /** Of tensors: the shape of one row and the type of its numbers as NumPy names it, such as uint8. */
  readonly shape?: readonly number[];
  readonly dtype?: string;
}

export type DataFormat = "csv" | "tsv" | "jsonl" | "text" | "parquet" | "npy" | "npz" | "idx" | "images";

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file (compressed, if it is) that were read, and all of them. */
  readonly onProgress?: ((readBytes: number, totalBytes: number) => void) | undefined;
}

/** A file of data that was opened: rows come in blocks of bounded size, from the start, as often as they are asked for. */
export interface DataReader {
  readonly format: DataFormat;
  /** The file, for people. */
  readonly file: string;
  readonly columns: readonly ColumnInfo[];
  /** Number of rows where the file says it before it is read. */
  readonly rows?: number;
  /** Class names where the file has them beside its rows (folders of images): the column `label` holds these strings. */
  readonly classes?: readonly string[];
  /** What a person should know, such as entries that were left out. */
  readonly notes?: readonly string[];
  blocks(options?: ReadOptions): AsyncGenerator<RowBlock>;
  close(): Promise<void>;
}
