const KIB = 1024;
const MIB = 1024 * KIB;

/** What a node grants to others, so that no peer can take its memory or its time. docs/security.md states the sums. */
export interface Limits {
  /** Open connections. */
  readonly connections: number;
  /** Inbound connections of one IPv4 address or one IPv6 /64, open and pending. */
  readonly connectionsPerAddress: number;
  readonly connectionsPerPeer: number;
  /** New inbound connections of one address: at once, and per second after that. */
  readonly connectionBurst: number;
  readonly connectionsPerSecond: number;
  /** Inbound connections whose handshake is not over. */
  readonly pendingConnections: number;
  readonly pendingPerAddress: number;
  /** Longest handshake, milliseconds. */
  readonly handshakeMs: number;
  /** Inbound streams of one connection, and of one protocol on it. */
  readonly streams: number;
  readonly streamsPerProtocol: number;
  /** Longest negotiation of a stream, and longest pause within a frame, milliseconds. */
  readonly negotiationMs: number;
  readonly stallMs: number;
  /** Unread and unsent bytes of one connection, of one stream to a slow reader, and of all connections together. */
  readonly bufferedPerConnection: number;
  readonly unsentPerStream: number;
  readonly buffered: number;
  /** Largest gossip frame, bytes. */
  readonly gossipFrame: number;
  /** Relayed messages and bytes of one neighbour and of all: per second. Four seconds' worth may come at once. */
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly messagesPerSecondOfAll: number;
  readonly bytesPerSecondOfAll: number;
  /** Points at which a peer is dropped and refused, how fast points are forgiven, and how long it is refused. */
  readonly banAt: number;
  readonly halfLifeMs: number;
  readonly banMs: number;
  /** So many refused peers of one address, and newcomers from it are refused too. */
  readonly bannedPeersPerAddress: number;
  /** A peer that behaved for so long may come back from a refused address, milliseconds. */
  readonly standingMs: number;
  /** Loopback connections do not count as one address: for development networks and reverse proxies. */
  readonly exemptLoopback: boolean;
}

/** A worker or requester: few neighbours, large transfers. */
const NODE_LIMITS: Limits = {
  connections: 300,
  connectionsPerAddress: 64,
  connectionsPerPeer: 8,
  connectionBurst: 128,
  connectionsPerSecond: 16,
  pendingConnections: 128,
  pendingPerAddress: 64,
  handshakeMs: 10_000,
  streams: 256,
  streamsPerProtocol: 128,
  negotiationMs: 10_000,
  stallMs: 30_000,
  bufferedPerConnection: 96 * MIB,
  unsentPerStream: 16 * MIB,
  buffered: 512 * MIB,
  gossipFrame: 2 * MIB,
  messagesPerSecond: 1000,
  bytesPerSecond: 4 * MIB,
  messagesPerSecondOfAll: 3000,
  bytesPerSecondOfAll: 16 * MIB,
  banAt: 100,
  halfLifeMs: 60_000,
  banMs: 600_000,
  bannedPeersPerAddress: 4,
  standingMs: 30_000,
  exemptLoopback: false,
};

/** A relay: many neighbours, small messages. */
const RELAY_LIMITS: Limits = {
  ...NODE_LIMITS,
  connections: 1024,
  bufferedPerConnection: 32 * MIB,
  unsentPerStream: 8 * MIB,
  buffered: 256 * MIB,
  messagesPerSecond: 500,
  bytesPerSecond: MIB,
  messagesPerSecondOfAll: 2000,
  bytesPerSecondOfAll: 8 * MIB,
};

/** The limits of a node or relay with the given changes. */
export function limitsOf(relayService: boolean, changes: Partial<Limits> = {}): Limits {
  return { ...(relayService ? RELAY_LIMITS : NODE_LIMITS), ...changes };
}

/** Node, its libraries and our code before any peer comes. */
const BASE_BYTES = 192 * MIB;
/**
 * An open connection that holds nothing: socket, cipher, multiplexer, entries in tables (measured: about 90 KiB); and an
 * unfinished message of WebSockets.
 */
const CONNECTION_BYTES = 224 * KIB;
/** Messages are kept this long for neighbours that missed them, and remembered by hash. */
const KEPT_SECONDS = 6;
const SEEN_SECONDS = 120;
const SEEN_BYTES = 256;
/** Garbage that has not been collected yet, of what passes through. */
const HEADROOM = 1.5;

/** Most memory (resident bytes) that a process with these limits takes for the network, whatever its peers do. */
export function memoryBound(limits: Limits): number {
  const connections = limits.connections + limits.pendingConnections;
  const gossip = KEPT_SECONDS * limits.bytesPerSecondOfAll + SEEN_SECONDS * SEEN_BYTES * limits.messagesPerSecondOfAll;
  return BASE_BYTES + HEADROOM * (connections * CONNECTION_BYTES + limits.buffered + gossip);
}
