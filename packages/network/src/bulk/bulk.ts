import type { Stream } from "@libp2p/interface";
import type { Hex } from "@skynet/protocol";
import type { ConnectOptions } from "../host/connect.ts";
import type { Drops } from "../host/drops.ts";
import type { StreamHandler } from "../host/serve.ts";
import type { Offence } from "../limits/scores.ts";
import type { RandomNumber } from "../timing/delay.ts";
import { createBlockLink, type BlockLink } from "./block-link.ts";
import { BLOCK_PROTOCOL } from "./block-messages.ts";
import { createBlockServer, type BlockProvider } from "./block-server.ts";
import { createPace } from "./pace.ts";
import { Transfer, type TransferOptions } from "./transfer.ts";
import type { BlockRef } from "./transfer-task.ts";

/** Moves blocks between this node and others: one stream to each peer, with limits for all of them together. */
export interface Bulk {
  /** Serves blocks. @returns function that ends it */
  provide(provider: BlockProvider): () => void;
  /** See `fetchBlocks`. */
  fetch(blocks: readonly BlockRef[], options: TransferOptions): Promise<void>;
}

interface BulkOptions {
  readonly openStream: (peer: Hex, protocol: string, options: ConnectOptions) => Promise<Stream>;
  readonly serve: (protocol: string, handler: StreamHandler) => Promise<unknown>;
  readonly drops: Drops;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly clock: () => number;
  readonly random: RandomNumber;
  /** Holds something against a peer. */
  readonly offend: (peer: Hex, offence: Offence) => void;
  readonly signal: AbortSignal;
  readonly maxUpBytesPerSecond: number | undefined;
  readonly maxDownBytesPerSecond: number | undefined;
}

export async function createBulk(options: BulkOptions): Promise<Bulk> {
  const { openStream, drops, clock, random, offend, signal } = options;
  const up = createPace(options.maxUpBytesPerSecond, clock);
  const down = createPace(options.maxDownBytesPerSecond, clock);
  const server = createBlockServer({ drops, up, offend });
  const links = new Map<Hex, BlockLink>();
  const link = (peer: Hex): BlockLink => {
    let known = links.get(peer);
    if (known === undefined) {
      known = createBlockLink({ peer, openStream, down, clock, signal, onIdle: () => links.delete(peer) });
      links.set(peer, known);
    }
    return known;
  };
  await options.serve(BLOCK_PROTOCOL, (stream, from) => server.serve(stream, from));
  return {
    provide: (provider) => server.provide(provider),
    fetch: (blocks, transfer) => new Transfer(blocks, transfer, { link, clock, random, offend, signal }).run(),
  };
}
