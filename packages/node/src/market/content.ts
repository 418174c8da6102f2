// Content of listings: blocks that are encrypted with the listing's key, and one block, encrypted too, that names them.
import { concatBytes, decode, encode, InvalidInputError, matchesCid, SkyNetError, type Hex } from "@skynet/protocol";
import {
  cidsOfContent,
  dataKeyOf,
  decryptBlock,
  encryptBlock,
  openDataset,
  parseManifest,
  publishDataset,
  putContent,
  readContent,
  type Batch,
  type BatchSource,
  type BlockStore,
} from "@skynet/storage";
import { z } from "zod";
import { formatBytes } from "../cli/format.ts";

/** What a seller serves: `cid` is the block that leads to all others. */
export interface StoredContent {
  readonly cid: string;
  /** Every block, that one included. */
  readonly cids: readonly string[];
  /** Encrypted size of all blocks. */
  readonly bytes: number;
}

export type Progress = (done: number, total: number) => void;
/** Gets a block of a seller; its hash is checked. */
export type FetchBlock = (cid: string) => Promise<Uint8Array>;

/** Plain size of a part of a file; blocks are at most 4 MiB. */
const PART_BYTES = 2 ** 20;
const MAX_PARTS = 1024;

const fileSchema = z.strictObject({
  version: z.literal(1),
  kind: z.literal("file"),
  bytes: z
    .int()
    .min(1)
    .max(MAX_PARTS * PART_BYTES),
  cids: z.array(z.string().max(100)).min(1).max(MAX_PARTS),
});

/** Encrypts and stores the block that leads to all others. @returns its CID, and those of all blocks that it needs */
async function finish(blocks: BlockStore, root: Uint8Array, recipient: string) {
  const cid = await putContent(blocks, await encryptBlock(root, [recipient]));
  return { cid, own: await cidsOfContent(blocks, cid) };
}

async function sizeOf(blocks: BlockStore, cids: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const cid of cids) bytes += (await blocks.get(cid))?.length ?? 0;
  return bytes;
}

/** Encrypts a dataset batch by batch. @throws StorageError `DiskFull` */
export async function storeBatches(
  source: BatchSource,
  description: { name: string; classes: number; scale: number },
  key: Uint8Array,
  blocks: BlockStore,
  { onProgress, signal }: { onProgress?: Progress; signal?: AbortSignal } = {},
): Promise<StoredContent> {
  const { recipient } = await dataKeyOf(key);
  const { manifest, manifestBytes } = await publishDataset({
    ...description,
    source,
    blockStore: blocks,
    recipient,
    onProgress: ({ batches: done, total }) => onProgress?.(done, total),
    ...(signal ? { signal } : {}),
  });
  const { cid, own } = await finish(blocks, manifestBytes, recipient);
  const cids = [...own, ...manifest.cids];
  return { cid, cids, bytes: await sizeOf(blocks, cids) };
}

/** Encrypts a file in parts. @throws StorageError `DiskFull` */
export async function storeFile(
  file: Uint8Array,
  key: Uint8Array,
  blocks: BlockStore,
  onProgress?: Progress,
): Promise<StoredContent> {
  const { recipient } = await dataKeyOf(key);
  const parts: string[] = [];
  for (let at = 0; at < file.length; at += PART_BYTES) {
    parts.push(await blocks.put(await encryptBlock(file.subarray(at, at + PART_BYTES), [recipient])));
    onProgress?.(parts.length, Math.ceil(file.length / PART_BYTES));
  }
  const root = encode({ version: 1, kind: "file", bytes: file.length, cids: parts });
  const { cid, own } = await finish(blocks, root, recipient);
  const cids = [...own, ...parts];
  return { cid, cids, bytes: await sizeOf(blocks, cids) };
}

const wrongContent = (reason: string, cause?: unknown) =>
  new SkyNetError("WrongContent", `the content is not what the listing says: ${reason}`, {
    cause,
    hint: "nothing was written; the key was right, so the contract cannot refund this: warn others of the seller",
  });

/** @param most bytes that the listing says */
export const tooMuchContent = (most: number) =>
  wrongContent(`it has more than the ${formatBytes(most)} that the listing says`);

/**
 * A block from this node's store, else fetched and kept.
 * @param most bytes of all blocks together, as the seller says: no seller fills a buyer's disk or memory
 */
