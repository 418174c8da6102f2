import type { Connection, PeerId, Stream } from "@libp2p/interface";
import type { Libp2p } from "libp2p";
import { NetworkError } from "../errors.ts";
import type { GossipInternals } from "./gossip.ts";
import type { Limits } from "./limits.ts";
import type { Offence } from "./scores.ts";
import { bufferedBy, type WatchedConnection } from "./watch-frames.ts";

const SWEEP_MS = 1000;
/** Entries of peers that went away are removed after so many sweeps. */
const FORGET_EVERY = 30;
/** gossipsub ignores peers below this. */
const GRAYLIST = -80;

interface SweepOptions {
  readonly node: Libp2p;
  readonly watched: ReadonlySet<WatchedConnection>;
  readonly limits: Limits;
  readonly clock: () => number;
  readonly offend: (peer: PeerId, offence: Offence) => void;
  readonly signal: AbortSignal;
}

/** Looks every second for what no event tells: memory in sum, streams that stay half open, neighbours that are gone. */
export function startSweeping(options: SweepOptions): void {
  const { node, signal } = options;
  const halfOpen = createHalfOpenCheck(options);
  const neighbours = createNeighbourCheck(options);
  let sweeps = 0;
  const timer = setInterval(() => {
    boundBuffers(options);
    for (const connection of node.getConnections()) halfOpen(connection);
    neighbours();
    sweeps += 1;
    if (sweeps % FORGET_EVERY === 0) void forgetPeers(node).catch(() => undefined); // The node is stopping.
  }, SWEEP_MS);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

/** Ends the connections that hold most, until all together hold what they may. */
function boundBuffers({ node, watched, limits }: SweepOptions): void {
  const others = node.getConnections().filter(({ multiplexer }) => multiplexer !== "/yamux/1.0.0");
  const all = [...watched, ...others.map(unwatched)].map((connection) => ({ connection, bytes: connection.held() }));
  let sum = all.reduce((total, { bytes }) => total + bytes, 0);
  for (const { connection, bytes } of all.toSorted((a, b) => b.bytes - a.bytes)) {
    if (sum <= limits.buffered && bytes <= limits.bufferedPerConnection) return;
    connection.abort(new NetworkError("Flooded", `the peer makes us hold ${bytes} bytes`));
    sum -= bytes;
  }
}

function unwatched(connection: Connection): Pick<WatchedConnection, "held" | "abort"> {
  return {
    held: () => connection.streams.reduce((sum, stream) => sum + bufferedBy(stream), 0),
    abort: (error) => connection.abort(error),
  };
}

/** libp2p resets a stream whose protocol is not negotiated in time; here it is held against the peer. */
function createHalfOpenCheck({ limits, clock, offend }: SweepOptions): (connection: Connection) => void {
  const seen = new WeakMap<Stream, { sinceMs: number; blamed: boolean }>();
  return ({ streams, remotePeer }) => {
    for (const stream of streams) {
      if (stream.protocol !== "" || stream.direction !== "inbound") continue;
      const state = seen.get(stream) ?? { sinceMs: clock(), blamed: false };
      seen.set(stream, state);
      if (state.blamed || clock() - state.sinceMs < limits.negotiationMs / 2) continue;
      state.blamed = true;
      offend(remotePeer, "stalled");
    }
  };
}

/**
 * A gossip neighbour to which no stream stays open does not take what is sent to it: gossipsub would keep it and never
 * try again. It may connect again.
 */
function createNeighbourCheck({ node, limits, clock, offend }: SweepOptions): () => void {
  const pubsub = (node.services as { pubsub?: GossipInternals }).pubsub;
  // A light node has no neighbours.
  if (pubsub === undefined) return () => undefined;
  const without = new Map<string, number>();
  return () => {
    for (const [id, peer] of pubsub.peers) {
      if (pubsub.getScore(id) < GRAYLIST) offend(peer, "flood");
      if (pubsub.streamsOutbound.has(id)) {
        without.delete(id);
        continue;
      }
      const sinceMs = without.get(id) ?? clock();
      without.set(id, sinceMs);
      if (clock() - sinceMs < limits.negotiationMs) continue;
      without.delete(id);
      offend(peer, "slowReader");
      const error = new NetworkError("Stalled", "the peer does not take what is relayed to it");
      for (const connection of node.getConnections(peer)) connection.abort(error);
    }
    for (const id of without.keys()) if (!pubsub.peers.has(id)) without.delete(id);
  };
}

/** libp2p remembers every peer that ever connected. */
async function forgetPeers(node: SweepOptions["node"]): Promise<void> {
  for (const { id } of await node.peerStore.all())
    if (!id.equals(node.peerId) && node.getConnections(id).length === 0) await node.peerStore.delete(id);
}
