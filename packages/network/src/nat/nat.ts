import { keepPortMappings, startStunServer } from "#platform";
import type { RandomNumber } from "../timing/delay.ts";
import type { Directory } from "../discovery/directory.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { movedTo, pathOf, reachOf, type Reach } from "./addresses.ts";
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
  readonly dialBackTo: readonly Reach[];
  /** PeerIds of the relays in use. */
  readonly relays: () => readonly string[];
  /** Ask the router to forward the listening ports. */
  readonly upnp: boolean;
  readonly clock: () => number;
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
  /** Addresses that a router forwards to this node. */
  forwarded(): string[];
  stop(): Promise<void>;
}

/** @throws NetworkError `PortInUse` for the port of STUN */
export async function startNat(options: NatOptions): Promise<Nat> {
  const { node, relayService, signal } = options;
  const stun = options.stun && (await startStunServer({ ...options.stun, clock: options.clock }));
  const info = { stunPorts: stun ? [stun.port, stun.alternatePort] : [], circuits: true };
  if (relayService) await serveReach(node, { ...options, info });
  const discovered = discover(node, options);
  const router = options.upnp ? mapPorts(options) : undefined;
  if (!relayService) upgradeCircuits(node, { ...options, signal });
  return {
    announced() {
      const outside = [...discovered.confirmed(), ...(router?.addresses() ?? [])];
      return chooseAnnounced([...outside.map((text) => multiaddr(text)), ...node.getMultiaddrs()]).map(String);
    },
    forwarded: () => router?.addresses() ?? [],
    stunServers: discovered.stunServers,
    relaysChanged: discovered.relaysChanged,
    stunPort: stun?.port,
    stop: async () => void (await Promise.all([stun?.stop(), router?.stop()])),
  };
}

/** Has a router forward the ports that this node listens on, on addresses of a private network. */
function mapPorts({ node, log, signal, onChange }: NatOptions) {
  const own = node.getMultiaddrs().filter((address) => pathOf(address) === "direct" && reachOf(address) === "private");
  const inside = own.filter((address) => address.getComponents()[0]?.name === "ip4");
  const ports = inside.map((address): ListeningPort => {
    const [ip, transport] = address.getComponents();
    const protocol = transport?.name === "udp" ? "UDP" : "TCP";
    return { protocol, host: ip?.value ?? "", port: Number(transport?.value) };
  });
  let addresses: string[] = [];
  const stop =
    ports.length === 0
      ? async () => undefined
      : keepPortMappings({
          ports,
          log,
          signal,
          onMapped(externalHost, mappings) {
            const forwarded = inside.filter((_, i) =>
              mappings.some(({ protocol, internalPort, internalHost }) => {
                const { protocol: p, port, host } = ports[i]!;
                return protocol === p && internalPort === port && internalHost === host;
              }),
            );
            addresses = [...new Set(forwarded.map((address) => movedTo(address, externalHost)))];
            onChange();
          },
        });
  return { addresses: () => addresses, stop };
}
