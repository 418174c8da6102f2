import fs from "node:fs/promises";
import { decode as decodeCbor } from "@ipld/dag-cbor";
import { codecOfCid, equalBytes, MAX_BLOCK_BYTES } from "@skynet/protocol";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";
import { z } from "zod";
import type { BlockStore } from "../blocks/block-store.ts";
import { reasonOf, StorageError } from "../errors.ts";
import { FileWindow } from "./file-window.ts";
import { isInline, nameOf } from "./helia-blocks.ts";

/** Longest header, and longest CID before a block. */
const MAX_HEADER_BYTES = 1024 * 1024;
const MAX_CID_BYTES = 256;
const MAX_ROOTS = 1000;
/** Header of version 2: 11 bytes that tell the version, then 16 of flags, offset and size of the part of version 1. */
const V2_BYTES = 51;

const headerSchema = z.object({
  version: z.literal(1),
  roots: z.array(z.custom<CID>((value) => CID.asCID(value) !== null, "not a CID")).max(MAX_ROOTS),
});

export interface ImportCarOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Told about each block that is kept. */
  readonly onBlock?: ((cid: string) => void) | undefined;
}

export interface ImportedCar {
  readonly roots: readonly string[];
  readonly blocks: number;
  readonly bytes: number;
}

/**
 * Takes the blocks of a CAR (version 1 or 2) into a store: each with its hash checked before, one at a time.
 * @throws StorageError `FileNotFound`; with the offset in the file `TruncatedFile`, `BadFile`, `CorruptBlock`, `TooLarge`,
 *   `UnsupportedFile`; `BlockMissing` for a root that is not in the file; `QuotaExceeded`, `DiskFull`
 */
export async function importCar(store: BlockStore, file: string, options: ImportCarOptions = {}): Promise<ImportedCar> {
  const { signal, onProgress, onBlock } = options;
  const handle = await fs.open(file).catch((cause: unknown) => {
    throw new StorageError("FileNotFound", `${file} cannot be read: ${reasonOf(cause)}`, {
      cause,
      hint: "check the path",
    });
  });
  try {
    const input = new FileWindow(handle, file, (await handle.stat()).size);
    const roots = await readHeader(input);
    let [blocks, bytes] = [0, 0];
    while (input.at < input.end) {
      signal?.throwIfAborted();
      const found = await readBlock(input);
      if (found !== undefined) {
        const cid = await store.put(found.bytes, codecOfCid(found.cid));
        onBlock?.(cid);
        blocks += 1;
        bytes += found.bytes.length;
      }
      onProgress?.(input.at, input.end);
    }
    for (const root of roots)
      if (!(await store.has(root)))
        throw new StorageError("BlockMissing", `${file} has no block for its root ${root}`, {
          hint: "it holds a part of the content; its other blocks are kept for an hour: import the rest, too",
        });
    return { roots, blocks, bytes };
  } finally {
    await handle.close();
  }
}

/** @returns the roots; the window stands at the first block */
async function readHeader(input: FileWindow): Promise<string[]> {
  const at = input.at;
  const length = await input.varint();
  if (length < 1 || length > MAX_HEADER_BYTES) throw input.bad(at, "it does not begin like a CAR");
  // A map of one or two entries.
  const [first] = await input.take(1, "the header");
  if (first !== 0xa1 && first !== 0xa2) throw input.bad(at, "it does not begin like a CAR");
  input.at -= 1;
  const bytes = await input.take(length, "the header");
  let header: unknown;
  try {
    header = decodeCbor(bytes);
  } catch (cause) {
    throw input.bad(at, "it does not begin like a CAR", cause);
  }
  if (at === 0 && (header as { version?: unknown } | null)?.version === 2) {
    await enterVersion2(input);
    return readHeader(input);
  }
  const { success, data } = headerSchema.safeParse(header);
  if (!success) throw input.bad(at, "its header is not one of a CAR of version 1 or 2");
  return data.roots.map((root) => (isInline(root) ? root.toString() : nameOf(root)));
}

/** The part of version 1 lies somewhere inside; an index after it is not needed. */
async function enterVersion2(input: FileWindow): Promise<void> {
  const at = input.at;
  const view = new DataView((await input.take(V2_BYTES - at, "the header")).slice().buffer);
  const [from, size] = [Number(view.getBigUint64(16, true)), Number(view.getBigUint64(24, true))];
  if (from < V2_BYTES || size < 1) throw input.bad(at, "its header points nowhere");
  input.narrow(from, size);
}

async function readBlock(input: FileWindow): Promise<{ readonly cid: string; readonly bytes: Uint8Array } | undefined> {
  const at = input.at;
  const length = await input.varint();
  if (length > MAX_BLOCK_BYTES + MAX_CID_BYTES)
    throw new StorageError("TooLarge", `${input.name}, byte ${at}: a block of ${length} bytes`, {
      hint: `blocks of at most ${MAX_BLOCK_BYTES} bytes are taken: write the CAR again with smaller ones`,
    });
  const section = await input.take(length, "a block");
  let cid: CID;
  let bytes: Uint8Array;
  try {
    [cid, bytes] = CID.decodeFirst(section);
  } catch (cause) {
    throw input.bad(at, "no CID where a block begins", cause);
  }
  if (isInline(cid)) {
    if (!equalBytes(cid.multihash.digest, bytes)) throw corrupt(input, at, cid);
    return undefined;
  }
  const name = nameAt(input, at, cid);
  if (bytes.length > MAX_BLOCK_BYTES) throw input.bad(at, "a block that is too large");
  if (!equalBytes((await sha256.digest(bytes)).digest, cid.multihash.digest)) throw corrupt(input, at, cid);
  return { cid: name, bytes: bytes.slice() };
}

function nameAt(input: FileWindow, at: number, cid: CID): string {
  try {
    return nameOf(cid);
  } catch (error) {
    const { message, hint } = error as StorageError;
    throw new StorageError(
      "UnsupportedFile",
      `${input.name}, byte ${at}: ${message}`,
      hint === undefined ? {} : { hint },
    );
  }
}

const corrupt = (input: FileWindow, at: number, cid: CID): StorageError =>
  new StorageError("CorruptBlock", `${input.name}, byte ${at}: the block ${cid.toString()} has other bytes`, {
    hint: "the file was damaged: get it again",
  });
