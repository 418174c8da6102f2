import type fs from "node:fs/promises";
import type { Readable } from "node:stream";
import { callbackify } from "node:util";
import {
  fromRandomAccessReaderPromise,
  getFileNameLowLevel,
  RandomAccessReader,
  validateFileName,
  type Entry,
} from "yauzl";
import { reasonOf, StorageError } from "../errors.ts";

/** Against archives that unpack to more than anybody has room for. */
export interface ZipLimits {
  readonly entries: number;
  /** Of one entry, unpacked. */
  readonly entryBytes: number;
  /** Of all entries together, unpacked. */
  readonly totalBytes: number;
  /** Unpacked to packed, of an entry that unpacks to more than `ratioFromBytes`. */
  readonly ratio: number;
  readonly ratioFromBytes: number;
}

export interface ZipEntry {
  readonly name: string;
  /** Of its local header. */
  readonly offset: number;
  readonly packedBytes: number;
  /** Unpacked, as the directory says. */
  readonly bytes: number;
  readonly crc32: number;
  readonly deflated: boolean;
}

const LOCAL_HEADER_BYTES = 30;
const WINDOW_BYTES = 2 ** 20;
const STORED = 0;
const DEFLATED = 8;
/** Upper half of the external attributes, where the archive was made on Unix: the mode of the file. */
const MODE_SHIFT = 16;
const FILE_TYPE_MASK = 0o170000;
const SYMLINK = 0o120000;
const UNIX = 3;

/** Reads the directory of a zip archive and checks every entry in it. */
export async function readDirectory(
  file: string,
  handle: fs.FileHandle,
  size: number,
  limits: ZipLimits,
  signal?: AbortSignal,
): Promise<ZipEntry[]> {
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let totalBytes = 0;
  try {
    // Sizes are counted while inflating, so that yauzl need not compare them.
    const options = { lazyEntries: true, decodeStrings: false, autoClose: false, validateEntrySizes: false };
    const zip = await fromRandomAccessReaderPromise(new WindowReader(handle, size), size, options);
    if (zip.entryCount > limits.entries)
      throw tooLarge(`${file}: ${zip.entryCount} entries are more than ${limits.entries}`);
    for await (const entry of zip.eachEntry()) {
      signal?.throwIfAborted();
      const name = safeName(file, entry);
      if (names.has(name)) throw new StorageError("BadFile", `${file}: entry ${name} is there twice`);
      names.add(name);
      if (name.endsWith("/")) continue;
      const checked = checkEntry(file, name, entry, limits);
      totalBytes += checked.bytes;
      if (totalBytes > limits.totalBytes)
        throw tooLarge(`${file}: its entries unpack to more than ${limits.totalBytes} bytes`);
      entries.push(checked);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof StorageError) throw cause;
    throw new StorageError("BadFile", `${file}: not a readable zip archive: ${reasonOf(cause)}`, {
      cause,
      hint: "is it complete? get it again",
    });
  }
  checkOverlaps(file, entries, size);
  return entries;
}

function safeName(file: string, entry: Entry): string {
  const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
  const problem = name === "" ? "an empty name" : name.includes("\0") ? "a NUL in its name" : validateFileName(name);
  if (problem === null) return name;
  throw new StorageError("UnsafePath", `${file}: entry ${JSON.stringify(name)}: ${problem.replace(/:.*/s, "")}`, {
    hint: "names in an archive must be relative, with / between folders; do not trust this archive",
  });
}

function checkEntry(file: string, name: string, entry: Entry, limits: ZipLimits): ZipEntry {
  const where = `${file}: entry ${name}`;
  if (entry.isEncrypted())
    throw new StorageError("UnsupportedFile", `${where} is encrypted`, {
      hint: "unpack it, and zip it without a password",
    });
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED)
    throw new StorageError("UnsupportedFile", `${where}: compression method ${entry.compressionMethod} is not read`, {
      hint: "zip it again with deflate, the usual method",
    });
  const mode = entry.versionMadeBy >>> 8 === UNIX ? entry.externalFileAttributes >>> MODE_SHIFT : 0;
  if ((mode & FILE_TYPE_MASK) === SYMLINK)
    throw new StorageError("UnsafePath", `${where} is a symbolic link`, { hint: "zip the files that links point to" });
  const bytes = entry.uncompressedSize;
  if (bytes > limits.entryBytes) throw tooLarge(`${where}: ${bytes} bytes are more than ${limits.entryBytes}`);
  if (bytes > limits.ratioFromBytes && bytes > limits.ratio * entry.compressedSize)
    throw tooLarge(`${where} unpacks to more than ${limits.ratio} times its size`);
  if (entry.compressionMethod === STORED && bytes !== entry.compressedSize)
    throw new StorageError("BadFile", `${where}: it is stored as it is, but has two sizes`);
  return {
    name,
    offset: entry.relativeOffsetOfLocalHeader,
    packedBytes: entry.compressedSize,
    bytes,
    crc32: entry.crc32,
    deflated: entry.compressionMethod === DEFLATED,
  };
}

/** Bombs let many entries share the same data (Fifield, "A better zip bomb", 2019). */
function checkOverlaps(file: string, entries: readonly ZipEntry[], size: number): void {
  const sorted = entries.toSorted((a, b) => a.offset - b.offset);
  for (const [i, entry] of sorted.entries()) {
    const end = entry.offset + LOCAL_HEADER_BYTES + entry.packedBytes;
    const next = sorted[i + 1];
    if (next !== undefined && end > next.offset)
      throw tooLarge(`${file}: entries ${entry.name} and ${next.name} share the same data`);
    if (end > size)
      throw new StorageError("TruncatedFile", `${file}: entry ${entry.name} reaches beyond the end of the archive`);
  }
}

const tooLarge = (message: string): StorageError =>
  new StorageError("TooLarge", message, { hint: "this looks like a decompression bomb; nothing of it was unpacked" });

/** Reads a file by windows, because the directory is read in very small parts. */
class WindowReader extends RandomAccessReader {
  readonly #handle: fs.FileHandle;
  readonly #size: number;
  #window: Buffer = Buffer.alloc(0);
  #start = 0;

  constructor(handle: fs.FileHandle, size: number) {
    super();
    this.#handle = handle;
    this.#size = size;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    const copy = async () => {
      await this.#fill(length, position);
      return this.#window.copy(buffer, offset, position - this.#start, position - this.#start + length);
    };
    callbackify(copy)(callback as (error: Error | null, bytesRead: number) => void);
  }

  override _readStreamForRange(): Readable {
    throw new Error("entries are read by their offsets");
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null);
  }

  async #fill(length: number, position: number): Promise<void> {
    if (position >= this.#start && position + length <= this.#start + this.#window.length) return;
    if (position < 0 || position + length > this.#size) throw new Error("unexpected end of file");
    const window = Buffer.alloc(Math.max(length, Math.min(WINDOW_BYTES, this.#size - position)));
    const { bytesRead } = await this.#handle.read(window, 0, window.length, position);
    this.#window = window.subarray(0, bytesRead);
    this.#start = position;
  }
}
