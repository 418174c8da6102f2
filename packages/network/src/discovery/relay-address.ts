import { multiaddr } from "@multiformats/multiaddr";

/** How far an address reaches, the narrowest first. */
export const SCOPES = ["loopback", "private", "public"] as const;
export type Scope = (typeof SCOPES)[number];

/** A multiaddr of a relay, taken apart. */
export interface RelayAddress {
  readonly text: string;
  /** PeerId at the end, if there is one. */
  readonly peer: string | undefined;
  /** Relays of one group are likely to fail together: the same /24 (IPv4), /48 (IPv6) or domain. */
  readonly group: string;
  readonly scope: Scope;
}

function scopeOfIp4(host: string): Scope {
  const [a = 0, b = 0] = host.split(".").map(Number);
  if (a === 127 || a === 0) return "loopback";
  const shared = a === 100 && b >= 64 && b < 128; // RFC 6598
  const isPrivate =
    a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 169 && b === 254);
  return shared || isPrivate ? "private" : "public";
}

function scopeOfIp6(host: string): Scope {
  const lower = host.toLowerCase();
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(lower);
  if (mapped) return scopeOfIp4(mapped[1]!);
  // Whatever else begins with zeros embeds an IPv4 address or names this machine.
  if (lower.startsWith("::")) return "loopback";
  return /^f[cd]|^fe[89ab]/.test(lower) ? "private" : "public";
}

function scopeOfName(host: string): Scope {
  if (host === "localhost" || host.endsWith(".localhost")) return "loopback";
  return host.endsWith(".local") || !host.includes(".") ? "private" : "public";
}

/** Parts of a relay's multiaddr; undefined for anything that cannot be dialled as one. */
export function parseRelayAddress(text: string): RelayAddress | undefined {
  try {
    if (text.length > 256) return undefined;
    const components = multiaddr(text).getComponents();
    const [first] = components;
    const host = first?.value;
    if (first === undefined || host === undefined) return undefined;
    const last = components.at(-1)!;
    const peer = last.name === "p2p" ? last.value : undefined;
    if (components.some(({ name }) => name === "p2p-circuit")) return undefined; // Reached through another relay.
    if (first.name === "ip4")
      return { text, peer, group: host.split(".").slice(0, 3).join("."), scope: scopeOfIp4(host) };
    if (first.name === "ip6")
      return { text, peer, group: host.split(":").slice(0, 3).join(":"), scope: scopeOfIp6(host) };
    if (first.name.startsWith("dns"))
      return { text, peer, group: host.split(".").slice(-2).join("."), scope: scopeOfName(host) };
    // The in-memory transport of tests.
    return first.name === "memory" ? { text, peer, group: host, scope: "loopback" } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an address reaches at least as far as `scope` says. */
export const reaches = (address: RelayAddress, scope: Scope): boolean =>
  SCOPES.indexOf(address.scope) >= SCOPES.indexOf(scope);
