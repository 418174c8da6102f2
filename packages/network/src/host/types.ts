import type { Connection, Stream } from "@libp2p/interface";
import type { Hex } from "@skynet/protocol";
import type { Bulk } from "../bulk/bulk.ts";
import type { Directory } from "../discovery/directory.ts";
import type { HostRelaysOptions } from "../discovery/host-relays.ts";
import type { Reachability, RelayStatus } from "../discovery/relay-pool.ts";
import type { RandomBytes } from "../identity/group-key.ts";
import type { Identity } from "../identity/identity.ts";
import type { Limits } from "../limits/limits.ts";
import type { Offence, PeerScore } from "../limits/scores.ts";
import type { OutgoingMessage } from "../messages/envelope.ts";
import type { RelayHandler, SubscribeOptions } from "../messages/inbox.ts";
import type { Scope } from "../ip/scope.ts";
import type { CircuitFigures, CircuitLimits } from "../nat/circuit-service.ts";
import type { StunOptions } from "../nat/nat.ts";
import type { RandomNumber } from "../timing/delay.ts";
import type { NetworkTransport } from "../transports/transport.ts";
import type { HistoryRange, HistoryResult } from "../waku/history.ts";
import type { ServiceSize, ServicesOptions } from "../waku/services.ts";
import type { TlsCertificate } from "./certificates.ts";
import type { ConnectOptions } from "./connect.ts";
import type { ConnectionInfo } from "./connections.ts";
import type { Drops } from "./drops.ts";
import type { MetricSample } from "./libp2p-metrics.ts";
import type { Log } from "./log.ts";
import type { StreamHandler } from "./serve.ts";
import type { Traffic } from "./traffic.ts";

export interface HostOptions extends HostRelaysOptions {
  readonly identity: Identity;
  /** Multiaddrs to listen on. Default: a free port of the loopback interface. Empty: only dial. */
  readonly listen?: readonly string[];
  /** Ways to reach other nodes, the preferred one first. Default: all that this machine has. */
  readonly transports?: readonly NetworkTransport[];
  /** Relays through which others may reach this node, unless it is a relay itself or only dials (2). */
  readonly reservations?: number;
  /** Ask the router to forward the listening ports by UPnP, where this node listens on a private network (true). */
  readonly upnp?: boolean;
  /** Of a relay: serve STUN as well, so that nodes learn their outside address. */
  readonly stun?: StunOptions;
  /** Of a relay: what it lends to nodes that cannot be reached. */
  readonly circuits?: Partial<CircuitLimits>;
  /**
   * Of a relay: on which addresses it dials nodes back that ask whether they can be reached. Default: public ones only.
   * Behind a proxy, everybody would be on a loopback or private one.
   */
  readonly dialBackTo?: readonly Scope[];
  /** Multiaddrs to tell others instead of those that this node listens on: behind a proxy or a port forwarding. */
  readonly announce?: readonly string[];
  /** Called when relays become live or die, and when there has been none for a while. */
  readonly onReachability?: (reachability: Reachability) => void;
  /** Default: SkyNet's cluster, 1729. */
  readonly clusterId?: number;
  readonly shard?: number;
  /**
   * "full": a part of the relay network, which forwards messages. "light": it publishes and hears through relays, and
   * receives only the topics that it subscribed to; for tabs. Default: full.
   */
  readonly mode?: "full" | "light";
  /** This node is a relay: it forwards to all its neighbours, and serves Waku's light protocols. */
  readonly relayService?: boolean;
  /** History, rates and limits of a relay's services. */
  readonly services?: ServicesOptions;
  /** What this node says that it does: "worker", "requester"; a relay says "relay", which others rely on. */
  readonly role?: string;
  /** How often the presence is announced, milliseconds (10,000). */
  readonly presenceIntervalMs?: number;
  /** What others may take of this node; the defaults are those of a node or a relay. */
  readonly limits?: Partial<Limits>;
  /** Limits of all blocks and updates together, control messages exempt; bytes per second. */
  readonly maxUpBytesPerSecond?: number | undefined;
  readonly maxDownBytesPerSecond?: number | undefined;
  readonly log?: Log;
  /** Stops the host. */
  readonly signal?: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
  /** Milliseconds since some moment, which no change of the machine's time moves: for waits and rates. */
  readonly monotonic?: () => number;
  readonly random?: RandomNumber;
  readonly randomBytes?: RandomBytes;
}

