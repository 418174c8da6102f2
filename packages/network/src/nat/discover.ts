import type { Connection, IdentifyResult } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { reasonOf } from "../errors.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { scopeOfHost } from "../ip/scope.ts";
import { delay } from "../timing/delay.ts";
import { hostOf, movedTo, pathOf, scopeOf } from "./addresses.ts";
import { agreedAddresses } from "./opinions.ts";
import { askDialBack, askInfo } from "./reach-client.ts";
import { REACH_PROTOCOL } from "./reach-messages.ts";

/** What a node learned from its relays about its own place in the network. */
export interface Discovered {
  /** STUN servers of connected relays, as WebRTC wants them. */
  stunServers(): string[];
  /** Addresses at which relays have reached us, though they are of no interface of this machine. */
  confirmed(): string[];
  /** Asks relays that have come into use since. */
  relaysChanged(): void;
  /** Asks all relays again: a router has begun or ceased to forward ports. */
  routerChanged(): void;
}

interface DiscoverOptions {
  /** PeerIds of the relays in use. */
  readonly relays: () => readonly string[];
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called when the own addresses changed. */
  readonly onChange: () => void;
}

/** A node that we dialled. */
interface Dialled {
  readonly connection: Connection;
  readonly relayHost: string;
  readonly observedHost: string | undefined;
  readonly servesReach: boolean;
  asking: boolean;
  /** What `router` was when it was last asked; -1: never. */
  asked: number;
  stunServer?: string;
  reached: readonly string[];
}

const MAX_STUN_SERVERS = 4;
const MAX_CANDIDATES = 4;
const ASK_MS = 20_000;
/** Pause after a question without an answer. */
const ASK_AGAIN_MS = 60_000;

/** `host:port`, with brackets around IPv6. */
export const stunUrl = (host: string, port: number): string =>
  `stun:${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Our listening ports on another host: what a router that forwards them would make of our addresses. */
function candidates(own: readonly Multiaddr[], observedHost: string): string[] {
  const direct = own.filter((address) => pathOf(address) === "direct" && scopeOf(address) !== "loopback");
  if (scopeOfHost(observedHost) === "loopback" || direct.some((address) => hostOf(address) === observedHost)) return [];
  const name = observedHost.includes(":") ? "ip6" : "ip4";
  const moved = direct
    .filter((address) => address.getComponents()[0]?.name === name)
    .map((address) => movedTo(address, observedHost));
  return [...new Set(moved)].slice(0, MAX_CANDIDATES);
}

/** What a node that we dialled ourselves says of itself and of us; undefined for all others. */
function dialledOf({ connection, protocols, observedAddr }: IdentifyResult): Dialled | undefined {
  const relayHost = hostOf(connection.remoteAddr);
  const direct = connection.direction === "outbound" && pathOf(connection.remoteAddr) === "direct";
  if (!direct || connection.limits !== undefined || relayHost === undefined) return undefined;
  const observedHost = observedAddr && hostOf(observedAddr);
  return {
    connection,
    relayHost,
    observedHost,
    servesReach: protocols.includes(REACH_PROTOCOL),
    asking: false,
    asked: -1,
    reached: [],
  };
}

/**
 * Asks each relay in use for its STUN server, and to dial the address at which it sees us. Others are not asked, and not
 * believed: whoever dials us may say anything.
 */
export function discover(node: BaseNode, { relays, log, signal, onChange }: DiscoverOptions): Discovered {
  const dialled = new Map<string, Dialled>();
  let router = 0; // Grows with each change of what it forwards.
  const used = () => {
    const names = new Set(relays());
    return [...dialled].flatMap(([peer, relay]) => (names.has(peer) ? relay : []));
  };
  const ask = async (relay: Dialled) => {
    const { connection, relayHost, observedHost } = relay;
    const limits = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
    const { stunPorts } = await askInfo(connection, limits);
    if (stunPorts[0] !== undefined) relay.stunServer = stunUrl(relayHost, stunPorts[0]);
    const unsure = observedHost === undefined ? [] : candidates(node.getMultiaddrs(), observedHost);
    if (unsure.length === 0) return;
    const answers = await askDialBack(connection, unsure, limits);
    const before = relay.reached.join();
    relay.reached = unsure.filter((_, i) => answers[i] === true);
    log.debug({ relay: relayHost, tried: unsure, reached: relay.reached }, "a relay tried our addresses from its side");
    if (relay.reached.join() !== before) onChange();
  };
  const askAsOf = async (now: number, relay: Dialled) => {
    relay.asking = true;
    try {
      await ask(relay);
      relay.asked = now;
    } catch (error) {
      if (!signal.aborted) log.debug({ error: reasonOf(error) }, "a relay said nothing about our reachability");
      delay(ASK_AGAIN_MS, signal).then(relaysChanged, () => undefined);
    }
    relay.asking = false;
    if (now !== router && !signal.aborted) relaysChanged();
  };
  const relaysChanged = () => {
    for (const relay of used()) {
      if (relay.asking || relay.asked === router || !relay.servesReach) continue;
      void askAsOf(router, relay);
    }
  };
  node.addEventListener("peer:identify", ({ detail }) => {
    const peer = detail.peerId.toString();
    const found = dialledOf(detail);
    if (found === undefined || dialled.get(peer)?.connection.status === "open") return;
    dialled.set(peer, found);
    relaysChanged();
  });
  node.addEventListener("peer:disconnect", ({ detail }) => {
    const gone = dialled.get(detail.toString());
    dialled.delete(detail.toString());
    if (gone !== undefined && gone.reached.length > 0) onChange();
  });
  node.addEventListener("self:peer:update", onChange);
  return {
    stunServers: () =>
      used()
        .flatMap(({ stunServer }) => stunServer ?? [])
        .slice(0, MAX_STUN_SERVERS),
    confirmed: () =>
      agreedAddresses(
        used().flatMap((it) => (it.observedHost === undefined ? [] : { ...it, observedHost: it.observedHost })),
      ),
    relaysChanged,
    routerChanged() {
      router += 1;
      relaysChanged();
    },
  };
}
