// The tree of blocks that a file of IPFS (UnixFS) is: what a node says is compared with what is below it, so that a
// hostile tree costs no more than the size that its root names.
import { decode as decodePb } from "@ipld/dag-pb";
import { codecOfCid } from "@skynet/protocol";
import { UnixFS } from "ipfs-unixfs";
import type { BlockStore } from "../blocks/block-store.ts";
import { StorageError } from "../errors.ts";
import { blockOf, nameOf } from "./helia-blocks.ts";

/** A part of a file. */
export interface FilePart {
  readonly cid: string;
  /** Bytes of the file below it. */
  readonly size: number;
}

export interface FileNode {
  /** Bytes of the file. */
  readonly size: number;
  /** Those that are in this block; they come before the parts. */
  readonly data: Uint8Array;
  readonly parts: readonly FilePart[];
}

const MAX_DEPTH = 16;
/** Trees whose parts are smaller, on average, are refused, but for small files. */
const LEAST_PART_BYTES = 8 * 1024;
const MAX_SMALL_PARTS = 1024;
const NOTHING = new Uint8Array();

const bad = (cid: string, why: string, cause?: unknown): StorageError =>
  new StorageError("BadFile", `${cid} is not a file of IPFS: ${why}`, {
    cause,
    hint: "take the CID of one file, not of a folder or of something else",
  });

/** @throws StorageError `BadFile`, `UnsupportedFile`; InvalidInputError `BadCid` */
export function parseFileNode(cid: string, bytes: Uint8Array): FileNode {
  const codec = codecOfCid(cid);
  if (codec === "raw") return { size: bytes.length, data: bytes, parts: [] };
  if (codec !== "dag-pb") throw bad(cid, `a ${codec} block`);
  const { file, names } = decodeNode(cid, bytes);
  if (file.type !== "file" && file.type !== "raw") throw bad(cid, `a ${file.type}`);
  const sizes = file.blockSizes.map(Number);
  const data = file.data ?? NOTHING;
  if (sizes.length !== names.length) throw bad(cid, "as many sizes as parts are needed");
  if (sizes.some((size) => !Number.isSafeInteger(size) || size < 1)) throw bad(cid, "a part without bytes");
  const size = data.length + sizes.reduce((sum, each) => sum + each, 0);
  if (!Number.isSafeInteger(size)) throw bad(cid, "an impossible size");
  return { size, data, parts: names.map((name, i) => ({ cid: name, size: sizes[i]! })) };
}

function decodeNode(cid: string, bytes: Uint8Array) {
  try {
    const { Data, Links } = decodePb(bytes);
    if (Data === undefined) throw new Error("no data");
    return { file: UnixFS.unmarshal(Data), names: Links.map(({ Hash }) => nameOf(Hash)) };
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw bad(cid, "its first block is malformed", cause);
  }
}

export interface WalkOptions {
  readonly signal?: AbortSignal | undefined;
  /** Larger files are refused. */
  readonly maxBytes?: number | undefined;
}

/** Counts what a tree shows, against what its root says. */
export class TreeBounds {
  readonly size: number;
  #left: number;

  /** @throws StorageError `TooLarge` */
  constructor(cid: string, { size }: FileNode, maxBytes = Infinity) {
    if (size > maxBytes) throw new StorageError("TooLarge", `${cid} has ${size} bytes, at most ${maxBytes} are taken`);
    this.size = size;
    this.#left = MAX_SMALL_PARTS + Math.ceil(size / LEAST_PART_BYTES);
  }

  /** @throws StorageError `BadFile` unless the block is the part that its parent names, and not one too many */
  check({ cid, size }: FilePart, node: FileNode, depth: number): void {
    if (node.size !== size) throw bad(cid, `a part of ${node.size} bytes instead of ${size}`);
    this.#left -= node.parts.length;
    if (this.#left < 0 || depth > MAX_DEPTH) throw bad(cid, "it is cut into too many parts");
  }
}

/** The blocks of a file in their order, each as often as it occurs. */
async function* walk(
  store: Pick<BlockStore, "get">,
  root: string,
  { signal, maxBytes }: WalkOptions,
): AsyncGenerator<{ readonly cid: string; readonly node: FileNode }> {
  const first = parseFileNode(root, await blockOf(store, root));
  const bounds = new TreeBounds(root, first, maxBytes);
  const visit = async function* (part: FilePart, known: FileNode | undefined, depth: number): ReturnType<typeof walk> {
    signal?.throwIfAborted();
    const node = known ?? parseFileNode(part.cid, await blockOf(store, part.cid));
    bounds.check(part, node, depth);
    yield { cid: part.cid, node };
    for (const child of node.parts) yield* visit(child, undefined, depth + 1);
  };
  yield* visit({ cid: root, size: first.size }, first, 0);
}

/** Bytes of a file, part by part, in their order. @throws StorageError `BlockMissing`, `BadFile`, `TooLarge` */
export async function* readParts(
  store: Pick<BlockStore, "get">,
  cid: string,
  options: WalkOptions = {},
): AsyncGenerator<Uint8Array> {
  for await (const { node } of walk(store, cid, options)) if (node.data.length > 0) yield node.data;
}

/** CIDs of all blocks of a file, each once, the first one first. @throws as {@link readParts} */
export async function blocksOfFile(
  store: Pick<BlockStore, "get">,
  cid: string,
  options: WalkOptions = {},
): Promise<string[]> {
  const cids = new Set<string>();
  const visit = async (name: string, depth: number, bounds: TreeBounds | undefined, part?: FilePart): Promise<void> => {
    options.signal?.throwIfAborted();
    cids.add(name);
    const node = parseFileNode(name, await blockOf(store, name));
    const within = bounds ?? new TreeBounds(name, node, options.maxBytes);
    within.check(part ?? { cid: name, size: node.size }, node, depth);
    for (const child of node.parts) {
      // Leaves need not be read.
      if (codecOfCid(child.cid) === "raw") cids.add(child.cid);
      else if (!cids.has(child.cid)) await visit(child.cid, depth + 1, within, child);
    }
  };
  await visit(cid, 0, undefined);
  return [...cids];
}
