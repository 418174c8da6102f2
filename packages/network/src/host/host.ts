import { multiaddr } from "@multiformats/multiaddr";
import { createBulk } from "../bulk/bulk.ts";
import { announcePresence, PRESENCE_TOPIC } from "../discovery/announce.ts";
import { createDirectory, type Directory } from "../discovery/directory.ts";
import { startHostRelays } from "../discovery/host-relays.ts";
import { isNamed, isRelayRole } from "../discovery/relay-source.ts";
import { NetworkError } from "../errors.ts";
import { createGuard, type Guard } from "../limits/guard.ts";
import { hostOf } from "../nat/addresses.ts";
import { chooseAnnounced } from "../nat/announced.ts";
import { startNat, type Nat } from "../nat/nat.ts";
import { answerProbes, PROBE_PROTOCOL } from "../nat/probe.ts";
import { checkMultiaddrs } from "./check-multiaddrs.ts";
import { connect, dialAll, openStream, remoteAddress } from "./connect.ts";
import { circuitFigures, connectionInfo } from "./connections.ts";
import { createContext, type HostContext, type HostParts } from "./context.ts";
import type { BaseNode } from "./libp2p-node.ts";
import { lastWords } from "./last-words.ts";
import { startMessaging } from "./messaging.ts";
import type { Pubsub } from "./pubsub.ts";
import { serve } from "./serve.ts";
import { startNode } from "./start-node.ts";
import type { Host, HostOptions } from "./types.ts";

/**
 * Starts a node. When a part of it cannot start, nothing of it stays.
 * @throws NetworkError `PortInUse`, `BadOption`; the signal's reason
 */
export async function createHost(options: HostOptions): Promise<Host> {
  checkOptions(options);
  options.signal?.throwIfAborted();
  const stopping = new AbortController();
  const context = createContext(options, stopping.signal);
  const parts: HostParts = {};
  const stop = async (reason: string) => {
    stopping.abort(new NetworkError("Stopped", reason));
    if (parts.node !== undefined) await lastWords(parts.node);
    await parts.relays?.close();
    await Promise.all([parts.nat?.stop(), parts.node?.stop()]);
  };
  try {
    const host = { ...(await startHost(context, parts)), stop: () => stop("the node was stopped") };
    options.signal?.throwIfAborted();
    options.signal?.addEventListener("abort", () => void host.stop(), { once: true, signal: context.signal });
    return host;
  } catch (error) {
    await stop("the node could not start");
    throw error;
  }
}

/** Starts the parts, each after those that it needs. */
async function startHost(context: HostContext, parts: HostParts): Promise<Omit<Host, "stop">> {
  const { options, drops, clock, monotonic } = context;
  const guard = createGuard({ ...context, trusts: (peerId) => isNamedRelay(peerId, parts) });
  const { node, pubsub } = await startNode(context, parts, guard);
  // Before its NAT is known, a node has the addresses of its listeners.
  const announced = () => parts.nat?.announced() ?? chooseAnnounced(node.getMultiaddrs()).map(String);
  const messaging = await startMessaging(context, { node, pubsub, guard, announced });
  const directory = createDirectory({ clock, monotonic, drops, onNew: ({ role }) => onNewPeer(role, parts) });
  const nat = await startHostNat(context, parts, { node, directory });
  messaging.subscribe(PRESENCE_TOPIC, (message) => directory.hear(message));
  const streams = createStreams(context, { node, guard, directory });
  const { maxUpBytesPerSecond, maxDownBytesPerSecond } = options;
  const limits = { maxUpBytesPerSecond, maxDownBytesPerSecond };
  const bulk = await createBulk({ ...context, clock: monotonic, ...streams, ...limits, offend: guard.offend });
  const relays = startRelays(context, parts, { node, pubsub, directory, nat });
  const figures = createFigures(context, { node, nat, guard });
  const { connected } = pubsub;
  const host = { ...figures, ...messaging, ...streams, ...relays, directory, bulk, connected };
  await host.serve(PROBE_PROTOCOL, answerProbes(monotonic));
  parts.announceSoon = announcePresence(host, pubsub, { role: context.relayService ? "relay" : "peer", ...options });
  return host;
}

