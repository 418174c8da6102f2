import type { Multiaddr } from "@multiformats/multiaddr";
import type { Limits } from "./limits.ts";

/** Whom an IP address counts for: itself, or its /64 in IPv6. */
export interface AddressGroup {
  readonly key: string;
  readonly loopback: boolean;
}

/** The first four of the eight groups of an IPv6 address in text, without leading zeros. */
function prefix64(ip: string): string {
  const [head = "", tail] = ip.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => "0"), ...after];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, "").toLowerCase())
    .join(":");
}

/** The IPv4 address inside an IPv6 one (RFC 4291, section 2.5.5.2), in either notation. */
function mappedV4(ip: string): string | undefined {
  const [, dotted, high, low] = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]+):([0-9a-f]+))$/i.exec(ip) ?? [];
  if (dotted !== undefined) return dotted;
  if (high === undefined || low === undefined) return undefined;
  const bits = parseInt(high, 16) * 65_536 + parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}

/** The group of an IP address in text: whoever has one address of a /64 in IPv6 has all of them. */
export function groupOfIp(ip: string): AddressGroup {
  const v4 = ip.includes(":") ? mappedV4(ip) : ip;
  if (v4 !== undefined) return { key: v4, loopback: v4.startsWith("127.") };
  return { key: `${prefix64(ip)}::/64`, loopback: ip === "::1" };
}

/**
 * The network of an address group: whoever can change addresses easily has many of one, such as a customer's /48 in
 * IPv6 (RFC 6177) or neighbours in one /24 in IPv4.
 */
export function networkOf(group: string): string {
  const parts = group.split(group.includes(":") ? ":" : ".");
  return parts.slice(0, 3).join(group.includes(":") ? ":" : ".");
}

/**
 * The group that a remote address belongs to. Undefined where it says nothing about the peer: inside one process,
 * and through a relay, whose own address it is.
 */
export function addressGroup(address: Multiaddr): AddressGroup | undefined {
  const components = address.getComponents();
  if (components.some(({ name }) => name === "p2p-circuit")) return undefined;
  const ip = components.find(({ name }) => name === "ip4" || name === "ip6");
  return ip?.value === undefined ? undefined : groupOfIp(ip.value);
}

/** The group that is held responsible for what comes from an address; undefined where that would be others' group. */
export function liableGroup(address: Multiaddr, { exemptLoopback }: Limits): string | undefined {
  const group = addressGroup(address);
  return group === undefined || (group.loopback && exemptLoopback) ? undefined : group.key;
}
