import { multiaddr } from "@multiformats/multiaddr";
import { groupOfIp, networkOf } from "../ip/group.ts";
import { SCOPES, scopeOfHost, type Scope } from "../ip/scope.ts";

/** A multiaddr of a relay, taken apart. */
export interface RelayAddress {
  readonly text: string;
  /** PeerId at the end, if there is one. */
  readonly peer: string | undefined;
  /** Relays of one group are likely to fail together: the same /24 (IPv4), /48 (IPv6) or domain. */
  readonly group: string;
  readonly scope: Scope;
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
    if (first.name === "ip4" || first.name === "ip6")
      return { text, peer, group: networkOf(groupOfIp(host).key), scope: scopeOfHost(host) };
    if (first.name.startsWith("dns"))
      return { text, peer, group: host.split(".").slice(-2).join("."), scope: scopeOfHost(host) };
    // The in-memory transport of tests.
    return first.name === "memory" ? { text, peer, group: host, scope: "loopback" } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an address reaches at least as far as `scope` says. */
export const reaches = (address: RelayAddress, scope: Scope): boolean =>
  SCOPES.indexOf(address.scope) >= SCOPES.indexOf(scope);
