import type { Transport, Upgrader } from "@libp2p/interface";
import type { createLibp2p } from "libp2p";
import type { Drops } from "../host/drops.ts";
import type { Limits } from "../limits/limits.ts";

/** How nodes reach each other. */
export type TransportName = "tcp" | "quic" | "websockets" | "webrtc" | "circuit" | "memory";

/** What libp2p calls to create a transport. */
export type TransportFactory = NonNullable<NonNullable<Parameters<typeof createLibp2p>[0]>["transports"]>[number];

/** What a transport may need from its host. */
export interface TransportContext {
  /** STUN servers known at this moment, as `stun:host:port`. */
  readonly stunServers: () => readonly string[];
  /** Most relays to hold a reservation on. */
  readonly reservations: number;
  /** What listeners may take, and where they count what they refuse. */
  readonly limits: Limits;
  readonly drops: Pick<Drops, "count">;
}

/** One way to reach other nodes. The rest of the package knows transports only through this interface. */
export interface NetworkTransport {
  readonly name: TransportName;
  /**
   * Who protects its connections. `host`: TLS or Noise, negotiated with the peer. `transport`: itself, with a key that
   * is bound to the PeerId (QUIC: TLS 1.3; WebRTC: DTLS, its fingerprints exchanged over a protected connection).
   */
  readonly protection: "host" | "transport";
  /**
   * Multiaddr to listen on.
   * @param host IPv4 or IPv6 address
   * @param port 0 for a free one
   * @returns undefined for transports that need no socket of their own, or cannot listen
   */
  listenAddress(host: string, port: number): string | undefined;
  create(context: TransportContext): TransportFactory;
}

/** `/ip4/host` or `/ip6/host`. */
export const ipOf = (host: string): string => (host.includes(":") ? `/ip6/${host}` : `/ip4/${host}`);

/**
 * Multiaddrs for a node that can be reached in every way: TCP and QUIC on the same port number, WebSockets on the next
 * (both are TCP, so they cannot share one).
 * @param port 0: free ports
 */
export function listenAddresses(host: string, port: number, webSocketsPort = port === 0 ? 0 : port + 1): string[] {
  const ip = ipOf(host);
  return [`${ip}/tcp/${port}`, `${ip}/udp/${port}/quic-v1`, `${ip}/tcp/${webSocketsPort}/ws`];
}

/** The transport with another upgrader: what happens to a new connection before libp2p shows it. */
export function withUpgrader(transport: Transport, change: (upgrader: Upgrader) => Upgrader): Transport {
  const dial = transport.dial.bind(transport);
  const createListener = transport.createListener.bind(transport);
  transport.dial = (address, options) => dial(address, { ...options, upgrader: change(options.upgrader) });
  transport.createListener = (options) => createListener({ ...options, upgrader: change(options.upgrader) });
  return transport;
}

/** An upgrader whose two steps are replaced. */
export function changedUpgrader(
  upgrader: Upgrader,
  steps: Pick<Upgrader, "upgradeInbound" | "upgradeOutbound">,
): Upgrader {
  return {
    ...steps,
    createInboundAbortSignal: (signal) => upgrader.createInboundAbortSignal(signal),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
  };
}
