import { gossipsub, StrictNoSign, TopicValidatorResult, type GossipSub } from "@libp2p/gossipsub";
import { identify, type Identify } from "@libp2p/identify";
import type { AbortOptions, Connection, Libp2p } from "@libp2p/interface";
import { mplex } from "@libp2p/mplex";
import { ping, type Ping } from "@libp2p/ping";
import type { Multiaddr } from "@multiformats/multiaddr";
import { encrypters } from "#platform";
import { createLibp2p } from "libp2p";
import { NetworkError, reasonOf } from "../errors.ts";
import { identifyAgain } from "./identify-again.ts";
import { createYamux } from "./yamux.ts";
import { announceOwnAddresses } from "./own-addresses.ts";
import type { Identity } from "../identity/identity.ts";
import { liableGroup } from "../limits/address.ts";
import type { Guard } from "../limits/guard.ts";
import { MAX_WINDOW_BYTES } from "../limits/watch-frames.ts";
import { circuitService, type CircuitLimits } from "../nat/circuit-service.ts";
import type { NetworkTransport, TransportContext } from "../transports/transport.ts";
import { certificates, type Certificates } from "./certificates.ts";
import type { TrafficMeter } from "./traffic.ts";
import { wakuMessageHash } from "../messages/waku-message.ts";

/** libp2p's id of Waku relay: gossipsub under another name (11/WAKU2-RELAY). */
export const RELAY_PROTOCOL = "/vac/waku/relay/2.0.0";

// eslint-disable-next-line typescript/consistent-type-definitions -- libp2p wants a type with an index signature
type BaseServices = {
  identify: Identify;
  ping: Ping;
  ownAddresses: void;
  dialler: Dialler;
  certificates: Certificates;
};
/** A part of the relay network. */
export type Node = Libp2p<BaseServices & { pubsub: GossipSub }>;
/** What a node has in every mode: a light one has no pubsub. */
export type BaseNode = Libp2p<BaseServices>;

/** Dials one address, also when a connection or another dial to the same peer is there already. */
export interface Dialler {
  dial(address: Multiaddr, options: Required<AbortOptions>): Promise<Connection>;
}

interface DiallerComponents {
  readonly transportManager: {
    dial(address: Multiaddr, options: Required<AbortOptions>): Promise<Connection>;
  };
}

export interface NodeOptions {
  readonly identity: Identity;
  readonly listen: readonly string[];
  readonly transports: readonly NetworkTransport[];
  readonly transportContext: TransportContext;
  /** Carries the bytes of nodes that cannot meet. */
  readonly circuits?: CircuitLimits | undefined;
  /** Told to others instead of these, unless it is empty. */
  readonly announce?: readonly string[] | undefined;
  readonly pubsubTopic: string;
  readonly relayService: boolean;
  readonly meter: TrafficMeter;
  readonly guard: Guard;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
  /** What is wrong with the form of a relayed message, so that it may not be forwarded. */
  readonly fault: (bytes: Uint8Array) => "oversized" | "undecodable" | undefined;
}

/**
 * A relay is the only neighbour of many nodes, so it forwards to all of them at once; a node keeps the usual mesh.
 * Scores ignore that many peers share an address (one machine, one NAT) and forgive slow answers.
 */
function pubsubOptions({ pubsubTopic, relayService, guard: { limits } }: NodeOptions) {
  return {
    globalSignaturePolicy: StrictNoSign as typeof StrictNoSign,
    fallbackToFloodsub: false,
    floodPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    emitSelf: false,
    allowedTopics: [pubsubTopic],
    gossipsubIWantFollowupMs: 10_000,
    scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyThreshold: 20, retainScore: 60_000 },
    awaitRpcMessageHandler: true,
    maxInboundStreams: 2,
    maxOutboundBufferSize: limits.unsentPerStream,
    maxTopicBytesPerPeer: 16 * 1024,
    decodeRpcLimits: {
      maxSubscriptions: 256,
      maxMessages: 5000,
      maxIhaveMessageIDs: 5000,
      maxIwantMessageIDs: 5000,
      maxControlMessages: 64,
      maxIdontwantMessageIDs: 512,
      maxPeerInfos: 16,
    },
    ...(relayService ? { D: 128, Dlo: 64, Dhi: 512, Dscore: 8, Dout: 4 } : {}),
    msgIdFn: ({ topic, data }: { topic: string; data: Uint8Array }) => wakuMessageHash(topic, data),
  };
}

