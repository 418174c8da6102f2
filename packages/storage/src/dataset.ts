import { equalBytes, matchesCid, merkleRoot, toHex, type Hex } from "@skynet/protocol";
import { decryptBlock, encryptBlock } from "./age.ts";
import { batchLeaf, type Batch, type BatchSource } from "./batches.ts";
import type { BlockStore } from "./blocks/block-store.ts";
import { putContent } from "./ipfs/content.ts";
import { StorageError } from "./errors.ts";
import {
  committedLeaves,
  encodeManifest,
  MAX_BATCHES,
  parseManifest,
  type BatchCommitments,
  type Manifest,
} from "./manifest.ts";
import { INPUT_SCALE } from "./schema/schema.ts";

export interface PublishDatasetOptions {
  readonly name: string;
  readonly source: BatchSource;
  /** Number of classes; every label is below. */
  readonly classes: number;
  /** Fraction bits of the inputs (6). */
  readonly scale?: number;
  readonly blockStore: BlockStore;
  /** age recipient that all batches are encrypted to, or that of each. */
  readonly recipient: string | ((index: number) => Promise<string>);
  /** Of jobs that are proven: the leaves are those of the commitments. */
  readonly commitments?: BatchCommitments | undefined;
  readonly onProgress?: (progress: { batches: number; total: number }) => void;
  readonly signal?: AbortSignal;
}

export interface PublishedDataset {
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly manifestCid: string;
  readonly root: Hex;
}

/**
 * Encrypts and stores each batch (inputs, then labels) and a manifest that commits to them. Commitments are not
 * checked: they are the caller's.
 * @throws StorageError `BadDataset`, `BadKey`, `DiskFull`, `StoreFailed`
 */
export async function publishDataset(options: PublishDatasetOptions): Promise<PublishedDataset> {
  const { name, source, classes, scale = INPUT_SCALE, blockStore, recipient, onProgress, signal } = options;
  const { commitments } = options;
  const { count, batchSize, features } = source;
  if (count > MAX_BATCHES)
    throw new StorageError("TooLarge", `${count} batches are more than ${MAX_BATCHES}`, {
      hint: "choose larger batches",
    });
  const leaves = commitments ? committedLeaves(commitments) : [];
  const cids: string[] = [];
  for (let index = 0; index < count; index++) {
    signal?.throwIfAborted();
    const batch = await source.batch(index);
    if (batch.y.some((label) => label >= classes))
      throw new StorageError("BadDataset", `batch ${index} has a label that is not below ${classes}`);
    if (!commitments) leaves.push(batchLeaf(batch, features, scale));
    cids.push(await blockStore.put(await encryptBlock(batchBytes(batch), [await ofBatch(recipient, index)])));
    onProgress?.({ batches: cids.length, total: count });
  }
  const root = merkleRoot(leaves);
  const plain: Manifest = { version: 1, name, batchSize, features, classes, scale, leaves, cids, root };
  const manifest: Manifest = commitments ? { ...plain, commitments } : plain;
  const manifestBytes = encodeManifest(manifest);
  parseManifest(manifestBytes, toHex(root));
  return {
    manifest,
    manifestBytes,
    manifestCid: await putContent(blockStore, manifestBytes, "dag-cbor"),
    root: toHex(root),
  };
}

export interface OpenDatasetOptions {
  readonly manifestBytes: Uint8Array;
  /** The root that the job names. */
  readonly expectedRoot: Hex;
  /** Gets an encrypted batch, usually from the requester. */
  readonly fetch: (cid: string, options: { signal?: AbortSignal }) => Promise<Uint8Array>;
  /** age identity that opens all batches, or that of each. */
  readonly identity: string | ((index: number) => Promise<string>);
  /** Where fetched blocks are kept. */
  readonly blockStore?: BlockStore;
  /** Bytes of decrypted and checked batches to keep in memory (64 MiB); the oldest make room. */
  readonly cacheBytes?: number;
}

export interface Dataset {
  readonly manifest: Manifest;
  readonly batchCount: number;
  /**
   * A batch, from the store or fetched, decrypted and checked against the manifest. Commitments are opened elsewhere,
   * for all batches at once: until then the content is only what the manifest's CID says.
   * @throws StorageError `BadBatch`, `CorruptBlock`, `CannotDecrypt`, and whatever `fetch` throws
   */
  batch(index: number, options?: { signal?: AbortSignal }): Promise<Batch>;
}

/** Opens a dataset by its manifest. @throws StorageError `BadManifest` */
export function openDataset(options: OpenDatasetOptions): Dataset {
  const { manifestBytes, expectedRoot, fetch, identity, blockStore, cacheBytes = 64 * 1024 * 1024 } = options;
  const manifest = parseManifest(manifestBytes, expectedRoot);
  const blockOf = async (cid: string, signal: AbortSignal | undefined): Promise<Uint8Array> => {
    const stored = await blockStore?.get(cid);
    if (stored !== undefined) return stored;
    const fetched = await fetch(cid, signal ? { signal } : {});
    if (!(await matchesCid(cid, fetched)))
      throw new StorageError("CorruptBlock", `other bytes than block ${cid} were delivered`, {
        hint: "fetch the block from another peer",
      });
    await blockStore?.put(fetched);
    return fetched;
  };
  const batchBytes = manifest.batchSize * (manifest.features + 1);
  const cached = new Map<number, Promise<Batch>>();
  return {
    manifest,
    batchCount: manifest.cids.length,
    async batch(index, { signal } = {}) {
      const cid = manifest.cids[index];
      if (cid === undefined)
        throw new StorageError("BadBatch", `no batch ${index} among ${manifest.cids.length}`, {
          hint: "batches are numbered from 0",
        });
      signal?.throwIfAborted();
      const known = cached.get(index);
      if (known !== undefined) return known;
      const batch = blockOf(cid, signal)
        .then(async (block) => decryptBlock(block, await ofBatch(identity, index)))
        .then((bytes) => parseBatch(bytes, index, manifest));
      cached.set(index, batch);
      batch.catch(() => cached.delete(index));
      if (cached.size * batchBytes > cacheBytes) cached.delete(cached.keys().next().value!);
      return batch;
    },
  };
}

/** A key of all batches, or the one of this. */
const ofBatch = async (key: string | ((index: number) => Promise<string>), index: number): Promise<string> =>
  typeof key === "string" ? key : key(index);

function batchBytes({ x, y }: Batch): Uint8Array {
  const bytes = new Uint8Array(x.length + y.length);
  bytes.set(new Uint8Array(x.buffer, x.byteOffset, x.length));
  bytes.set(y, x.length);
  return bytes;
}

function parseBatch(bytes: Uint8Array, index: number, manifest: Manifest): Batch {
  const { batchSize, features, classes, scale, leaves, commitments } = manifest;
  const inputs = batchSize * features;
  const bad = (reason: string) =>
    new StorageError("BadBatch", `batch ${index} ${reason}`, { hint: "the requester published a wrong dataset" });
  if (bytes.length !== inputs + batchSize) throw bad(`has ${bytes.length} bytes instead of ${inputs + batchSize}`);
  const batch = { x: new Int8Array(bytes.slice(0, inputs).buffer), y: bytes.slice(inputs) };
  if (!commitments && !equalBytes(batchLeaf(batch, features, scale), leaves[index]!))
    throw bad("is not the one committed to");
  if (batch.y.some((label) => label >= classes)) throw bad(`has a label that is not below ${classes}`);
  return batch;
}
