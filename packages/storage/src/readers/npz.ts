import { StorageError } from "../errors.ts";
import { createArrayReader, rowsOf, type ArrayPart } from "./arrays.ts";
import { ByteStream } from "./byte-stream.ts";
import { rowBytesOf } from "./elements.ts";
import type { InputFile, OpenOptions } from "./input.ts";
import { readNpyHeader } from "./npy-header.ts";
import { checkTexts } from "./npy.ts";
import type { DataReader } from "./reader.ts";
import { entryName, openZip, type ZipArchive } from "./zip.ts";
import type { ZipEntry, ZipLimits } from "./zip-directory.ts";

/** Arrays stream, so that their size is that of the disk; a ratio of 200 is more than sparse data reaches. */
const LIMITS: ZipLimits = {
  entries: 1_000,
  entryBytes: 2 ** 40,
  totalBytes: 2 ** 42,
  ratio: 200,
  ratioFromBytes: 2 ** 26,
};

interface NamedArray extends ArrayPart {
  readonly rows: number;
}

/**
 * Opens what `numpy.savez` and `numpy.savez_compressed` wrote: arrays with the same number of rows are columns. Of
 * several groups the longest is read, and the notes name the others.
 * @throws StorageError `BadFile`, `TruncatedFile`, `UnsupportedFile`, `UnsafePath`, `TooLarge`, naming the entry
 */
export async function openNpz(input: InputFile, options: OpenOptions = {}): Promise<DataReader> {
  if (input.packing !== undefined)
    throw new StorageError("UnsupportedFile", `${input.name}: an archive that is compressed as a whole`, {
      hint: `unpack it first: its arrays are compressed already`,
    });
  const zip = await openZip(input.path, LIMITS, options.signal);
  try {
    const { chosen, notes } = choose(input.name, await readHeaders(zip, options), options.arrays);
    return createArrayReader({
      format: "npz",
      file: input.name,
      fileBytes: input.size,
      rows: chosen[0]!.rows,
      parts: chosen,
      notes,
      close: () => zip.close(),
    });
  } catch (error) {
    await zip.close();
    throw error;
  }
}

/** Arrays without a dimension are no columns: they are in the notes. */
interface Headers {
  readonly arrays: readonly NamedArray[];
  readonly notes: readonly string[];
}

async function readHeaders(zip: ZipArchive, { arrays: wanted, signal }: OpenOptions): Promise<Headers> {
  const arrays: NamedArray[] = [];
  const notes: string[] = [];
  for (const entry of zip.entries) {
    const name = entry.name.replace(/\.npy$/, "");
    if (wanted !== undefined && !wanted.includes(name)) continue;
    if (name === entry.name) notes.push(`${entry.name} was left out: not an array (.npy)`);
    else {
      const array = await readHeader(zip, entry, name, signal);
      if (array === undefined) notes.push(`${name} was left out: a single value`);
      else arrays.push(array);
    }
  }
  return { arrays, notes };
}

async function readHeader(
  zip: ZipArchive,
  entry: ZipEntry,
  name: string,
  signal: AbortSignal | undefined,
): Promise<NamedArray | undefined> {
  const where = entryName(zip.file, entry);
  const openStream = (signal: AbortSignal | undefined) => new ByteStream(where, zip.chunks(entry, signal));
  const stream = openStream(signal);
  const header = await readNpyHeader(stream).finally(() => stream.close());
  if (header.shape.length === 0) return undefined;
  const [rows, shape] = rowsOf(where, header.shape, header.element.bytes);
  const part = { name, where, element: header.element, shape };
  const expected = stream.position + rows * rowBytesOf(part);
  if (entry.bytes !== expected)
    throw new StorageError(
      entry.bytes < expected ? "TruncatedFile" : "BadFile",
      `${where}: expected ${expected} bytes, the archive says ${entry.bytes}`,
    );
  checkTexts(where, header.element.kind, shape);
  const open = async (signal: AbortSignal | undefined) => {
    const stream = openStream(signal);
    await readNpyHeader(stream);
    return stream;
  };
  return { ...part, rows, open };
}

function choose(
  file: string,
  { arrays, notes }: Headers,
  wanted: readonly string[] | undefined,
): { chosen: readonly NamedArray[]; notes: readonly string[] } {
  const missing = wanted?.find((name) => !arrays.some((array) => array.name === name));
  if (missing !== undefined)
    throw new StorageError("BadFile", `${file}: there is no array ${missing} with rows in the archive`);
  if (arrays.length === 0)
    throw new StorageError("BadFile", `${file}: there is no array in the archive`, {
      hint: "an .npz file is written by numpy.savez(file, x=..., y=...)",
    });
  const rows = Math.max(...arrays.map((array) => array.rows));
  const others = arrays.filter((array) => array.rows !== rows);
  if (wanted !== undefined && others.length > 0)
    throw new StorageError(
      "BadFile",
      `${file}: ${others.map(({ name, rows }) => `${name} has ${rows} rows`).join(", ")}, the others have ${rows}`,
      { hint: "columns must have the same number of rows; choose other arrays" },
    );
  const left = others.map((array) => `${array.name} was left out: ${array.rows} rows instead of ${rows}`);
  const chosen = arrays.filter((array) => array.rows === rows);
  if (wanted !== undefined) chosen.sort((a, b) => wanted.indexOf(a.name) - wanted.indexOf(b.name));
  return { chosen, notes: [...notes, ...left] };
}
