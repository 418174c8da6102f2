import { keepPortMappings, startStunServer } from "#platform";
import type { RandomNumber } from "../timing/delay.ts";
import type { Directory } from "../discovery/directory.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import type { Scope } from "../ip/scope.ts";
import { pathOf, scopeOf } from "./addresses.ts";
import { chooseAnnounced } from "./announced.ts";
import { discover } from "./discover.ts";
import type { ListeningPort } from "./port-mapping.ts";
import { serveReach } from "./reach-service.ts";
import { upgradeCircuits } from "./upgrade.ts";
import { multiaddr } from "@multiformats/multiaddr";

/** Where a relay serves STUN. */
export interface StunOptions {
  /** Default: the host of the first listen address. */
  readonly host?: string;
  /** UDP port, the next one is served too; 0 for free ones. The usual one is 3478. */
  readonly port: number;
}

interface NatOptions {
  readonly node: BaseNode;
  readonly directory: Directory;
  readonly relayService: boolean;
  readonly stun: Required<StunOptions> | undefined;
  /** Of a relay: where it dials nodes back. */
  readonly dialBackTo: readonly Scope[];
  /** PeerIds of the relays in use. */
  readonly relays: () => readonly string[];
  /** Ask the router to forward the listening ports. */
  readonly upnp: boolean;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly random: RandomNumber;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called when the own addresses changed. */
  readonly onChange: () => void;
}

/** How a host gets through NATs. */
export interface Nat {
  /** Addresses to give to others, the best first. */
  announced(): string[];
  stunServers(): string[];
  /** To be called when other relays are in use. */
  relaysChanged(): void;
  /** UDP port of the own STUN server. */
  readonly stunPort: number | undefined;
  stop(): Promise<void>;
}

/** @throws NetworkError `PortInUse` for the port of STUN */
export async function startNat(options: NatOptions): Promise<Nat> {
  const { node, relayService, signal } = options;
  const stun = options.stun && (await startStunServer({ ...options.stun, clock: options.monotonic }));
  const info = { stunPorts: stun ? [stun.port, stun.alternatePort] : [], circuits: true };
  if (relayService) await serveReach(node, { ...options, info });
  const discovered = discover(node, options);
  const unmap = options.upnp ? mapPorts(options, discovered.routerChanged) : undefined;
  if (!relayService) upgradeCircuits(node, { ...options, signal });
  return {
    announced() {
      const outside = discovered.confirmed().map((text) => multiaddr(text));
      return chooseAnnounced([...outside, ...node.getMultiaddrs()]).map(String);
    },
    stunServers: discovered.stunServers,
    relaysChanged: discovered.relaysChanged,
    stunPort: stun?.port,
    stop: async () => void (await Promise.all([stun?.stop(), unmap?.()])),
  };
}

/**
 * Has a router forward the ports that this node listens on, on addresses of a private network. Whatever answers in this
 * network as a router may name any outside address, so none is announced on its word: relays are asked whether they
 * reach us, which they try only on the host that they see us on.
 * @returns function that takes the mappings back
 */
function mapPorts({ node, log, signal }: NatOptions, onChange: () => void): () => Promise<void> {
  const own = node.getMultiaddrs().filter((address) => pathOf(address) === "direct" && scopeOf(address) === "private");
  const ports = own.flatMap((address): ListeningPort[] => {
    const [ip, transport] = address.getComponents();
    if (ip?.name !== "ip4") return [];
    return [
      { protocol: transport?.name === "udp" ? "UDP" : "TCP", host: ip.value ?? "", port: Number(transport?.value) },
    ];
  });
  if (ports.length === 0) return async () => undefined;
  let before = "";
  return keepPortMappings({
    ports,
    log,
    signal,
    onMapped(externalHost, mappings) {
      const now = [externalHost, ...mappings.map(({ protocol, externalPort }) => `${protocol} ${externalPort}`)].join();
      const changed = now !== before;
      before = now;
      if (changed)
        log.info({ externalHost, ports: mappings.length }, "what a router says that it forwards to this node");
      // Also with each renewal: relays may have been busy, or the router slow.
      if (changed || mappings.length > 0) onChange();
    },
  });
}
