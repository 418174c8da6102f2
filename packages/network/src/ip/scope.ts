import { parseIP } from "@chainsafe/is-ip/parse";
import { iPv4FromIPv6, IpNet, isIPv4mappedIPv6 } from "@chainsafe/netmask";

/** How far an address reaches, the narrowest first. */
export const SCOPES = ["loopback", "private", "public"] as const;
export type Scope = (typeof SCOPES)[number];

const nets = (...blocks: string[]) => blocks.map((block) => new IpNet(block));
/** `::/32` has the addresses that embed one of IPv4 in a way that nobody uses any more. */
const LOOPBACK = nets("127.0.0.0/8", "0.0.0.0/8", "::/32");
const PRIVATE = nets(
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16", // link-local
  "100.64.0.0/10", // shared by the customers of a provider (RFC 6598)
  "fc00::/7",
  "fe80::/10",
  // Multicast and reserved: no machine's own.
  "224.0.0.0/3",
  "ff00::/8",
);

/** Bytes of an IP address in text, 4 or 16; those of IPv4 where it is inside one of IPv6. Undefined for a name. */
export function ipBytes(host: string): Uint8Array | undefined {
  const bytes = parseIP(host);
  return bytes?.length === 16 && isIPv4mappedIPv6(bytes) ? iPv4FromIPv6(bytes) : bytes;
}

/** @param host IPv4 or IPv6 address, or a name; the empty one and `0.0.0.0` name this machine */
export function scopeOfHost(host: string): Scope {
  const ip = ipBytes(host);
  return ip === undefined ? scopeOfName(host.toLowerCase()) : scopeOfIp(ip);
}

/** @param ip as from {@link ipBytes} */
export function scopeOfIp(ip: Uint8Array): Scope {
  const within = (net: IpNet) => net.contains(ip);
  if (LOOPBACK.some(within)) return "loopback";
  return PRIVATE.some(within) ? "private" : "public";
}

function scopeOfName(name: string): Scope {
  if (name === "" || name === "localhost" || name.endsWith(".localhost")) return "loopback";
  // Systems take "127.1" and "2130706433" for addresses, so that such a name could lead anywhere.
  if (/(^|\.)(\d+|0x[\da-f]*)$/.test(name)) return "loopback";
  return name.endsWith(".local") || !name.includes(".") ? "private" : "public";
}
