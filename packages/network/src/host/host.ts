import type { Connection, Stream } from "@libp2p/interface";
import { transports as platformTransports } from "#platform";
import { multiaddr } from "@multiformats/multiaddr";
import type { Hex } from "@skynet/protocol";
import { DEFAULT_CIRCUIT_LIMITS, type CircuitLimits } from "../nat/circuit-service.ts";
import { hostOf, type Reach } from "../nat/addresses.ts";
import { startNat, type Nat, type StunOptions } from "../nat/nat.ts";
import { answerProbes, PROBE_PROTOCOL } from "../nat/probe.ts";
import { relayedListen } from "../nat/relayed-listen.ts";
import type { NetworkTransport } from "../transports/transport.ts";
import { announcePresence, PRESENCE_TOPIC } from "../discovery/announce.ts";
import { createBulk, type Bulk } from "../bulk/bulk.ts";
import { connect, dialAll, openStream, remoteAddress, type ConnectOptions } from "./connect.ts";
import type { RandomNumber } from "../timing/delay.ts";
import { createDirectory, type Directory, type DirectoryEntry } from "../discovery/directory.ts";
import { createDrops, type Drops } from "./drops.ts";
import { sealEnvelope, type OutgoingMessage } from "../messages/envelope.ts";
import { NetworkError } from "../errors.ts";
import { systemRandom, type RandomBytes } from "../identity/group-key.ts";
import type { Identity } from "../identity/identity.ts";
import { createInbox, type RelayHandler, type SubscribeOptions } from "../messages/inbox.ts";
import { startHostRelays, type HostRelays, type HostRelaysOptions } from "../discovery/host-relays.ts";
import type { Reachability, RelayStatus } from "../discovery/relay-pool.ts";
import { isNamed, isRelayRole } from "../discovery/relay-source.ts";
import { checkMultiaddrs } from "./check-multiaddrs.ts";
import { createLightNode, createNode, type BaseNode, type NodeOptions } from "./libp2p-node.ts";
import { silent, type Log } from "./log.ts";
import { createGuard } from "../limits/guard.ts";
import { limitsOf, type Limits } from "../limits/limits.ts";
import type { Offence, PeerScore } from "../limits/scores.ts";
import { createGossip, type Pubsub } from "./pubsub.ts";
import { serve, type StreamHandler } from "./serve.ts";
import type { TlsCertificate } from "./certificates.ts";
import { circuitFigures, connectionInfo, type CircuitFigures, type ConnectionInfo } from "./connections.ts";
import type { MetricSample } from "./libp2p-metrics.ts";
import { createTrafficMeter, type Traffic } from "./traffic.ts";
import {
  CLUSTER_ID,
  contentTopicOf,
  decodeWakuMessage,
  encodeWakuMessage,
  pubsubTopicOf,
} from "../messages/waku-message.ts";
import { fetchHistory, type HistoryRange, type HistoryResult } from "../waku/history.ts";
import { createLightClient } from "../waku/light-client.ts";
import { findRelays } from "../waku/peer-exchange.ts";
import type { RelayRecord } from "../waku/relay-record.ts";
import { serveWaku, type ServiceSize, type ServicesOptions } from "../waku/services.ts";

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
  readonly dialBackTo?: readonly Reach[];
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
  readonly random: RandomNumber;
  readonly bulk: Bulk;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
  /** Addresses to give to others; each ends in our PeerId. */
  multiaddrs(): string[];
  /** STUN servers of connected relays, as `stun:host:port`; a relay that serves STUN itself names that of others. */
  stunServers(): string[];
  /** Addresses that a router forwards to this node. */
  forwardedAddresses(): string[];
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
  /**
   * Asks the connected relays for others, by Waku's peer exchange.
   * @returns what relays say of themselves, signed; of any cluster
   */
  findRelays(count: number, signal?: AbortSignal): Promise<RelayRecord[]>;
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

/** Starts a node. When a part of it cannot start, nothing of it stays. @throws NetworkError `PortInUse`, `BadOption` */
export async function createHost(options: HostOptions): Promise<Host> {
  let stopStarted: (() => Promise<void>) | undefined;
  try {
    return await startHost(options, (stop) => (stopStarted = stop));
  } catch (error) {
    await stopStarted?.();
    throw error;
  }
}

