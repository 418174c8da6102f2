import { constants } from "node:fs";
import fs from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { crc32, createInflateRaw, inflateRaw as inflateRawCallback } from "node:zlib";
import { reasonOf, StorageError } from "../errors.ts";
import { fileError } from "../sources/decompress.ts";
import { readDirectory, type ZipEntry, type ZipLimits } from "./zip-directory.ts";

const inflateRaw = promisify(inflateRawCallback);
const LOCAL_HEADER_BYTES = 30;
const LOCAL_HEADER_MAGIC = 0x04034b50;
const CHUNK_BYTES = 256 * 1024;

/** A zip archive whose directory was checked. Nothing of it is ever written to disk. */
export interface ZipArchive {
  readonly file: string;
  /** Bytes of the archive on disk. */
  readonly size: number;
  /** Files, in the order of the archive; no folders. */
  readonly entries: readonly ZipEntry[];
  /** The whole of a small file. */
  read(entry: ZipEntry): Promise<Uint8Array>;
  /** A file in pieces. */
  chunks(entry: ZipEntry, signal?: AbortSignal): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

export const beginsAsZip = (head: Uint8Array): boolean =>
  head[0] === 0x50 && head[1] === 0x4b && ((head[2] === 3 && head[3] === 4) || (head[2] === 5 && head[3] === 6));

/** Name of an entry, for errors. */
export const entryName = (file: string, entry: Pick<ZipEntry, "name">): string => `${file}: entry ${entry.name}`;

/**
 * Opens a zip archive and checks every entry before the first one is read. Sizes are counted while inflating, whatever
 * the headers say, and checksums are compared.
 * @throws StorageError `FileNotFound`, `BadFile`, `TruncatedFile`, `UnsupportedFile` (encrypted, other compressions,
 * symbolic links), `UnsafePath`, `TooLarge`
 */
export async function openZip(file: string, limits: ZipLimits, signal?: AbortSignal): Promise<ZipArchive> {
  const handle = await fs.open(file, constants.O_RDONLY).catch((cause: unknown) => {
    throw fileError(file, cause);
  });
  try {
    const { size } = await handle.stat();
    const entries = await readDirectory(file, handle, size, limits, signal);
    return {
      file,
      size,
      entries,
      read: (entry) => readEntry(file, handle, size, entry),
      chunks: (entry, signal) => entryChunks(file, handle, size, entry, signal),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readEntry(file: string, handle: fs.FileHandle, size: number, entry: ZipEntry): Promise<Uint8Array> {
  const start = await dataStart(file, handle, size, entry);
  const packed = await readAt(file, handle, start, entry.packedBytes);
  let bytes = packed;
  if (entry.deflated) {
    try {
      bytes = await inflateRaw(packed, { maxOutputLength: Math.max(1, entry.bytes) });
    } catch (cause) {
      throw inflateError(file, entry, cause);
    }
  }
  checkEntry(file, entry, bytes.length, crc32(bytes));
  return bytes;
}

async function* entryChunks(
  file: string,
  handle: fs.FileHandle,
  size: number,
  entry: ZipEntry,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const start = await dataStart(file, handle, size, entry);
  let total = 0;
  let checksum = 0;
  for await (const chunk of unpacked(file, entry, packedChunks(file, handle, start, entry.packedBytes))) {
    signal?.throwIfAborted();
    total += chunk.length;
    if (total > entry.bytes) break;
    checksum = crc32(chunk, checksum);
    yield chunk;
  }
  checkEntry(file, entry, total, checksum);
}

async function* packedChunks(
  file: string,
  handle: fs.FileHandle,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < length; at += CHUNK_BYTES)
    yield await readAt(file, handle, start + at, Math.min(CHUNK_BYTES, length - at));
}

async function* unpacked(
  file: string,
  entry: ZipEntry,
  packed: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (!entry.deflated) return yield* packed;
  const inflate = createInflateRaw({ chunkSize: CHUNK_BYTES });
  let reading: unknown;
  const done = pipeline(Readable.from(packed), inflate).catch((error: unknown) => {
    reading = error;
  });
  try {
    yield* inflate as AsyncIterable<Uint8Array>;
  } catch (cause) {
    await done;
    throw reading instanceof StorageError ? reading : inflateError(file, entry, cause);
  } finally {
    inflate.destroy();
    await done;
  }
}

/** Skips the header before an entry's data, whose length may differ from that in the directory. */
async function dataStart(file: string, handle: fs.FileHandle, size: number, entry: ZipEntry): Promise<number> {
  const header = await readAt(file, handle, entry.offset, LOCAL_HEADER_BYTES);
  const view = new DataView(header.buffer, header.byteOffset);
  if (view.getUint32(0, true) !== LOCAL_HEADER_MAGIC)
    throw new StorageError("BadFile", `${entryName(file, entry)} is not where the archive's directory says`);
  const start = entry.offset + LOCAL_HEADER_BYTES + view.getUint16(26, true) + view.getUint16(28, true);
  if (start + entry.packedBytes > size)
    throw new StorageError("TruncatedFile", `${entryName(file, entry)} reaches beyond the end of the archive`, {
      hint: "the file is incomplete; get it again",
    });
  return start;
}

async function readAt(file: string, handle: fs.FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0)
      throw new StorageError("TruncatedFile", `${file}: the archive ends at byte ${position + filled}`);
    filled += bytesRead;
  }
  return bytes;
}

function checkEntry(file: string, entry: ZipEntry, bytes: number, checksum: number): void {
  if (bytes > entry.bytes) throw liesAboutSize(file, entry);
  if (bytes < entry.bytes)
    throw new StorageError(
      "BadFile",
      `${entryName(file, entry)}: ${bytes} bytes came out, its header says ${entry.bytes}`,
    );
  if (checksum !== entry.crc32)
    throw new StorageError("BadFile", `${entryName(file, entry)}: the checksum is wrong; the archive is damaged`, {
      hint: "get the file again",
    });
}

const liesAboutSize = (file: string, entry: ZipEntry): StorageError =>
  new StorageError(
    "TooLarge",
    `${entryName(file, entry)}: more comes out than the ${entry.bytes} bytes of its header`,
    {
      hint: "this looks like a decompression bomb, or the archive is damaged",
    },
  );

function inflateError(file: string, entry: ZipEntry, cause: unknown): StorageError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ERR_BUFFER_TOO_LARGE") return liesAboutSize(file, entry);
  const cut = code === "Z_BUF_ERROR";
  const message = `${entryName(file, entry)}: the compressed data is ${cut ? "cut off" : `damaged (${reasonOf(cause)})`}`;
  return new StorageError(cut ? "TruncatedFile" : "BadFile", message, { cause, hint: "get the file again" });
}
