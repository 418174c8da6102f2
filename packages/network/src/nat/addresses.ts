import { multiaddr, type Multiaddr } from "@multiformats/multiaddr";
import { Circuit, QUIC_V1, TCP, WebRTC, WebSockets, WebSocketsSecure } from "@multiformats/multiaddr-matcher";
import { SCOPES, scopeOfHost, type Scope } from "../ip/scope.ts";

/** How an address leads to its node: the three rungs of the ladder. */
export type Path = "direct" | "webrtc" | "relayed";

export function pathOf(address: Multiaddr): Path {
  if (WebRTC.matches(address)) return "webrtc";
  return Circuit.matches(address) ? "relayed" : "direct";
}

/** Host of the first hop of an address; undefined for addresses without one (`/memory/...`, `/webrtc/...`). */
export function hostOf(address: Multiaddr): string | undefined {
  return address.getComponents().find(({ name }) => /^(ip4|ip6|dns|dns4|dns6|dnsaddr)$/.test(name))?.value;
}

/** An address without a host leads nowhere outside this machine. */
export const scopeOf = (address: Multiaddr): Scope => scopeOfHost(hostOf(address) ?? "localhost");

/** PeerId of the relay that a relayed address goes through. */
export function relayOf(address: Multiaddr): string | undefined {
  const [first, second] = address.getComponents().filter(({ name }) => name === "p2p");
  return second === undefined ? undefined : first?.value;
}

const KINDS = [TCP, QUIC_V1, WebSockets, WebSocketsSecure];

function startsAs(kind: (typeof KINDS)[number], address: Multiaddr): boolean {
  const [first = ""] = address.toString().split("/p2p/");
  return kind.exactMatch(multiaddr(first));
}

/** Place of the transport of the first hop in the order of preference. */
function kindOf(address: Multiaddr): number {
  const found = KINDS.findIndex((kind) => startsAs(kind, address));
  return found === -1 ? KINDS.length : found;
}

/** Compares addresses: those that reach farthest come first, then the preferred transports. */
export function byPreference(a: Multiaddr, b: Multiaddr): number {
  return SCOPES.indexOf(scopeOf(b)) - SCOPES.indexOf(scopeOf(a)) || kindOf(a) - kindOf(b);
}

/** Whether browsers can dial the first hop. */
export const isForTabs = (address: Multiaddr): boolean =>
  [WebSockets, WebSocketsSecure].some((kind) => startsAs(kind, address));

/** The same for those that browsers can dial: secure WebSockets come first, since pages from https may dial no others. */
export function byPreferenceOfTabs(a: Multiaddr, b: Multiaddr): number {
  return SCOPES.indexOf(scopeOf(b)) - SCOPES.indexOf(scopeOf(a)) || kindOf(b) - kindOf(a);
}

/** The same address on another host of the same kind (IPv4, IPv6). */
export function movedTo(address: Multiaddr, host: string): string {
  const [, kind, , ...rest] = address.toString().split("/");
  return ["", kind, host, ...rest].join("/");
}
