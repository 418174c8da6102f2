import type { RandomNumber } from "../timing/delay.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Pubsub } from "../host/pubsub.ts";
import type { Log } from "../host/log.ts";
import type { createDirectory } from "./directory.ts";
import type { PeerBook } from "./peer-book.ts";
import { exchangedRelays } from "./exchanged-relays.ts";
import { startRelayPool, type Reachability, type RelayPool } from "./relay-pool.ts";
import { fixedRelays, presentRelays, type RelaySource } from "./relay-source.ts";

export interface HostRelaysOptions {
  /** Multiaddrs of relays to stay connected to; dialled again whenever the connection is lost. */
  readonly relays?: readonly string[];
  /** Where other relays are known from, beside those that relays tell of. */
  readonly relaySources?: readonly RelaySource[];
  /** Live relays to keep, out of all that are known; default 3, for a relay 6. */
  readonly relayCount?: number;
  /** Relays that answered and nodes that were heard, kept between starts. */
  readonly peerBook?: PeerBook;
  readonly relayService?: boolean;
}

interface Modules {
  readonly node: BaseNode;
  readonly pubsub: Pubsub;
  readonly directory: ReturnType<typeof createDirectory>;
  readonly clusterId: number;
  readonly shard: number;
  readonly clock: () => number;
  readonly monotonic: () => number;
  readonly random: RandomNumber;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onChange: (reachability: Reachability) => void;
}

const RELAYS_OF_A_NODE = 3;
/** A relay is also a bridge between the nodes of the others. */
const RELAYS_OF_A_RELAY = 6;
const SAVE_EVERY_MS = 30_000;
/** After a relay came or went: a node that is killed early knows its relay all the same. */
const SAVE_SOON_MS = 1000;

/** The relay pool of a host with all its sources. */
export interface HostRelays extends RelayPool {
  /** Writes the address book a last time. */
  close(): Promise<void>;
}

export function startHostRelays(options: HostRelaysOptions, modules: Modules): HostRelays {
  const { relays = [], relaySources = [], relayService = false, peerBook } = options;
  const { directory, signal, onChange } = modules;
  const book = peerBook ? [peerBook.relays()] : [];
  if (peerBook) directory.remember(peerBook.peers());
  let soon: NodeJS.Timeout | undefined;
  const save = async () => {
    clearTimeout(soon);
    soon = undefined;
    await peerBook?.save(pool.status(), directory.entries());
  };
  const pool = startRelayPool({
    ...modules,
    relayService,
    sources: [
      fixedRelays("flag", relays),
      ...relaySources,
      ...book,
      presentRelays(directory),
      exchangedRelays(modules),
    ],
    count: options.relayCount ?? (relayService ? RELAYS_OF_A_RELAY : RELAYS_OF_A_NODE),
    onChange: (reachability) => {
      if (peerBook && !signal.aborted) soon ??= setTimeout(() => void save(), SAVE_SOON_MS);
      onChange(reachability);
    },
  });
  const timer = peerBook && setInterval(() => void save(), SAVE_EVERY_MS);
  return {
    status: () => pool.status(),
    reachability: () => pool.reachability(),
    refresh: () => pool.refresh(),
    close: async () => {
      clearInterval(timer);
      await save();
    },
  };
}
