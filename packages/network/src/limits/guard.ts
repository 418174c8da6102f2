import type { GossipSub } from "@libp2p/gossipsub";
import type { Connection, ConnectionGater, PeerId, StreamCloseEvent, StreamMuxerFactory } from "@libp2p/interface";
import type { Hex } from "@skynet/protocol";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Libp2p } from "libp2p";
import type { Drops } from "../host/drops.ts";
import type { Log } from "../host/log.ts";
import { NetworkError } from "../errors.ts";
import { addressFromPeerId } from "../identity/identity.ts";
import { liableGroup } from "./address.ts";
import { createGate } from "./gate.ts";
import { guardGossip } from "./gossip.ts";
import type { Limits } from "./limits.ts";
import { guardMuxer } from "./muxer.ts";
import { offenceOf } from "./offences.ts";
import { createPeerScores, type Offence, type PeerScore, type PeerScores } from "./scores.ts";
import { startSweeping } from "./sweep.ts";
import type { WatchedConnection } from "./watch-frames.ts";

/** The parts of a node that the guard needs; they exist only after the node was created. */
type GuardedNode = Libp2p;

/** Keeps a node alive whatever its peers do: limits, scores, bans. */
export interface Guard {
  readonly limits: Limits;
  readonly gater: ConnectionGater;
  /** Watches the frames of a multiplexer. */
  muxer(factory: StreamMuxerFactory): StreamMuxerFactory;
  gossip(pubsub: GossipSub): void;
  /** Starts to watch the node's connections. */
  attach(node: GuardedNode): void;
  /** Holds an offence against a peer; enough of them and it is dropped and refused for a while. */
  offend(peer: PeerId | Hex, offence: Offence): void;
  scores(): PeerScore[];
}

interface GuardOptions {
  readonly limits: Limits;
  readonly drops: Drops;
  readonly log: Log;
  /** Milliseconds since the epoch, for what is shown. */
  readonly clock: () => number;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
  /** Whether a PeerId is that of a relay that the user named. Default: of none. */
  readonly trusts?: (peerId: string) => boolean;
}

const dropped = (offence: Offence) =>
  new NetworkError("Refused", `the peer was dropped: ${offence}`, { hint: "it is refused for a while" });

export function createGuard({ limits, drops, log, signal, ...options }: GuardOptions): Guard {
  const clock = options.monotonic; // All waits, rates and bans.
  let node: GuardedNode | undefined;
  const watched = new Set<WatchedConnection>();
  const connectionsWith = (peerId: string): Connection[] =>
    node?.getConnections().filter(({ remotePeer }) => remotePeer.toString() === peerId) ?? [];
  const drop = (peerId: string, error: Error) => {
    // One that is ending already throws.
    for (const connection of connectionsWith(peerId)) if (connection.status === "open") connection.abort(error);
  };
  const onBan = (peerId: string, offence: Offence) => {
    drops.count("bannedPeer");
    log.warn({ peerId, offence }, "a peer is dropped and refused for a while");
    drop(peerId, dropped(offence));
  };
  const scores = createPeerScores({ limits, clock: options.clock, monotonic: clock, onBan });
  const offendPeer = (peerId: string, offence: Offence) => {
    const connection = connectionsWith(peerId)[0];
    scores.offend(peerId, offence, connection && liableGroup(connection.remoteAddr, limits));
  };
  const offend = (peer: PeerId | Hex, offence: Offence) => {
    const peerId = typeof peer === "string" ? peerIdOf(node, peer) : peer.toString();
    if (peerId !== undefined && !signal.aborted) offendPeer(peerId, offence);
  };
  const gate = createGate({
    limits,
    scores,
    drops,
    clock,
    connectionsWith: (peer) => node?.getConnections(peer).length ?? 0,
  });
  const judge = (connection: Judged, peer: PeerId) => judgeAtClose(connection, peer, { limits, scores, clock, signal });
  const gater: ConnectionGater = {
    ...gate,
    // The last moment before what came with the handshake is read: it may end the connection before libp2p shows it.
    denyInboundUpgradedConnection(peer, connection) {
      judge(connection, peer);
      return gate.denyInboundUpgradedConnection?.(peer, connection) ?? false;
    },
  };
  return {
    limits,
    gater,
    muxer: (factory) => guardMuxer(factory, { limits, clock, watched }),
    gossip(pubsub) {
      const trusts = (peer: PeerId) => options.trusts?.(peer.toString()) === true;
      // Any number of identities of one address are one: identities are free.
      const sharerOf = (peer: PeerId) => {
        const connection = node?.getConnections(peer)[0];
        const group = connection && !trusts(peer) ? liableGroup(connection.remoteAddr, limits) : undefined;
        return group ?? peer.toString();
      };
      const dropPeer = (peer: PeerId, error: Error) => drop(peer.toString(), error);
      guardGossip(pubsub, { limits, clock, log, signal, trusts, sharerOf, offend, drop: dropPeer });
    },
    attach(attached) {
      node = attached;
      node.addEventListener("connection:open", ({ detail }) => {
        if (detail.direction === "outbound") judge(detail, detail.remotePeer);
      });
      startSweeping({ node, watched, limits, clock, offend, signal });
    },
    offend,
    scores: scores.snapshot,
  };
}

/** A connection, before or after libp2p shows it. */
interface Judged {
  readonly remoteAddr: Multiaddr;
  addEventListener(type: "close", listener: (event: StreamCloseEvent) => void, options: { once: true }): void;
}

interface JudgeOptions extends Pick<GuardOptions, "limits" | "signal"> {
  readonly clock: () => number;
  readonly scores: PeerScores;
}

/** Holds against a peer that we had to end its connection, and counts for it how long it behaved. */
function judgeAtClose(connection: Judged, peer: PeerId, { limits, scores, clock, signal }: JudgeOptions): void {
  const openedMs = clock();
  const peerId = peer.toString();
  connection.addEventListener(
    "close",
    ({ error, local }) => {
      const offence = local === true ? offenceOf(error) : undefined;
      const group = liableGroup(connection.remoteAddr, limits);
      if (offence !== undefined && !signal.aborted) scores.offend(peerId, offence, group);
      scores.behaved(peerId, clock() - openedMs, group);
    },
    { once: true },
  );
}

/** The connected peer with this address. */
function peerIdOf(node: GuardedNode | undefined, address: Hex): string | undefined {
  const peer = node?.getPeers().find((id) => {
    try {
      return addressFromPeerId(id) === address;
    } catch {
      return false; // A peer with another kind of key has no address.
    }
  });
  return peer?.toString();
}
