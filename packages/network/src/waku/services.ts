import { proto_message } from "@waku/proto";
import { reasonOf } from "../errors.ts";
import type { Identity } from "../identity/identity.ts";
import { wakuMessageHash } from "../messages/waku-message.ts";
import type { RandomNumber } from "../timing/delay.ts";
import type { Rate } from "../timing/token-bucket.ts";
import { archive } from "./archive.ts";
import { serveFilter } from "./filter-service.ts";
import type { SubscriptionLimits } from "./filter-subscriptions.ts";
import { serveLightPush } from "./light-push-service.ts";
import { createMemoryMessageStore } from "./memory-message-store.ts";
import type { MessageStore } from "./message-store.ts";
import { serveMetadata } from "./metadata-service.ts";
import { servePeerExchange } from "./peer-exchange.ts";
import { createRecentHashes } from "./recent-hashes.ts";
import type { ServiceContext } from "./rpc.ts";
import { serveStore } from "./store-service.ts";

/** How often one peer may use each service. */
export interface ServiceRates {
  readonly store: Rate;
  readonly filter: Rate;
  readonly lightPush: Rate;
  readonly metadata: Rate;
  readonly peerExchange: Rate;
}

const RATES: ServiceRates = {
  store: { perSecond: 20, burst: 100 },
  filter: { perSecond: 10, burst: 100 },
  lightPush: { perSecond: 50, burst: 200 },
  metadata: { perSecond: 1, burst: 20 },
  peerExchange: { perSecond: 1, burst: 20 },
};

const MAINTENANCE_MS = 60_000;

/** What the operator of a relay may choose. */
export interface ServicesOptions {
  /** Where the history is kept. Default: in memory, two hours. Closed with the services. */
  readonly store?: MessageStore | undefined;
  readonly rates?: Partial<ServiceRates> | undefined;
  readonly filterLimits?: Partial<SubscriptionLimits> | undefined;
}

interface Place {
  readonly identity: Identity;
  readonly clusterId: number;
  readonly shard: number;
  readonly pubsubTopic: string;
  readonly random: RandomNumber;
  /** Our addresses for others, the best first. */
  readonly announced: () => readonly string[];
  /** Relays a message that a light node pushed. @returns to how many neighbours it was sent */
  readonly relay: (bytes: Uint8Array) => Promise<number>;
}

/** What services hold now; messages and bytes are those of the history. */
export interface ServiceSize {
  readonly messages: number;
  readonly bytes: number;
  readonly subscribers: number;
}

/** What a relay does for nodes that are not part of the relay network. */
export interface Services {
  /** Keeps and pushes a message that this node relays or publishes. */
  hear(bytes: Uint8Array): void;
  size(): ServiceSize;
}

/** Serves Waku's light protocols until the context's signal aborts. */
export async function serveWaku(context: ServiceContext, place: Place, options: ServicesOptions): Promise<Services> {
  const { clock, signal, log, drops } = context;
  const { pubsubTopic, clusterId, shard } = place;
  const { store = createMemoryMessageStore({ clock }) } = options;
  const rates = { ...RATES, ...options.rates };
  const recent = createRecentHashes();

  await serveStore(context, store, rates.store);
  const filter = await serveFilter(context, { pubsubTopic, rate: rates.filter, limits: options.filterLimits });
  const keep = (bytes: Uint8Array): boolean => {
    try {
      return archive(store, pubsubTopic, bytes, clock());
    } catch (error) {
      // A full disk does not end the relay.
      drops.count("handlerError");
      log.warn({ error: reasonOf(error) }, "a message could not be kept in the history");
      return false;
    }
  };
  const hear = (bytes: Uint8Array) => {
    // The same message again, from a light node that did not get our answer: it is where it belongs.
    if (!recent.isNew(wakuMessageHash(pubsubTopic, bytes))) return { kept: true, subscribers: 0 };
    return { kept: keep(bytes), subscribers: filter.push(proto_message.WakuMessage.decode(bytes)) };
  };
  const relay = async (bytes: Uint8Array) => {
    const { kept, subscribers } = hear(bytes);
    const peers = (await place.relay(bytes)) + subscribers;
    // Nobody has it: when it is pushed again, it is not where it belongs.
    if (peers === 0 && !kept) recent.forget(wakuMessageHash(pubsubTopic, bytes));
    return { peers, kept };
  };
  await serveLightPush(context, { pubsubTopic, rate: rates.lightPush, relay });
  await serveMetadata(context, { clusterId, shards: [shard], rate: rates.metadata });
  await servePeerExchange(context, { ...place, rate: rates.peerExchange });
  const timer = setInterval(() => {
    filter.expire();
    store.prune();
  }, MAINTENANCE_MS);
  const end = () => {
    clearInterval(timer);
    store.close();
  };
  signal.addEventListener("abort", end, { once: true });
  return {
    hear: (bytes) => void hear(bytes),
    size: () => ({ ...store.size(), subscribers: filter.subscribers() }),
  };
}
