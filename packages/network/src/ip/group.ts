import { ipBytes, scopeOfIp } from "./scope.ts";

/** Whom an IP address counts for: itself, or its /64 in IPv6. */
export interface AddressGroup {
  readonly key: string;
  readonly loopback: boolean;
}

/** The group of an IP address in text: whoever has one address of a /64 in IPv6 has all of them. */
export function groupOfIp(ip: string): AddressGroup {
  const bytes = ipBytes(ip);
  if (bytes === undefined) return { key: ip, loopback: false };
  const loopback = scopeOfIp(bytes) === "loopback";
  if (bytes.length === 4) return { key: bytes.join("."), loopback };
  const words = [0, 2, 4, 6].map((at) => ((bytes[at]! << 8) | bytes[at + 1]!).toString(16));
  return { key: `${words.join(":")}::/64`, loopback };
}

/**
 * The network of an address group: whoever can change addresses easily has many of one, such as a customer's /48 in
 * IPv6 (RFC 6177) or neighbours in one /24 in IPv4.
 */
export function networkOf(group: string): string {
  const separator = group.includes(":") ? ":" : ".";
  return group.split(separator).slice(0, 3).join(separator);
}
