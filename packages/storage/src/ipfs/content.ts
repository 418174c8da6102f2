// Content of any size behind one CID: what fits into a block is one, anything larger is a file of IPFS.
import { codecOfCid, concatBytes, MAX_BLOCK_BYTES } from "@skynet/protocol";
import type { BlockStore } from "../blocks/block-store.ts";
import { blocksOfFile, readParts, type WalkOptions } from "./file-tree.ts";
import { importBytes } from "./files.ts";
import { blockOf } from "./helia-blocks.ts";

/** @returns the CID of the content @throws as `BlockStore.put` */
export async function putContent(
  store: BlockStore,
  bytes: Uint8Array,
  codec: "raw" | "dag-cbor" = "raw",
): Promise<string> {
  if (bytes.length <= MAX_BLOCK_BYTES) return store.put(bytes, codec);
  return importBytes(store, [bytes]);
}

/**
 * All bytes of content, or undefined when its first block is not here.
 * @throws StorageError `BlockMissing` for another block, `BadFile`, `TooLarge`
 */
export async function getContent(
  store: Pick<BlockStore, "get">,
  cid: string,
  options: WalkOptions = {},
): Promise<Uint8Array | undefined> {
  const first = await store.get(cid);
  if (first === undefined || codecOfCid(cid) !== "dag-pb") return first;
  const parts: Uint8Array[] = [];
  for await (const part of readParts(store, cid, options)) parts.push(part);
  return concatBytes(...parts);
}

/** All bytes of content that must be here. @throws StorageError `BlockMissing`, `BadFile`, `TooLarge` */
export async function readContent(
  store: Pick<BlockStore, "get">,
  cid: string,
  options: WalkOptions = {},
): Promise<Uint8Array> {
  return (await getContent(store, cid, options)) ?? blockOf(store, cid);
}

/** CIDs of all blocks of content, each once, the first one first. @throws as {@link readContent} */
export async function cidsOfContent(
  store: Pick<BlockStore, "get">,
  cid: string,
  options: WalkOptions = {},
): Promise<string[]> {
  return codecOfCid(cid) === "dag-pb" ? blocksOfFile(store, cid, options) : [cid];
}