/** @throws NetworkError `BadOption` */
function checkOptions({ listen = [], announce = [], relays = [], mode, relayService }: HostOptions): void {
  checkMultiaddrs([...listen, ...announce, ...relays]);
  if (mode === "light" && relayService) throw new NetworkError("BadOption", "a light node cannot be a relay");
}

const isNamedRelay = (peerId: string, { relays }: HostParts): boolean =>
  relays?.status().some((relay) => relay.peer === peerId && isNamed(relay)) ?? false;

function onNewPeer(role: string, { announceSoon, relays }: HostParts): void {
  announceSoon?.();
  if (isRelayRole(role)) relays?.refresh();
}

async function startHostNat(
  context: HostContext,
  parts: HostParts,
  modules: { readonly node: BaseNode; readonly directory: Directory },
): Promise<Nat> {
  const { options, listen } = context;
  parts.nat = await startNat({
    ...context,
    ...modules,
    dialBackTo: options.dialBackTo ?? ["public"],
    relays: () => parts.relays?.status().flatMap(({ state, peer }) => (state === "idle" ? [] : (peer ?? []))) ?? [],
    upnp: options.upnp ?? true,
    stun: options.stun && { host: options.stun.host ?? firstHost(listen), port: options.stun.port },
    onChange: () => parts.announceSoon?.(),
  });
  return parts.nat;
}

const firstHost = ([address]: readonly string[]): string => (address && hostOf(multiaddr(address))) ?? "127.0.0.1";

/** Direct streams to others, and from them. */
function createStreams(
  { drops, log }: HostContext,
  { node, guard, directory }: { readonly node: BaseNode; readonly guard: Guard; readonly directory: Directory },
): Pick<Host, "connect" | "dial" | "openStream" | "serve"> {
  return {
    dial: (address, options) => dialAll(node, [address], options?.signal),
    connect: (address, options) => connect(node, directory, address, options),
    openStream: (address, protocol, options) => openStream(node, directory, address, protocol, options),
    serve: (protocol, handler) => serve({ node, guard, drops, log }, protocol, handler),
  };
}

interface RelayModules {
  readonly node: BaseNode;
  readonly pubsub: Pubsub;
  readonly directory: ReturnType<typeof createDirectory>;
  readonly nat: Nat;
}

/** Keeps connections to relays. */
function startRelays(
  context: HostContext,
  parts: HostParts,
  { nat, ...modules }: RelayModules,
): Pick<Host, "relays" | "reachability" | "onReachability"> {
  const { options } = context;
  const listeners = new Set(options.onReachability ? [options.onReachability] : []);
  const relays = startHostRelays(options, {
    ...context,
    ...modules,
    onChange: (reachability) => {
      nat.relaysChanged();
      for (const listener of listeners) listener(reachability);
    },
  });
  parts.relays = relays;
  return {
    relays: () => relays.status(),
    reachability: () => relays.reachability(),
    onReachability(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** What a host says about itself, and what it has of its parts. */
function createFigures(
  { identity, drops, log, clock, monotonic, random, signal, limits, meter }: HostContext,
  { node, nat, guard }: { readonly node: BaseNode; readonly nat: Nat; readonly guard: Guard },
) {
  return {
    identity,
    drops,
    log,
    clock,
    monotonic,
    random,
    signal,
    limits,
    multiaddrs: nat.announced,
    stunServers: nat.stunServers,
    peers: () => [...new Set(node.getConnections().flatMap((connection) => remoteAddress(connection) ?? []))],
    traffic: () => meter.snapshot(),
    protocols: () => node.getProtocols(),
    connections: () => node.getConnections().map(connectionInfo),
    circuits: () => circuitFigures(node),
    metrics: () => meter.samples(),
    scores: guard.scores,
    offend: guard.offend,
    useCertificate: node.services.certificates.use,
  };
}