/** Connection limits of libp2p; the guard's gate has those of addresses and peers. */
function connectionOptions({ limits }: Guard) {
  return {
    maxConnections: limits.connections,
    maxIncomingPendingConnections: Number.MAX_SAFE_INTEGER,
    inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
    inboundUpgradeTimeout: limits.handshakeMs,
    inboundStreamProtocolNegotiationTimeout: limits.negotiationMs,
    outboundStreamProtocolNegotiationTimeout: limits.negotiationMs,
  };
}

const circuitModules = ({ monotonic, signal, guard: { limits } }: NodeOptions) => ({
  clock: monotonic,
  signal,
  liable: (address: Multiaddr) => liableGroup(address, limits),
});

/** What nodes have in common. */
function baseOptions(options: NodeOptions) {
  const { guard } = options;
  const createMuxer = createYamux({
    maxEarlyStreams: 64,
    maxInboundStreams: guard.limits.streams,
    // A window above the read buffer's limit would reset slow streams.
    streamOptions: {
      maxStreamWindowSize: MAX_WINDOW_BYTES,
      maxReadBufferLength: 2 * MAX_WINDOW_BYTES,
      maxWriteBufferLength: guard.limits.unsentPerStream,
    },
  });
  return {
    privateKey: options.identity.libp2pKey,
    addresses: { listen: [...options.listen], announce: [...(options.announce ?? [])] },
    transports: options.transports.map((transport) => transport.create(options.transportContext)),
    connectionEncrypters: encrypters(),
    streamMuxers: [
      () => guard.muxer(createMuxer()),
      // The only one that js-waku's light nodes speak. It has no windows: who sends too fast is cut off. Its limit
      // is new streams per second, and js-waku opens ten at once.
      ...(options.relayService ? [mplex({ disconnectThreshold: 200 })] : []),
    ],
    connectionGater: guard.gater,
    connectionManager: connectionOptions(guard),
    metrics: options.meter.metrics,
    services: {
      identify: identify(),
      // One stream each is too few: a new neighbour is pinged for its mesh and for its latency at the same time.
      ping: ping({ maxInboundStreams: 8, maxOutboundStreams: 8 }),
      ownAddresses: announceOwnAddresses,
      dialler: ({ transportManager }: DiallerComponents) => ({
        dial: (address: Multiaddr, dialOptions: Required<AbortOptions>) => transportManager.dial(address, dialOptions),
      }),
      ...(options.circuits ? { circuits: circuitService(options.circuits, circuitModules(options)) } : {}),
      certificates,
    },
  };
}

/** libp2p over the given transports, with yamux and Waku relay as pubsub. @throws NetworkError `PortInUse`, `BadOption` */
export async function createNode(options: NodeOptions): Promise<Node> {
  const { guard } = options;
  const createPubsub = gossipsub(pubsubOptions(options));
  const base = baseOptions(options);
  try {
    const node: Node = await createLibp2p<BaseServices & { pubsub: GossipSub }>({
      ...base,
      services: {
        ...base.services,
        pubsub: (components) => {
          const pubsub = createPubsub(components);
          pubsub.protocols = [RELAY_PROTOCOL];
          guard.gossip(pubsub);
          return pubsub;
        },
      },
    });
    const { pubsub } = node.services;
    pubsub.topicValidators.set(options.pubsubTopic, (peer, { data }) => {
      const fault = options.fault(data);
      if (fault === undefined) return TopicValidatorResult.Accept;
      guard.offend(peer, fault);
      return TopicValidatorResult.Reject;
    });
    guard.attach(node);
    identifyAgain(node, options.signal);
    pubsub.subscribe(options.pubsubTopic);
    return node;
  } catch (cause) {
    throw listenError(cause, options.listen);
  }
}

/** The same without pubsub. @throws NetworkError `PortInUse`, `BadOption` */
export async function createLightNode(options: NodeOptions): Promise<BaseNode> {
  try {
    const node = await createLibp2p<BaseServices>(baseOptions(options));
    options.guard.attach(node);
    identifyAgain(node, options.signal);
    return node;
  } catch (cause) {
    throw listenError(cause, options.listen);
  }
}

function listenError(cause: unknown, listen: readonly string[]): NetworkError {
  const reason = reasonOf(cause);
  if (reason.includes("EADDRINUSE"))
    return new NetworkError("PortInUse", `another process listens on ${listen.join(", ")}`, {
      cause,
      hint: "choose another port, or port 0 for any free one",
    });
  return new NetworkError("BadOption", `the node cannot listen on ${listen.join(", ")}: ${reason}`, {
    cause,
    hint: "listen addresses look like /ip4/127.0.0.1/tcp/0",
  });
}