/** @param onStarted gets what stops the parts that run before the host is complete */
async function startHost(options: HostOptions, onStarted: (stop: () => Promise<void>) => void): Promise<Host> {
  const { identity, listen = ["/ip4/127.0.0.1/tcp/0"], relays = [], relayService = false, log = silent } = options;
  const { clusterId = CLUSTER_ID, shard = 0, clock = Date.now, random = Math.random } = options;
  checkMultiaddrs([...listen, ...(options.announce ?? []), ...relays]);
  options.signal?.throwIfAborted();
  const drops = createDrops();
  const meter = createTrafficMeter(drops);
  const light = options.mode === "light";
  if (light && relayService) throw new NetworkError("BadOption", "a light node cannot be a relay");
  const onTopic = (contentTopic: string, wanted: boolean) => pubsub.want(contentTopic, wanted);
  const inbox = createInbox({ self: identity.address, drops, log, onTopic });
  const pubsubTopic = pubsubTopicOf(clusterId, shard);
  const stopping = new AbortController();
  const { signal } = stopping;
  const limits = limitsOf(relayService, options.limits);
  const known: { relays: () => RelayStatus[] } = { relays: () => [] };
  const trusts = (id: string) => known.relays().some((relay) => relay.peer === id && isNamed(relay));
  const guard = createGuard({ limits, drops, log, clock, signal, trusts });
  const fault = (bytes: Uint8Array) => faultOf(bytes, drops);
  const transports = options.transports ?? (await platformTransports(log));
  const reservations = options.reservations ?? (relayService || listen.length === 0 ? 0 : 2);
  let nat: Nat | undefined = undefined;
  const nodeOptions = {
    identity,
    listen: [...listen, ...relayedListen(transports, reservations)],
    announce: options.announce,
    transports,
    transportContext: { stunServers: () => nat?.stunServers() ?? [], reservations },
    circuits: relayService ? { ...DEFAULT_CIRCUIT_LIMITS, ...options.circuits } : undefined,
    pubsubTopic,
    relayService,
    meter,
    guard,
    fault,
  };
  const { node, pubsub } = await (light ? startLight : startFull)(nodeOptions, { drops, log, clock, signal });
  onStarted(async () => {
    stopping.abort(new NetworkError("Stopped", "the node could not start"));
    await node.stop();
  });
  const listeners = new Set<(bytes: Uint8Array) => void>([inbox.receive]);
  const hear = (bytes: Uint8Array) => listeners.forEach((listener) => listener(bytes));
  pubsub.onMessage(hear);
  const relay = async (bytes: Uint8Array) => {
    hear(bytes);
    // gossipsub would remember what nobody took, and not send it when it is pushed again.
    return node.getPeers().some(pubsub.isNeighbour) ? pubsub.publish(bytes) : 0;
  };
  const services = relayService
    ? await serveWaku(
        { node, drops, log, clock, signal, offend: guard.offend },
        { identity, clusterId, shard, pubsubTopic, random, relay },
        options.services ?? {},
      )
    : undefined;
  if (services) listeners.add(services.hear);
  const onNew: { call: (entry: DirectoryEntry) => void } = { call: () => undefined };
  const announcing = { soon: (): void => undefined };
  const directory = createDirectory({ clock, drops, onNew: (entry) => onNew.call(entry) });
  const nodeNat = await startNat({
    node,
    directory,
    relayService,
    dialBackTo: options.dialBackTo ?? ["public"],
    relays: () => known.relays().flatMap(({ state, peer }) => (state === "idle" ? [] : (peer ?? []))),
    upnp: options.upnp ?? true,
    stun: options.stun && { host: options.stun.host ?? firstHost(listen), port: options.stun.port },
    clock,
    random,
    log,
    signal,
    onChange: () => announcing.soon(),
  });
  nat = nodeNat;
  const send: Pubsub["publish"] = (bytes) => {
    services?.hear(bytes);
    return pubsub.publish(bytes);
  };
  const publish = createPublisher(send, { ...options, clock }, signal);
  const receive = (bytes: Uint8Array) => inbox.receiveOld(bytes) === undefined;
  inbox.subscribe(PRESENCE_TOPIC, (message) => directory.hear(message));
  const streams: Pick<Host, "connect" | "dial" | "openStream" | "serve"> = {
    dial: (address, dialOptions) => dialAll(node, [address], dialOptions?.signal),
    connect: (address, connectOptions) => connect(node, directory, address, connectOptions),
    openStream: (address, protocol, connectOptions) => openStream(node, directory, address, protocol, connectOptions),
    serve: (protocol, handler) => serve({ node, guard, drops, log }, protocol, handler),
  };
  const { maxUpBytesPerSecond, maxDownBytesPerSecond } = options;
  const bulk = await createBulk({
    ...streams,
    drops,
    clock,
    random,
    maxUpBytesPerSecond,
    maxDownBytesPerSecond,
    offend: guard.offend,
    signal,
  });
  const reachabilityListeners = new Set(options.onReachability ? [options.onReachability] : []);
  const pool = startHostRelays(options, {
    node,
    pubsub,
    directory,
    clock,
    random,
    log,
    signal,
    onChange: (reachability) => {
      nodeNat.relaysChanged();
      for (const listener of reachabilityListeners) listener(reachability);
    },
  });
  known.relays = () => pool.status();
  const host: Host = {
    identity,
    directory,
    drops,
    log,
    clock,
    random,
    bulk,
    publish,
    ...streams,
    signal,
    history: (name, range) => fetchHistory({ node, pubsubTopic, log, signal, receive }, contentTopicOf(name), range),
    multiaddrs: nodeNat.announced,
    stunServers: nodeNat.stunServers,
    forwardedAddresses: nodeNat.forwarded,
    peers: () => [...new Set(node.getConnections().flatMap((connection) => remoteAddress(connection) ?? []))],
    relays: () => pool.status(),
    reachability: () => pool.reachability(),
    onReachability(listener) {
      reachabilityListeners.add(listener);
      return () => void reachabilityListeners.delete(listener);
    },
    traffic: () => meter.snapshot(),
    protocols: () => node.getProtocols(),
    connections: () => node.getConnections().map(connectionInfo),
    circuits: () => circuitFigures(node),
    serviceSize: () => services?.size(),
    metrics: () => meter.samples(),
    limits,
    scores: guard.scores,
    offend: guard.offend,
    tap: (listener) => {
      const each = (bytes: Uint8Array) => listener(bytes);
      listeners.add(each);
      return () => void listeners.delete(each);
    },
    findRelays: (count, stop) => findRelays(node, count, stop ? AbortSignal.any([signal, stop]) : signal),
    subscribe: inbox.subscribe,
    connected: pubsub.connected,
    useCertificate: node.services.certificates.use,
    stop: () => stop(node, stopping, pool, nodeNat),
  };
  await host.serve(PROBE_PROTOCOL, answerProbes(clock));
  const announceSoon = announcePresence(host, pubsub, { role: relayService ? "relay" : "peer", ...options });
  announcing.soon = announceSoon;
  onNew.call = (entry) => {
    announceSoon();
    if (isRelayRole(entry.role)) pool.refresh();
  };
  options.signal?.addEventListener("abort", () => void host.stop(), { once: true, signal });
  return host;
}

