import { constants as zlibConstants, createGunzip, createZstdDecompress } from "node:zlib";
import { createReadStream, type ReadStream } from "node:fs";
import fs from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { reasonOf, StorageError } from "../errors.ts";

/** How a file is compressed as a whole. */
export type Packing = "gzip" | "zstd";

export interface UnpackOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file (compressed, if it is) that were read, and all of them. */
  readonly onProgress?: ((readBytes: number, totalBytes: number) => void) | undefined;
  /** Most bytes that may come out, for those who must hold them; without: no limit, since everything streams. */
  readonly maxBytes?: number | undefined;
  /** Most bytes that may come out for each that goes in; looked at once 1 MiB came out. */
  readonly maxRatio?: number | undefined;
}

const CHUNK_BYTES = 256 * 1024;
const RATIO_FROM_BYTES = 2 ** 20;
/** 128 MiB: what `zstd --ultra` and `--long` use at most. With it, unpacking never holds more than about 130 MiB. */
const ZSTD_WINDOW_LOG_MAX = 27;

/** @param head first bytes of a file, at least four */
export function packingOf(head: Uint8Array): Packing | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  return head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd ? "zstd" : undefined;
}

/**
 * Bytes of a file in pieces of at most 256 KiB, unpacked where `packing` says how. Holds a few pieces and the window of
 * the compression (gzip 32 KiB, zstd at most 128 MiB), whatever comes out. Several members one after the other are one
 * file, as for gzip and zstd themselves; zeros may follow them, as tapes add them.
 * @throws StorageError `FileNotFound`, `TruncatedFile`, `BadFile`, `TooLarge`, `StoreFailed`, each naming the file
 */
export async function* unpackFile(
  file: string,
  packing: Packing | undefined,
  options: UnpackOptions = {},
): AsyncGenerator<Uint8Array> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const size = await sizeOf(file);
  const raw = createReadStream(file, { highWaterMark: CHUNK_BYTES });
  const limits = createLimits(file, raw, options);
  try {
    for await (const chunk of packing === undefined ? raw : unpacked(file, packing, raw, signal)) {
      signal?.throwIfAborted();
      limits(chunk.length);
      onProgress?.(raw.bytesRead, size);
      yield chunk;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof StorageError ? cause : unpackError(file, packing, cause);
  } finally {
    raw.destroy();
  }
}

async function* unpacked(
  file: string,
  packing: Packing,
  raw: ReadStream,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const params = { [zlibConstants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX };
  const unpack =
    packing === "gzip"
      ? createGunzip({ chunkSize: CHUNK_BYTES })
      : createZstdDecompress({ chunkSize: CHUNK_BYTES, params });
  // Its failures end the iteration below with the same error.
  const done = pipeline(raw, unpack, signal === undefined ? {} : { signal }).catch(() => undefined);
  try {
    yield* unpack as AsyncIterable<Uint8Array>;
    await checkTail(file, packing, unpack.bytesWritten);
  } finally {
    unpack.destroy();
    await done;
  }
}

/** Fails unless only zeros follow the compressed data, which ends at `offset`. */
async function checkTail(file: string, packing: Packing, offset: number): Promise<void> {
  for await (const chunk of createReadStream(file, { start: offset }) as AsyncIterable<Uint8Array>) {
    if (chunk.some((byte) => byte !== 0)) throw trailingError(file, packing);
  }
}

function trailingError(file: string, packing: Packing, cause?: unknown): StorageError {
  return new StorageError("BadFile", `${file}: something that is not ${packing} follows the compressed data`, {
    cause,
    hint: "the file was damaged or put together wrongly; get it again",
  });
}

function createLimits(file: string, raw: ReadStream, { maxBytes, maxRatio }: UnpackOptions): (bytes: number) => void {
  let total = 0;
  return (bytes) => {
    total += bytes;
    if (maxBytes !== undefined && total > maxBytes)
      throw new StorageError("TooLarge", `${file}: more than ${maxBytes} bytes come out of it`, {
        hint: "this kind of file must fit into memory; split it, or use a format that is read in pieces",
      });
    if (maxRatio !== undefined && total > RATIO_FROM_BYTES && total > maxRatio * raw.bytesRead)
      throw new StorageError("TooLarge", `${file}: it unpacks to more than ${maxRatio} times its size`, {
        hint: "this looks like a decompression bomb; unpack it yourself if you trust it",
      });
  };
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await fs.stat(file)).size;
  } catch (cause) {
    throw fileError(file, cause);
  }
}

/** What to say when a file cannot be opened or read. */
export function fileError(file: string, cause: unknown): StorageError {
  const missing = ["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "");
  if (missing) return new StorageError("FileNotFound", `${file} does not exist`, { cause, hint: "check the path" });
  return new StorageError("StoreFailed", `cannot read ${file}: ${reasonOf(cause)}`, {
    cause,
    hint: "check that the file can be read",
  });
}

function unpackError(file: string, packing: Packing | undefined, cause: unknown): StorageError {
  const { code = "" } = cause as NodeJS.ErrnoException;
  if (packing === undefined || !/^(Z_|ZSTD_)/.test(code)) return fileError(file, cause);
  if (code === "Z_BUF_ERROR")
    return new StorageError("TruncatedFile", `${file}: the ${packing} data is cut off`, {
      cause,
      hint: "the file is incomplete; get it again",
    });
  if (/incorrect header check|unknown frame/i.test(reasonOf(cause))) return trailingError(file, packing, cause);
  if (/memory|window/i.test(`${code} ${reasonOf(cause)}`))
    return new StorageError("TooLarge", `${file}: unpacking it needs more than ${2 ** ZSTD_WINDOW_LOG_MAX} bytes`, {
      cause,
      hint: "compress it with a smaller window, for example `zstd -19`",
    });
  return new StorageError("BadFile", `${file}: the ${packing} data is damaged (${reasonOf(cause)})`, {
    cause,
    hint: "get the file again",
  });
}
