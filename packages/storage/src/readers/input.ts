import fs from "node:fs/promises";
import path from "node:path";
import { StorageError } from "../errors.ts";
import { fileError, packingOf, unpackFile, type Packing, type UnpackOptions } from "../sources/decompress.ts";
import type { DataFormat } from "./reader.ts";

/** How to read a file, where its content and name do not say it, or say it wrongly. */
export interface OpenOptions {
  readonly format?: DataFormat | undefined;
  /** Lines at the start of a text file to leave out; 0 unless given. */
  readonly skip?: number | undefined;
  /** CSV and TSV: whether the first line names the columns; looked at unless given. */
  readonly header?: boolean | undefined;
  /** CSV and TSV: the one character between cells; looked at unless given. */
  readonly delimiter?: string | undefined;
  /** Archives of NumPy: the arrays to read, such as x_test and y_test; those with the most rows unless given. */
  readonly arrays?: readonly string[] | undefined;
  /** Images: height and width; those of the first one if it is at most 64 x 64, else 28 x 28, unless given. */
  readonly size?: readonly [number, number] | undefined;
  /** Images: 1 for grey, 3 for colours; grey if the first ones are, unless given. */
  readonly channels?: 1 | 3 | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A file or folder on this machine that a reader is about to read. */
export interface InputFile {
  readonly path: string;
  /** For people, in every error. */
  readonly name: string;
  readonly isFolder: boolean;
  /** On disk, compressed or not. */
  readonly size: number;
  /** How the file as a whole is compressed. */
  readonly packing: Packing | undefined;
  /** First bytes, unpacked: at most 64 KiB. */
  readonly head: Uint8Array;
  /** Lower case, with its dot and without .gz or .zst: ".csv"; empty without one. */
  readonly extension: string;
  /** All bytes from the start, unpacked, in pieces; as often as they are asked for. */
  chunks(options?: UnpackOptions): AsyncGenerator<Uint8Array>;
}

const HEAD_BYTES = 64 * 1024;

/**
 * Looks at a file: how it is compressed, and how it begins.
 * @throws StorageError `FileNotFound`, `StoreFailed`, `UnsupportedFile` (a pipe or device), and those of damaged compression
 */
export async function openInput(
  file: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<InputFile> {
  const stat = await fs.stat(file).catch((cause: unknown) => {
    throw fileError(file, cause);
  });
  const about = { path: file, name: file, size: stat.size, extension: extensionOf(file) };
  if (stat.isDirectory())
    return {
      ...about,
      isFolder: true,
      packing: undefined,
      head: new Uint8Array(0),
      chunks: () => unpackFile(file, undefined),
    };
  if (!stat.isFile())
    throw new StorageError("UnsupportedFile", `${file} is neither a file nor a folder`, {
      hint: "data is read more than once: save it to a file first",
    });
  const packing = packingOf(await headOf(unpackFile(file, undefined, { signal }), 4));
  const chunks = (options?: UnpackOptions) => unpackFile(file, packing, options);
  const head = await headOf(chunks({ signal }), HEAD_BYTES);
  return { ...about, isFolder: false, packing, head, chunks };
}

function extensionOf(file: string): string {
  const name = path
    .basename(file)
    .toLowerCase()
    .replace(/\.(gz|gzip|zst|zstd)$/, "");
  // Of the MNIST family: train-images-idx3-ubyte.
  return /(^|[-.])idx\d-ubyte$/.test(name) ? ".idx" : path.extname(name);
}

async function headOf(chunks: AsyncGenerator<Uint8Array>, length: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    total += chunk.length;
    if (total >= length) break;
  }
  return Uint8Array.from(Buffer.concat(parts).subarray(0, length));
}
