import os from "node:os";
import { lookup } from "node:dns/promises";
import { multiaddr } from "@multiformats/multiaddr";
import { NetworkError, reasonOf } from "../errors.ts";
import type { Host } from "../host/types.ts";
import { hostOf, type Path } from "../nat/addresses.ts";
import { classifyNat, type NatKind, type Observation } from "../nat/classify.ts";
import { probe, type ProbeResult } from "../nat/probe.ts";
import { askInfo } from "../nat/reach-client.ts";
import type { UdpAddress } from "../nat/stun-message.ts";
import type { Hex } from "@skynet/protocol";
import { untilAborted } from "../timing/until-aborted.ts";
import { findGateway } from "./upnp/gateway.ts";
import { openStunProbe } from "./stun/stun-client.ts";

/** How a relay answers, and what it offers. */
export interface RelayDiagnosis {
  readonly multiaddr: string;
  readonly answers: boolean;
  /** A node answers at the address, be it a relay or not. */
  readonly connects: boolean;
  readonly latencyMs?: number;
  readonly stun?: boolean;
  readonly circuits?: boolean;
  /** Where the relay's STUN server sees us. */
  readonly observed?: UdpAddress;
  readonly reason?: string;
}

export interface NatDiagnosis {
  readonly kind: NatKind;
  readonly publicAddress: string | undefined;
  readonly observations: readonly Observation[];
}

export interface PathDiagnosis extends Partial<ProbeResult> {
  readonly path: Path;
  readonly works: boolean;
  readonly reason?: string;
}

/** A router that maps ports. */
export interface RouterDiagnosis {
  readonly found: boolean;
  readonly externalIp?: string;
  readonly reason?: string;
}

const RELAY_MS = 8000;
const ROUTER_MS = 3000;
const PATH_MS = 20_000;
const PATHS: readonly Path[] = ["direct", "webrtc", "relayed"];

/**
 * Asks each relay what it offers, and all STUN servers among them where they see us.
 * @param host was told of these relays
 */
export async function diagnoseRelays(
  host: Host,
  multiaddrs: readonly string[],
  signal: AbortSignal,
): Promise<{ relays: RelayDiagnosis[]; nat: NatDiagnosis }> {
  const asked = await Promise.all(multiaddrs.map((text) => askRelay(host, text, signal)));
  const servers = asked.flatMap(({ stunServers }) => stunServers);
  const observations = await observe(servers, signal);
  const relays = asked.map(({ relay, stunServers }) => {
    const observed = observations.seen.find(({ server, mapped }) => mapped && stunServers.includes(server))?.mapped;
    return observed ? { ...relay, observed } : relay;
  });
  const local = Object.values(os.networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const kind = classifyNat(observations.seen, local, observations.localPort);
  const first = observations.seen.find(({ mapped }) => mapped !== undefined)?.mapped;
  return { relays, nat: { kind, publicAddress: first?.host, observations: observations.seen } };
}

async function askRelay(
  host: Host,
  text: string,
  signal: AbortSignal,
): Promise<{ relay: RelayDiagnosis; stunServers: UdpAddress[] }> {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(RELAY_MS)]);
  let connects = false;
  try {
    const connection = await host.dial(await withPeerId(host, text, limits), { signal: limits });
    connects = true;
    const startedMs = performance.now();
    const { stunPorts, circuits } = await askInfo(connection, limits);
    const latencyMs = performance.now() - startedMs;
    const name = hostOf(multiaddr(text));
    const { address } = await lookup(name ?? "localhost");
    const relay = { multiaddr: text, answers: true, connects, latencyMs, stun: stunPorts.length > 0, circuits };
    return { relay, stunServers: stunPorts.map((port) => ({ host: address, port })) };
  } catch (error) {
    signal.throwIfAborted();
    return { relay: { multiaddr: text, answers: false, connects, reason: reasonOf(error) }, stunServers: [] };
  }
}

/**
 * The address with the PeerId that the relay has shown, if the user has not named it.
 * @throws NetworkError `Unreachable`
 */
async function withPeerId(host: Host, text: string, signal: AbortSignal): Promise<string> {
  if (multiaddr(text).getComponents().at(-1)?.name === "p2p") return text;
  for (;;) {
    const changed = Promise.withResolvers<unknown>();
    const end = host.onReachability(changed.resolve);
    try {
      const relay = host.relays().find(({ multiaddrs }) => multiaddrs.includes(text));
      if (relay?.peer !== undefined) return `${text}/p2p/${relay.peer}`;
      if (relay !== undefined && relay.failures > 0)
        throw new NetworkError("Unreachable", relay.reason ?? "it cannot be dialled");
      await untilAborted(changed.promise, signal);
    } finally {
      end();
    }
  }
}

/** Asks all servers from one socket, so that their answers can be compared. */
async function observe(servers: readonly UdpAddress[], signal: AbortSignal) {
  const [first] = servers;
  if (first === undefined) return { seen: [], localPort: 0 };
  const socket = await openStunProbe(first.host);
  const same = servers.filter(({ host }) => host.includes(":") === first.host.includes(":"));
  try {
    const seen = await Promise.all(
      same.map(async (server): Promise<Observation> => {
        const answer = await socket.ask(server, signal).catch(() => undefined);
        return { server, mapped: answer?.mapped };
      }),
    );
    signal.throwIfAborted();
    return { seen, localPort: socket.localPort };
  } finally {
    socket.close();
  }
}

/** Looks for a router that maps ports by UPnP; maps none. */
export async function diagnoseRouter(signal: AbortSignal): Promise<RouterDiagnosis> {
  try {
    const gateway = await findGateway({ waitMs: ROUTER_MS, signal });
    return gateway ? { found: true, externalIp: await gateway.externalIp(signal) } : { found: false };
  } catch (error) {
    signal.throwIfAborted();
    return { found: false, reason: reasonOf(error) };
  }
}

/** Tries every way to a peer, with a connection of its own each, and measures it. */
export async function diagnosePeer(host: Host, peer: Hex, signal: AbortSignal): Promise<PathDiagnosis[]> {
  const found: PathDiagnosis[] = [];
  for (const path of PATHS) {
    const limits = AbortSignal.any([signal, AbortSignal.timeout(PATH_MS)]);
    try {
      const connection = await host.connect(peer, { path, signal: limits });
      try {
        found.push({ path, works: true, ...(await probe(connection, limits)) });
      } finally {
        await connection.close().catch((error: Error) => connection.abort(error));
      }
    } catch (error) {
      signal.throwIfAborted();
      found.push({ path, works: false, reason: reasonOf(error) });
    }
  }
  return found;
}
