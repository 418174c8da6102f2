import { codecOfCid } from "@skynet/protocol";
import type { BlockStore } from "../blocks/block-store.ts";
import { StorageError } from "../errors.ts";
import { parseFileNode, TreeBounds, type FilePart } from "./file-tree.ts";
import { blockOf } from "./helia-blocks.ts";

/** A block that is wanted; `size` where it is known. */
export interface WantedBlock {
  readonly cid: string;
  readonly size?: number | undefined;
}

/** Brings blocks from somewhere, in any order; their hashes are right. */
export type FetchBlocks = (
  wanted: readonly WantedBlock[],
  onBlock: (index: number, bytes: Uint8Array) => Promise<void>,
) => Promise<void>;

export interface FetchTreeOptions {
  readonly store: BlockStore;
  readonly fetch: FetchBlocks;
  /** Larger files are refused when their first block is here. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file that are here, and all. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Told about blocks before they are fetched, so that they can be pinned and served. */
  readonly onBlocks?: ((cids: readonly string[]) => void) | undefined;
}

/** Blocks that are asked for together. */
const AT_ONCE = 4096;

/**
 * Brings a file of IPFS into a store, level by level: what is here is not fetched, so a transfer that stopped goes on.
 * @returns bytes of the file
 * @throws StorageError `TooLarge`, `BadFile`; what `fetch` and the store throw
 */
export async function fetchTree(root: string, options: FetchTreeOptions): Promise<number> {
  const { store, maxBytes, signal, onProgress, onBlocks } = options;
  onBlocks?.([root]);
  if (!(await store.has(root))) await fetchMissing([{ cid: root }], options, () => undefined);
  const first = parseFileNode(root, await blockOf(store, root));
  const bounds = new TreeBounds(root, first, maxBytes);
  bounds.check({ cid: root, size: first.size }, first, 0);
  let done = first.data.length;
  const arrived = (bytes: number) => {
    done += bytes;
    onProgress?.(Math.min(done, first.size), first.size);
  };
  arrived(0);
  let level = first.parts;
  for (let depth = 1; level.length > 0; depth++) {
    const next: FilePart[] = [];
    for (let at = 0; at < level.length; at += AT_ONCE) {
      signal?.throwIfAborted();
      const parts = level.slice(at, at + AT_ONCE);
      onBlocks?.(parts.map(({ cid }) => cid));
      await fetchMissing(wanted(parts), options, arrived);
      for (const part of parts) {
        if (codecOfCid(part.cid) === "raw") continue;
        const node = parseFileNode(part.cid, await blockOf(store, part.cid));
        bounds.check(part, node, depth);
        for (const child of node.parts) next.push(child);
      }
    }
    level = next;
  }
  return first.size;
}

/** The size of a leaf is that of its block, that of another node is not. */
const wanted = (parts: readonly FilePart[]): WantedBlock[] =>
  parts.map(({ cid, size }) => (codecOfCid(cid) === "raw" ? { cid, size } : { cid }));

async function fetchMissing(
  blocks: readonly WantedBlock[],
  { store, fetch }: FetchTreeOptions,
  arrived: (bytes: number) => void,
): Promise<void> {
  const missing: WantedBlock[] = [];
  const seen = new Map<string, number | undefined>();
  for (const block of blocks) {
    const { cid, size } = block;
    if (seen.has(cid)) {
      if (seen.get(cid) !== size) throw wrongSize(cid);
      arrived(size ?? 0);
      continue;
    }
    seen.set(cid, size);
    if (await store.has(cid)) arrived(size ?? 0);
    else missing.push(block);
  }
  await fetch(missing, async (index, bytes) => {
    const { cid, size } = missing[index]!;
    if (size !== undefined && bytes.length !== size) throw wrongSize(cid);
    await store.put(bytes, codecOfCid(cid));
    arrived(size ?? 0);
  });
}

const wrongSize = (cid: string): StorageError =>
  new StorageError("BadFile", `the block ${cid} does not have the size that its file says`);
