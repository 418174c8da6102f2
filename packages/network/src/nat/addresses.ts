import { multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { Circuit, QUIC_V1, TCP, WebRTC, WebSockets, WebSocketsSecure } from "@multiformats/multiaddr-matcher";
import { mappedV4 } from "../limits/address.ts";

/** How an address leads to its node: the three rungs of the ladder. */
export type Path = "direct" | "webrtc" | "relayed";

export function pathOf(address: Multiaddr): Path {
  if (WebRTC.matches(address)) return "webrtc";
  return Circuit.matches(address) ? "relayed" : "direct";
}

/** From where an address can be reached. */
export type Reach = "loopback" | "private" | "public";

const PRIVATE_V4 = [
  /^10\./,
  /^192\.168\./,
  /^172\.(1[6-9]|2\d|3[01])\./,
  /^169\.254\./,
  /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./,
  /^(22[4-9]|2[34]\d|25[0-5])\./, // multicast and reserved: no machine's own
];

/** @param host IPv4 or IPv6 address, or a name; the empty one and `0.0.0.0` name this machine */
export function reachOfHost(host: string): Reach {
  const ip = mappedV4(host) ?? host;
  if (/^$|^localhost$|^::1?$|^(127|0)\./.test(ip)) return "loopback";
  if (PRIVATE_V4.some((range) => range.test(ip)) || /^(f[cdf]|fe[89ab])[0-9a-f]*:/i.test(ip)) return "private";
  return "public";
}

/** Host of the first hop of an address; undefined for addresses without one (`/memory/...`, `/webrtc/...`). */
export function hostOf(address: Multiaddr): string | undefined {
  return address.getComponents().find(({ name }) => /^(ip4|ip6|dns|dns4|dns6|dnsaddr)$/.test(name))?.value;
}

export function reachOf(address: Multiaddr): Reach {
  return reachOfHost(hostOf(address) ?? "localhost");
}

/** PeerId of the relay that a relayed address goes through. */
export function relayOf(address: Multiaddr): string | undefined {
  const [first, second] = address.getComponents().filter(({ name }) => name === "p2p");
  return second === undefined ? undefined : first?.value;
}

const KINDS = [TCP, QUIC_V1, WebSockets, WebSocketsSecure];

/** Place of the transport of the first hop in the order of preference. */
export function kindOf(address: Multiaddr): number {
  const [first = ""] = address.toString().split("/p2p/");
  const found = KINDS.findIndex((kind) => kind.exactMatch(multiaddr(first)));
  return found === -1 ? KINDS.length : found;
}

/** The same address on another host of the same kind (IPv4, IPv6). */
export function movedTo(address: Multiaddr, host: string): string {
  const [, kind, , ...rest] = address.toString().split("/");
  return ["", kind, host, ...rest].join("/");
}
