import type { Connection, PeerId, Stream, StreamMuxer } from "@libp2p/interface";
import type { Libp2p } from "libp2p";
import { NetworkError } from "../errors.ts";
import { liableGroup } from "./address.ts";
import type { GossipInternals } from "./gossip.ts";
import type { Limits } from "./limits.ts";
import type { Offence } from "./scores.ts";
import { shed } from "./shed.ts";
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

/** Ends the connections that hold more than they may, and some of the others until all together hold what they may. */
function boundBuffers(options: SweepOptions): void {
  const { limits } = options;
  const { greedy = [], others = [] } = Object.groupBy(holdersOf(options), ({ bytes }) =>
    bytes > limits.bufferedPerConnection ? "greedy" : "others",
  );
  for (const { connection, bytes } of greedy)
    connection.abort(new NetworkError("Flooded", `the peer makes us hold ${bytes} bytes`));
  // What is too much only together with what others do is held against nobody.
  for (const { connection } of shed(others, limits.buffered))
    connection.abort(new NetworkError("Overloaded", "all peers together make us hold too many bytes"));
}

/** The part of libp2p 3's connection behind its interface. */
interface ConnectionInternals extends Connection {
  readonly muxer?: StreamMuxer;
}

/** Open connections with what they make us hold. All whose address says nothing are one group. */
function holdersOf({ node, watched, limits }: SweepOptions) {
  const connections = node.getConnections() as ConnectionInternals[];
  const groups = new Map(connections.map(({ muxer, remoteAddr }) => [muxer, liableGroup(remoteAddr, limits)]));
  const holder = (connection: Pick<WatchedConnection, "held" | "abort">, group = "") => ({
    connection,
    group,
    bytes: connection.held(),
  });
  const others = connections.filter(({ multiplexer }) => multiplexer !== "/yamux/1.0.0");
  return [
    ...[...watched].map((connection) => holder(connection, groups.get(connection.muxer()))),
    ...others.map((connection) => holder(unwatched(connection), groups.get(connection.muxer))),
  ];
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
