import { startStunServer } from "#platform";
import type { RandomNumber } from "../timing/delay.ts";
import type { Directory } from "../discovery/directory.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { chooseAnnounced } from "./announced.ts";
import { discover } from "./discover.ts";
import { serveReach } from "./reach-service.ts";
import { upgradeCircuits } from "./upgrade.ts";
import { multiaddr } from "@multiformats/multiaddr";

/** Where a relay serves STUN. */
export interface StunOptions {
  /** Default: the host of the first listen address. */
  readonly host?: string;
  /** UDP port; 0 for a free one. The usual one is 3478. */
  readonly port: number;
}

interface NatOptions {
  readonly node: BaseNode;
  readonly directory: Directory;
  readonly relayService: boolean;
  readonly stun: Required<StunOptions> | undefined;
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
  /** UDP port of the own STUN server. */
  readonly stunPort: number | undefined;
  stop(): Promise<void>;
}

/** @throws NetworkError `PortInUse` for the port of STUN */
export async function startNat(options: NatOptions): Promise<Nat> {
  const { node, relayService, clock, signal } = options;
  const stun = options.stun && (await startStunServer({ ...options.stun, clock }));
  if (relayService)
    await serveReach(node, { stunPorts: stun ? [stun.port, stun.alternatePort] : [], circuits: true }, clock);
  const discovered = discover(node, options);
  if (!relayService) upgradeCircuits(node, { ...options, signal });
  return {
    announced: () =>
      chooseAnnounced([...discovered.confirmed().map((text) => multiaddr(text)), ...node.getMultiaddrs()]).map(String),
    stunServers: discovered.stunServers,
    stunPort: stun?.port,
    stop: async () => stun?.stop(),
  };
}