export interface PublishOptions {
  /** 32 bytes; encrypts the message for everybody who has the key. */
  readonly groupKey?: Uint8Array;
  /** Relays do not keep it (true). With false, nodes that are offline now find it in the history. */
  readonly ephemeral?: boolean;
}

/** A node of the network: relay messages, direct streams, addresses, counters. */
export interface Host {
  readonly identity: Identity;
  readonly directory: Directory;
  readonly drops: Drops;
  readonly log: Log;
  readonly clock: () => number;
  readonly monotonic: () => number;
  readonly random: RandomNumber;
  readonly bulk: Bulk;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
  /** Addresses to give to others; each ends in our PeerId. */
  multiaddrs(): string[];
  /** STUN servers of connected relays, as `stun:host:port`; a relay that serves STUN itself names that of others. */
  stunServers(): string[];
  /** Addresses of the nodes with an open connection. */
  peers(): Hex[];
  /** What this node knows about relays. */
  relays(): RelayStatus[];
  reachability(): Reachability;
  /** Calls back when relays become live or die. @returns function that ends it */
  onReachability(listener: (reachability: Reachability) => void): () => void;
  traffic(): Traffic;
  /** Protocols that this node serves. */
  protocols(): string[];
  connections(): ConnectionInfo[];
  /** Of a relay: what it lends to nodes that cannot be reached. */
  circuits(): CircuitFigures | undefined;
  /** Of a relay: what its history holds, and the light nodes that it pushes messages to. */
  serviceSize(): ServiceSize | undefined;
  /** What libp2p's parts count about themselves. */
  metrics(): Promise<MetricSample[]>;
  readonly limits: Limits;
  /** Peers that offended, with what is held against them; bounded in number. */
  scores(): PeerScore[];
  /** Holds an offence against a connected peer; enough of them and it is dropped and refused for a while. */
  offend(peer: Hex, offence: Offence): void;
  /**
   * Signs, encrypts if a group key is given, and relays a message.
   * @returns how many neighbours it was sent to; 0 means that nobody got it
   * @throws NetworkError `TooLarge` above 64 KiB, `BadOption`, `Stopped`
   */
  publish(topicName: string, message: OutgoingMessage, options?: PublishOptions): Promise<{ recipients: number }>;
  /**
   * Fetches messages that relays kept of a topic, and handles each as if it had just arrived. Publishers choose what is
   * kept: `ephemeral: false`.
   * @throws NetworkError `Unreachable` when no connected relay answers, `Refused`, `Stalled`; the signal's reason
   */
  history(topicName: string, range: HistoryRange): Promise<HistoryResult>;
  /** Shows every relayed message as it is on the wire, before any check. @returns function that ends it */
  tap(listener: (bytes: Uint8Array) => void): () => void;
  /** Handles messages of a topic. @returns function that ends the subscription */
  subscribe(topicName: string, handler: RelayHandler, options?: SubscribeOptions): () => void;
  /** Resolves when a neighbour forwards messages to us and takes ours. @throws the signal's reason */
  connected(options: { signal: AbortSignal }): Promise<void>;
  /** @throws NetworkError `Unreachable` */
  connect(address: Hex, options?: ConnectOptions): Promise<Connection>;
  /** Connects to a node by its multiaddr, which ends in its PeerId. @throws NetworkError `Unreachable`, `BadOption` */
  dial(multiaddr: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Connection>;
  /** @throws NetworkError `Unreachable`, `Refused` when the node does not serve the protocol */
  openStream(address: Hex, protocol: string, options?: ConnectOptions): Promise<Stream>;
  /** Serves a protocol of direct streams. @returns function that ends it and resets its open streams */
  serve(protocol: string, handler: StreamHandler): Promise<() => Promise<void>>;
  /** The certificate of secure WebSockets (listen addresses with /wss), now and later; open connections stay. */
  useCertificate(certificate: TlsCertificate): void;
  /** Closes all connections and timers. */
  stop(): Promise<void>;
}
