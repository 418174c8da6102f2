import type { Multiaddr } from "@multiformats/multiaddr";
import { groupOfIp, type AddressGroup } from "../ip/group.ts";
import type { Limits } from "./limits.ts";

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
