// Content of any size between nodes: one block, or the blocks of a file of IPFS.
import { fetchBlocks } from "@skynet/network";
import { BLINDER_BYTES } from "@skynet/proof";
import { codecOfCid, SkyNetError } from "@skynet/protocol";
import { cidsOfContent, exportFile, fetchTree, readContent, type BlockStore } from "@skynet/storage";
import type { Address, ModelShape } from "@skynet/swarm";
import { formatBytes } from "../cli/format.ts";
import { fetchPin } from "../runtime/blocks.ts";
import type { LocalNode } from "./local-node.ts";

/** Largest model file that a worker takes, and a requester posts: 256 MiB. */
export const MAX_MODEL_BYTES = 256 * 2 ** 20;
/** Largest update of a model, 512 MiB: 128 million parameters. */
export const MAX_UPDATE_BYTES = 512 * 2 ** 20;
/** Largest list of batches, 128 MiB: 262,144 of them, with their commitments. */
export const MAX_MANIFEST_BYTES = 128 * 2 ** 20;

/** Size of an update: four bytes for each weight, and in proof mode a blinder for each block. */
export function updateBytes({ tensors, proof }: ModelShape): number {
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  return 4 * parameters + BLINDER_BYTES * (proof?.weightBlocks ?? 0);
}

/** @throws SkyNetError `ModelTooLarge` */
export function checkModelSize(fileBytes: number, shape: ModelShape): void {
  const update = updateBytes(shape);
  if (fileBytes <= MAX_MODEL_BYTES && update <= MAX_UPDATE_BYTES) return;
  const [file, most] = [formatBytes(fileBytes), formatBytes(MAX_MODEL_BYTES)];
  throw new SkyNetError(
    "ModelTooLarge",
    `the model has a file of ${file} and updates of ${formatBytes(update)}; workers take at most ${most} and ${formatBytes(MAX_UPDATE_BYTES)}`,
    { hint: "use fewer parameters, and leave stored weights out of the ONNX file" },
  );
}

export interface FetchContentOptions {
  /** Nodes that may have it: each gives what it can. */
  readonly from: readonly Address[];
  /** Larger content is refused as soon as its first block tells. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** How long nodes that cannot be reached are tried again without any progress, milliseconds (0). */
  readonly patienceMs?: number | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Told about blocks before they are fetched. */
  readonly onBlocks?: ((cids: readonly string[]) => void) | undefined;
}

type Fetcher = Pick<LocalNode, "host" | "partials"> & { readonly blocks: BlockStore };

/**
 * Brings content into the node's store, every block checked; what is here already is not fetched again.
 * @returns its bytes
 * @throws StorageError `TooLarge`, `BadFile`, `QuotaExceeded`; NetworkError, see `fetchBlocks`; SkyNetError `NoSource`
 */
export async function fetchContent(node: Fetcher, cid: string, options: FetchContentOptions): Promise<number> {
  const { host, partials, blocks: store } = node;
  const { from: sources, maxBytes, signal, patienceMs, onProgress, onBlocks } = options;
  const fetch: Parameters<typeof fetchTree>[1]["fetch"] = async (wanted, onBlock) => {
    if (wanted.length === 0) return;
    if (sources.length === 0)
      throw new SkyNetError("NoSource", `nobody is known who could have ${cid}`, {
        hint: "name the address of a node that serves it",
      });
    await fetchBlocks(host, wanted, { sources, signal, patienceMs, partials, onBlock });
  };
  if (codecOfCid(cid) === "dag-pb") return fetchTree(cid, { store, fetch, maxBytes, signal, onProgress, onBlocks });
  onBlocks?.([cid]);
  const found = await store.get(cid);
  let size = found?.length ?? 0;
  if (found === undefined)
    await fetch([{ cid }], async (_index, bytes) => {
      size = bytes.length;
      await store.put(bytes);
    });
  onProgress?.(size, size);
  return size;
}

/** Fetches content, and reads it. @throws as {@link fetchContent} */
export async function fetchBytes(node: Fetcher, cid: string, options: FetchContentOptions): Promise<Uint8Array> {
  await fetchContent(node, cid, options);
  return readContent(node.blocks, cid, options);
}

/** Largest file that is fetched when nobody says another limit: 1 TiB. */
const MAX_FILE_BYTES = 2 ** 40;

export interface FetchFileOptions extends Omit<FetchContentOptions, "from" | "maxBytes" | "onBlocks"> {
  /** Addresses of nodes to ask; by default those that this node knows of, see {@link knownNodes}. */
  readonly from?: readonly Address[] | undefined;
  readonly maxBytes?: number | undefined;
  /** Remove the blocks when the file is written, except those that something else holds. */
  readonly discard?: boolean | undefined;
}

/**
 * Fetches a file by its CID from other nodes and writes it; a transfer that stopped goes on within an hour. Until it is
 * written its blocks are pinned for this call alone.
 * @throws as {@link fetchContent}, and StorageError `DiskFull`
 */
export async function fetchFile(
  node: Pick<LocalNode, "host" | "partials" | "blocks">,
  cid: string,
  file: string,
  { from, maxBytes = MAX_FILE_BYTES, discard = false, ...options }: FetchFileOptions = {},
): Promise<void> {
  const pin = fetchPin(cid);
  const onBlocks = (cids: readonly string[]) => node.blocks.pin(pin, cids);
  try {
    await fetchContent(node, cid, { ...options, from: from ?? knownNodes(node), maxBytes, onBlocks });
    await exportFile(node.blocks, cid, file, { overwrite: true, signal: options.signal });
    if (discard) await node.blocks.discard(pin);
  } finally {
    node.blocks.unpin(pin);
  }
}

/** Nodes that are online, as they have announced themselves: those that serve files first. */
export function knownNodes({ host }: Pick<LocalNode, "host">): Address[] {
  const serves = ({ role }: { readonly role: string }) => Number(role === "host");
  return host.directory
    .entries()
    .toSorted((one, other) => serves(other) - serves(one))
    .map(({ address }) => address);
}

/** Lets everybody fetch content that is here. @throws StorageError `BlockMissing` */
export async function openContent(
  { blocks, access }: Pick<LocalNode, "blocks" | "access">,
  cid: string,
): Promise<void> {
  for (const block of await cidsOfContent(blocks, cid)) access.open(block);
}
