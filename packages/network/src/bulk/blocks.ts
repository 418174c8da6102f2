import type { Hex } from "@skynet/protocol";
import type { Host } from "../host/types.ts";
import type { BlockProvider } from "./block-server.ts";
import type { TransferOptions } from "./transfer.ts";
import type { BlockRef } from "./transfer-task.ts";

/**
 * Serves blocks by CID to peers that `allow` admits; the others are refused and counted. Several may serve at once.
 * @returns function that stops serving
 */
export function serveBlocks(host: Host, provider: BlockProvider): () => void {
  return host.bulk.provide(provider);
}

/**
 * Fetches blocks from one or several peers at once and checks their hashes. Faster peers serve more; one that lies is
 * left, and what it owes is asked elsewhere, as after a break or a silence. A block goes on at the byte where it
 * stopped. Memory: at most `maxBufferBytes` (64 MiB), and 4 MiB under way from each peer.
 * @throws NetworkError `Refused`, `NotFound`, `Unreachable`, `Stalled`, `BadBlock` of the last peer when none is left;
 *   InvalidInputError `BadCid`; whatever `onBlock` and the partials throw
 */
export function fetchBlocks(host: Host, blocks: readonly BlockRef[], options: TransferOptions): Promise<void> {
  return host.bulk.fetch(blocks, options);
}

export type FetchBlockOptions = Pick<
  TransferOptions,
  "signal" | "silenceMs" | "patienceMs" | "partials" | "onProgress"
>;

/** Fetches one block from one peer, or from whichever of several gives it first; see `fetchBlocks`. */
export async function fetchBlock(
  host: Host,
  peers: Hex | readonly Hex[],
  cid: string,
  options: FetchBlockOptions = {},
): Promise<Uint8Array> {
  let block = new Uint8Array();
  const onBlock = (_index: number, bytes: Uint8Array) => void (block = bytes as Uint8Array<ArrayBuffer>);
  const sources = typeof peers === "string" ? [peers] : peers;
  await fetchBlocks(host, [{ cid }], { ...options, sources, onBlock });
  return block;
}
