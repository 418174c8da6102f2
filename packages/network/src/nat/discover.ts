import type { IdentifyResult } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { reasonOf } from "../errors.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { hostOf, movedTo, pathOf, reachOf, reachOfHost } from "./addresses.ts";
import { askDialBack, askInfo } from "./reach-client.ts";
import { REACH_PROTOCOL } from "./reach-messages.ts";

/** What a node learned from its relays about its own place in the network. */
export interface Discovered {
  /** STUN servers of connected relays, as WebRTC wants them. */
  stunServers(): string[];
  /** Addresses at which a relay has reached us, though they are of no interface of this machine. */
  confirmed(): string[];
}

interface DiscoverOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called when the own addresses changed. */
  readonly onChange: () => void;
}

const MAX_STUN_SERVERS = 4;
const MAX_CANDIDATES = 4;
const ASK_MS = 20_000;

/** `host:port`, with brackets around IPv6. */
export const stunUrl = (host: string, port: number): string =>
  `stun:${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Our listening ports on another host: what a router that forwards them would make of our addresses. */
function candidates(own: readonly Multiaddr[], observedHost: string): string[] {
  const direct = own.filter((address) => pathOf(address) === "direct" && reachOf(address) !== "loopback");
  if (reachOfHost(observedHost) === "loopback" || direct.some((address) => hostOf(address) === observedHost)) return [];
  const name = observedHost.includes(":") ? "ip6" : "ip4";
  const moved = direct
    .filter((address) => address.getComponents()[0]?.name === name)
    .map((address) => movedTo(address, observedHost));
  return [...new Set(moved)].slice(0, MAX_CANDIDATES);
}

/** Asks each relay that it gets to know for its STUN server, and to dial the address at which it sees us. */
export function discover(node: BaseNode, { log, signal, onChange }: DiscoverOptions): Discovered {
  const stun = new Map<string, string[]>();
  const reached = new Map<string, string[]>();
  const identified = async ({ detail }: CustomEvent<IdentifyResult>) => {
    const { connection, protocols, observedAddr } = detail;
    const relayHost = hostOf(connection.remoteAddr);
    if (!protocols.includes(REACH_PROTOCOL) || connection.limits !== undefined || relayHost === undefined) return;
    const relay = connection.remotePeer.toString();
    const limits = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
    const { stunPorts } = await askInfo(connection, limits);
    if (stunPorts[0] !== undefined) stun.set(relay, [stunUrl(relayHost, stunPorts[0])]);
    const observedHost = observedAddr && hostOf(observedAddr);
    const unsure = observedHost === undefined ? [] : candidates(node.getMultiaddrs(), observedHost);
    if (unsure.length === 0) return;
    const answers = await askDialBack(connection, unsure, limits);
    const found = unsure.filter((_, i) => answers[i] === true);
    log.debug({ relay, tried: unsure, reached: found }, "a relay tried our addresses from its side");
    reached.set(relay, found);
    if (found.length > 0) onChange();
  };
  node.addEventListener("peer:identify", (event) => {
    identified(event).catch((error: unknown) => {
      if (!signal.aborted) log.debug({ error: reasonOf(error) }, "a relay said nothing about our reachability");
    });
  });
  node.addEventListener("peer:disconnect", ({ detail }) => {
    stun.delete(detail.toString());
    if (reached.delete(detail.toString())) onChange();
  });
  node.addEventListener("self:peer:update", onChange);
  return {
    stunServers: () => [...stun.values()].flat().slice(0, MAX_STUN_SERVERS),
    confirmed: () => [...new Set([...reached.values()].flat())],
  };
}
