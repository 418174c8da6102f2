import type { HostRelays } from "../discovery/host-relays.ts";
import type { Identity } from "../identity/identity.ts";
import { limitsOf, type Limits } from "../limits/limits.ts";
import { CLUSTER_ID, pubsubTopicOf } from "../messages/waku-message.ts";
import type { Nat } from "../nat/nat.ts";
import type { RandomNumber } from "../timing/delay.ts";
import { createDrops, type Drops } from "./drops.ts";
import type { BaseNode } from "./libp2p-node.ts";
import { silent, type Log } from "./log.ts";
import { createTrafficMeter, type TrafficMeter } from "./traffic.ts";
import type { HostOptions } from "./types.ts";

/** What all parts of a host share. */
export interface HostContext {
  readonly options: HostOptions;
  readonly identity: Identity;
  readonly listen: readonly string[];
  readonly relayService: boolean;
  readonly clusterId: number;
  readonly shard: number;
  readonly pubsubTopic: string;
  readonly limits: Limits;
  readonly drops: Drops;
  readonly meter: TrafficMeter;
  readonly log: Log;
  readonly clock: () => number;
  readonly monotonic: () => number;
  readonly random: RandomNumber;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
}

/**
 * The parts of a host that run. What starts early reaches here those that start after it, which are undefined until
 * then; what must be stopped is here from the moment that it runs.
 */
export interface HostParts {
  node?: BaseNode;
  nat?: Nat;
  relays?: HostRelays;
  /** Announces the presence soon. */
  announceSoon?: () => void;
}

/** The options with their defaults, and the counters. */
export function createContext(options: HostOptions, signal: AbortSignal): HostContext {
  const { identity, listen = ["/ip4/127.0.0.1/tcp/0"], relayService = false, log = silent } = options;
  const { clusterId = CLUSTER_ID, shard = 0, clock = Date.now, random = Math.random } = options;
  const { monotonic = () => performance.now() } = options;
  const drops = createDrops();
  return {
    options,
    identity,
    listen,
    relayService,
    clusterId,
    shard,
    pubsubTopic: pubsubTopicOf(clusterId, shard),
    limits: limitsOf(relayService, options.limits),
    drops,
    meter: createTrafficMeter(drops),
    log,
    clock,
    monotonic,
    random,
    signal,
  };
}
