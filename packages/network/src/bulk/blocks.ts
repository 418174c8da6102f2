import type { Hex } from "@skynet/protocol";
import type { FetchBlockOptions } from "./block-client.ts";
import {
  BLOCK_PROTOCOL,
  BLOCK_STATUS,
  MAX_BLOCK_BYTES,
  MAX_REQUEST_BYTES,
  parseBlockRequest,
} from "./block-messages.ts";
import { NetworkError } from "../errors.ts";
import type { FramedStream } from "../host/framed-stream.ts";
import type { Host } from "../host/host.ts";

export interface ServeBlocksOptions {
  /** Whether this node may have this block. */
  readonly allow: (peerAddress: Hex, cid: string) => boolean;
  readonly get: (cid: string) => Promise<Uint8Array | undefined>;
}

/**
 * Serves blocks by CID to peers that `allow` admits; the others are refused and counted.
 * @returns function that stops serving
 */
export function serveBlocks(host: Host, { allow, get }: ServeBlocksOptions): Promise<() => Promise<void>> {
  const answer = async (stream: FramedStream, from: Hex, cid: string): Promise<void> => {
    if (!allow(from, cid)) {
      host.drops.count("refusedBlock");
      host.offend(from, "refused");
      return stream.write(Uint8Array.of(BLOCK_STATUS.refused));
    }
    const block = await get(cid);
    if (block === undefined || block.length > MAX_BLOCK_BYTES)
      return stream.write(Uint8Array.of(BLOCK_STATUS.notFound));
    return stream.write(Uint8Array.of(BLOCK_STATUS.found), block);
  };
  return host.serve(BLOCK_PROTOCOL, async (stream, from) => {
    for (;;) {
      const request = await stream.read(MAX_REQUEST_BYTES);
      if (request === undefined) return;
      await answer(stream, from, parseBlockRequest(request));
    }
  });
}

/**
 * Fetches a block from a peer and checks its hash. Requests to one peer share a connection and a stream, so many may
 * be in flight at once.
 * @throws NetworkError `Refused`, `NotFound`, `Unreachable`, `Stalled`, `BadBlock`; InvalidInputError `BadCid`
 */
export async function fetchBlock(host: Host, peer: Hex, cid: string, options?: FetchBlockOptions): Promise<Uint8Array> {
  try {
    return await host.blocks.fetch(peer, cid, options);
  } catch (error) {
    if (error instanceof NetworkError && error.code === "BadBlock") host.offend(peer, "badContent");
    throw error;
  }
}
