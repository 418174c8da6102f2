// Content of any size as a list of chunks. The list is a block; its CID names the content.
import { cidOfDigest, concatBytes, decode, encode, sha256 } from "@skynet/protocol";
import { z } from "zod";
import { NetworkError } from "../errors.ts";
import type { Host } from "../host/types.ts";
import { fetchBlocks } from "./blocks.ts";
import { MAX_BLOCK_BYTES } from "./block-messages.ts";
import type { TransferOptions } from "./transfer.ts";
import type { SizedBlock } from "./transfer-task.ts";

const MIB = 1024 * 1024;
/** Larger content has chunks of 4 MiB instead of 1 MiB. */
const LARGE_BYTES = 256 * MIB;

const contentSchema = z
  .strictObject({
    v: z.literal(1),
    size: z.int().min(1),
    chunkBytes: z.int().min(MIB).max(MAX_BLOCK_BYTES),
    chunks: z.custom<Uint8Array>((value) => value instanceof Uint8Array, "not bytes"),
  })
  .refine(
    ({ size, chunkBytes, chunks }) => chunks.length === 32 * Math.ceil(size / chunkBytes),
    "wrong number of hashes",
  );

/** `chunks`: SHA-256 of each chunk, concatenated; all chunks but the last have `chunkBytes`; `size`: bytes. */
export interface ContentManifest {
  readonly size: number;
  readonly chunkBytes: number;
  readonly chunks: Uint8Array;
}

export const chunkBytesFor = (size: number): number => (size > LARGE_BYTES ? MAX_BLOCK_BYTES : MIB);

export const encodeManifest = ({ size, chunkBytes, chunks }: ContentManifest): Uint8Array =>
  encode({ v: 1, size, chunkBytes, chunks });

/** @throws NetworkError `Malformed` */
export function parseManifest(bytes: Uint8Array): ContentManifest {
  try {
    const { size, chunkBytes, chunks } = contentSchema.parse(decode(bytes));
    return { size, chunkBytes, chunks };
  } catch (cause) {
    throw new NetworkError("Malformed", "not a list of chunks", { cause });
  }
}

/** CIDs and sizes of the chunks, in order. */
export function chunksOf({ size, chunkBytes, chunks }: ContentManifest): SizedBlock[] {
  return Array.from({ length: chunks.length / 32 }, (_, i) => ({
    cid: cidOfDigest(chunks.subarray(32 * i, 32 * i + 32)),
    size: Math.min(chunkBytes, size - i * chunkBytes),
  }));
}

/** Keeps blocks by CID; a block store is one. */
export interface ChunkStore {
  put(bytes: Uint8Array, codec?: "raw" | "dag-cbor"): Promise<string>;
  get(cid: string): Promise<Uint8Array | undefined>;
  has(cid: string): Promise<boolean>;
}

/**
 * Cuts content into chunks and keeps them with their list.
 * @param parts the content, in parts of any size
 * @param size bytes of all parts
 * @returns the CID that names the content
 */
export async function storeContent(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
  store: ChunkStore,
): Promise<string> {
  const chunkBytes = chunkBytesFor(size);
  const hashes: Uint8Array[] = [];
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let total = 0;
  const put = async (chunk: Uint8Array) => {
    hashes.push(await sha256(chunk));
    await store.put(chunk);
  };
  for await (const part of parts) {
    total += part.length;
    held.push(part);
    heldBytes += part.length;
    if (heldBytes < chunkBytes) continue;
    const joined = concatBytes(...held);
    let at = 0;
    for (; joined.length - at >= chunkBytes; at += chunkBytes) await put(joined.slice(at, at + chunkBytes));
    held = [joined.slice(at)];
    heldBytes = joined.length - at;
  }
  if (heldBytes > 0) await put(concatBytes(...held));
  if (total !== size || size === 0)
    throw new NetworkError("BadOption", `${total} bytes of content instead of ${size}`, {
      hint: "content has at least one byte, and must not change while it is read",
    });
  return store.put(encodeManifest({ size, chunkBytes, chunks: concatBytes(...hashes) }), "dag-cbor");
}

export interface FetchContentOptions extends Omit<TransferOptions, "onBlock"> {
  /** Where chunks are kept, and looked for first. */
  readonly store: ChunkStore;
  /** Larger content is refused. */
  readonly maxBytes: number;
}

/**
 * Fetches content that a CID names, from several peers at once; what the store has already is not fetched again, so a
 * transfer that stopped goes on where it was when it is called again, also by another process.
 * @throws NetworkError `TooLarge`, `Malformed`, and what `fetchBlocks` throws
 */
export async function fetchContent(host: Host, cid: string, options: FetchContentOptions): Promise<ContentManifest> {
  const { store, maxBytes, onProgress, ...transfer } = options;
  const list = await listOf(host, cid, options);
  const manifest = parseManifest(list);
  if (manifest.size > maxBytes)
    throw new NetworkError("TooLarge", `the content has ${manifest.size} bytes, at most ${maxBytes} are taken`);
  const missing: SizedBlock[] = [];
  for (const chunk of new Map(chunksOf(manifest).map((it) => [it.cid, it])).values())
    if (!(await store.has(chunk.cid))) missing.push(chunk);
  const heldBytes = manifest.size - missing.reduce((sum, { size }) => sum + size, 0);
  await fetchBlocks(host, missing, {
    ...transfer,
    reuseBuffers: true,
    onProgress: (progress) =>
      onProgress?.({ ...progress, receivedBytes: heldBytes + progress.receivedBytes, totalBytes: manifest.size }),
    onBlock: async (_index, bytes) => void (await store.put(bytes)),
  });
  return manifest;
}

async function listOf(host: Host, cid: string, options: FetchContentOptions): Promise<Uint8Array> {
  const { store, onProgress: _, ...transfer } = options;
  const kept = await store.get(cid);
  if (kept !== undefined) return kept;
  let list = new Uint8Array();
  await fetchBlocks(host, [{ cid }], { ...transfer, onBlock: (_index, bytes) => void (list = bytes.slice()) });
  parseManifest(list);
  await store.put(list, "dag-cbor");
  return list;
}

/** The chunks of content that a store has, in order. @throws NetworkError `NotFound` when one is missing */
export async function* readContent(manifest: ContentManifest, store: ChunkStore): AsyncGenerator<Uint8Array> {
  for (const { cid } of chunksOf(manifest)) {
    const chunk = await store.get(cid);
    if (chunk === undefined) throw new NetworkError("NotFound", `chunk ${cid} is not kept here any more`);
    yield chunk;
  }
}