export function keepingBlocks(blocks: BlockStore, most: number, fetch: FetchBlock): FetchBlock {
  const sizes = new Map<string, number>();
  return async (cid) => {
    const stored = await blocks.get(cid);
    const block = stored ?? (await fetch(cid));
    sizes.set(cid, block.length);
    const total = sizes.values().reduce((sum, size) => sum + size, 0);
    if (total > most) throw tooMuchContent(most);
    if (stored !== undefined) return stored;
    if (!(await matchesCid(cid, block))) throw wrongContent(`other bytes than block ${cid} were delivered`);
    await blocks.put(block);
    return block;
  };
}

async function openRoot(cid: string, key: Uint8Array, fetch: FetchBlock): Promise<Uint8Array> {
  const { identity } = await dataKeyOf(key);
  const block = await readContent({ get: fetch }, cid);
  return decryptBlock(block, identity).catch((cause: unknown) => {
    throw wrongContent("its first block does not open with the key", cause);
  });
}

/** CIDs of all blocks of a dataset or a file, the first block included. @throws SkyNetError `WrongContent` */
export async function blocksOf(
  kind: "data" | "model",
  { cid, contentRoot }: { cid: string; contentRoot: Hex },
  key: Uint8Array,
  fetch: FetchBlock,
): Promise<string[]> {
  const root = await openRoot(cid, key, fetch);
  const own = await cidsOfContent({ get: fetch }, cid);
  return [...own, ...(kind === "data" ? parseListed(root, contentRoot) : parseFile(root)).cids];
}

function parseListed(root: Uint8Array, contentRoot: Hex) {
  try {
    return parseManifest(root, contentRoot);
  } catch (error) {
    throw isContentFault(error) ? wrongContent(error.message, error) : error;
  }
}

function parseFile(root: Uint8Array): z.output<typeof fileSchema> {
  try {
    return fileSchema.parse(decode(root));
  } catch (cause) {
    throw wrongContent("its first block is not a list of parts", cause);
  }
}

export interface OpenedBatches {
  readonly batches: readonly Batch[];
  readonly batchSize: number;
  readonly features: number;
  readonly classes: number;
  /** Fraction bits of the inputs; 0: bytes as they are. */
  readonly scale: number;
}

/**
 * Fetches and opens a dataset, and checks every batch against `contentRoot`.
 * @throws SkyNetError `WrongContent`, and whatever `fetch` throws
 */
export async function openBatches(
  { cid, contentRoot }: { cid: string; contentRoot: Hex },
  key: Uint8Array,
  fetch: FetchBlock,
  onProgress?: Progress,
): Promise<OpenedBatches> {
  const manifestBytes = await openRoot(cid, key, fetch);
  const { identity } = await dataKeyOf(key);
  try {
    const dataset = openDataset({ manifestBytes, expectedRoot: contentRoot, fetch, identity, cacheBytes: 0 });
    if (dataset.manifest.commitments) throw new InvalidInputError("BadManifest", "leaves of a job, not of a listing");
    const batches: Batch[] = [];
    for (let i = 0; i < dataset.batchCount; i++) {
      batches.push(await dataset.batch(i));
      onProgress?.(i + 1, dataset.batchCount);
    }
    const { batchSize, features, classes, scale } = dataset.manifest;
    return { batches, batchSize, features, classes, scale };
  } catch (error) {
    if (isContentFault(error)) throw wrongContent(error.message, error);
    throw error;
  }
}

const CONTENT_FAULTS: readonly string[] = ["BadManifest", "BadBatch", "CannotDecrypt", "CorruptBlock"];

const isContentFault = (error: unknown): error is SkyNetError =>
  error instanceof SkyNetError && CONTENT_FAULTS.includes(error.code);

/** Fetches and opens a file; its content is the caller's to check. @throws SkyNetError `WrongContent` */
export async function openFile(
  cid: string,
  key: Uint8Array,
  fetch: FetchBlock,
  onProgress?: Progress,
): Promise<Uint8Array> {
  const { bytes, cids } = parseFile(await openRoot(cid, key, fetch));
  if (cids.length !== Math.ceil(bytes / PART_BYTES)) throw wrongContent(`${cids.length} parts for ${bytes} bytes`);
  const { identity } = await dataKeyOf(key);
  const parts: Uint8Array[] = [];
  for (const part of cids) {
    const block = await fetch(part);
    parts.push(
      await decryptBlock(block, identity).catch((cause: unknown) => {
        throw wrongContent(`part ${parts.length + 1} does not open with the key`, cause);
      }),
    );
    onProgress?.(parts.length, cids.length);
  }
  const file = concatBytes(...parts);
  if (file.length !== bytes) throw wrongContent(`${file.length} bytes instead of ${bytes}`);
  return file;
}
