import fs from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip as gunzipCallback } from "node:zlib";
import { reasonOf, StorageError } from "./errors.ts";

const gunzip = promisify(gunzipCallback);
const UNSIGNED_BYTE = 0x08;
const MAX_DIMENSIONS = 4;
/** Largest unpacked file: 1 GiB. */
const MAX_BYTES = 2 ** 30;

/** An array of unsigned bytes as the MNIST family stores it: `data` row-major, shape [count, ...]. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Reads an IDX file of unsigned bytes, plain or gzipped.
 * @param source path, or the bytes of the file
 * @throws StorageError `FileNotFound`, `TruncatedIdx`, `BadIdx`, naming the file and expected and found bytes
 */
export async function readIdx(source: string | Uint8Array): Promise<IdxArray> {
  const name = typeof source === "string" ? source : `a file of ${source.length} bytes`;
  const packed = typeof source === "string" ? await readFile(source) : source;
  return parseIdx(await unpack(packed, name), name);
}

const SIGNED_BYTE = 0x09;

/** An array of bytes as an IDX file that is not compressed; the inverse of `readIdx` where they are unsigned. */
export function encodeIdx({ shape, data }: { shape: readonly number[]; data: Uint8Array | Int8Array }): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0, 0, data instanceof Int8Array ? SIGNED_BYTE : UNSIGNED_BYTE, shape.length]);
  shape.forEach((size, i) => view.setUint32(4 + 4 * i, size));
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.length), 4 + 4 * shape.length);
  return bytes;
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    return await fs.readFile(path);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new StorageError(missing ? "FileNotFound" : "StoreFailed", `cannot read ${path}: ${reasonOf(cause)}`, {
      cause,
      hint: missing ? "check the path" : "check that the file can be read",
    });
  }
}

async function unpack(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await gunzip(bytes, { maxOutputLength: MAX_BYTES });
  } catch (cause) {
    const truncated = (cause as NodeJS.ErrnoException).code === "Z_BUF_ERROR";
    const message = `${name}: the gzip data is ${truncated ? "cut off" : "damaged"} (${bytes.length} bytes found)`;
    throw new StorageError(truncated ? "TruncatedIdx" : "BadIdx", message, { cause, hint: "download the file again" });
  }
}

function parseIdx(bytes: Uint8Array, name: string): IdxArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const needs = (expected: number) => {
    if (bytes.length < expected)
      throw new StorageError("TruncatedIdx", `${name}: expected ${expected} bytes, found ${bytes.length}`, {
        hint: "the file is incomplete; download it again",
      });
  };
  needs(4);
  const [zero, zero2, type, rank] = bytes;
  if (zero !== 0 || zero2 !== 0 || type !== UNSIGNED_BYTE || rank === 0 || rank! > MAX_DIMENSIONS)
    throw new StorageError(
      "BadIdx",
      `${name}: expected 00 00 08 and 1 to ${MAX_DIMENSIONS} dimensions at the start, found ${[...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ")}`,
      { hint: "this reads IDX files of unsigned bytes, such as train-images-idx3-ubyte" },
    );
  const header = 4 + 4 * rank!;
  needs(header);
  const shape = Array.from({ length: rank! }, (_, i) => view.getUint32(4 + 4 * i));
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements > MAX_BYTES)
    throw new StorageError("BadIdx", `${name}: ${shape.join(" x ")} elements are more than ${MAX_BYTES}`);
  needs(header + elements);
  if (bytes.length > header + elements)
    throw new StorageError("BadIdx", `${name}: expected ${header + elements} bytes, found ${bytes.length}`, {
      hint: "the file is longer than its dimensions say",
    });
  return { shape, data: new Uint8Array(bytes.buffer, bytes.byteOffset + header, elements) };
}