interface PubsubContext {
  readonly drops: Drops;
  readonly log: Log;
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

async function startFull(options: NodeOptions, { signal }: PubsubContext): Promise<{ node: BaseNode; pubsub: Pubsub }> {
  const node = await createNode(options);
  return { node, pubsub: createGossip(node, options.pubsubTopic, signal) };
}

async function startLight(options: NodeOptions, context: PubsubContext): Promise<{ node: BaseNode; pubsub: Pubsub }> {
  const node = await createLightNode(options);
  return { node, pubsub: await createLightClient({ node, pubsubTopic: options.pubsubTopic, ...context }) };
}

/** What is wrong with a message: nodes forward Waku messages that are not too large, of any application. */
function faultOf(bytes: Uint8Array, drops: Drops): "oversized" | "undecodable" | undefined {
  try {
    decodeWakuMessage(bytes);
    return undefined;
  } catch (error) {
    const fault = error instanceof NetworkError && error.code === "TooLarge" ? "oversized" : "undecodable";
    drops.count(fault);
    return fault;
  }
}

function createPublisher(
  send: Pubsub["publish"],
  options: HostOptions & { clock: () => number },
  signal: AbortSignal,
): Host["publish"] {
  // Starts at the clock, so that numbers grow across restarts.
  let seq = options.clock();
  let lastNs = 0n;
  return async (topicName, message, { groupKey, ephemeral = true } = {}) => {
    if (signal.aborted) throw new NetworkError("Stopped", "the node was stopped");
    const { identity, clock, randomBytes: random = systemRandom } = options;
    const contentTopic = contentTopicOf(topicName);
    seq += 1;
    const payload = sealEnvelope(message, { identity, contentTopic, seq, groupKey, random });
    // Each a nanosecond later than the one before, so that histories keep the order.
    const nowNs = BigInt(clock()) * 1_000_000n;
    const timestamp = nowNs > lastNs ? nowNs : lastNs + 1n;
    lastNs = timestamp;
    return { recipients: await send(encodeWakuMessage({ payload, contentTopic, timestamp, ephemeral })) };
  };
}

const firstHost = ([address]: readonly string[]): string => (address && hostOf(multiaddr(address))) ?? "127.0.0.1";

async function stop(node: BaseNode, stopping: AbortController, relays: HostRelays, nat: Nat): Promise<void> {
  stopping.abort(new NetworkError("Stopped", "the node was stopped"));
  await relays.close();
  await Promise.all([nat.stop(), node.stop()]);
}
