import { archive } from "./archive.ts";
import { createMemoryMessageStore } from "./memory-message-store.ts";
import type { MessageStore } from "./message-store.ts";
import type { ServiceContext } from "./rpc.ts";
import { serveStore } from "./store-service.ts";
import type { Rate } from "../timing/token-bucket.ts";

/** How often one peer may use each service. */
export interface ServiceRates {
  readonly store: Rate;
}

const RATES: ServiceRates = {
  store: { perSecond: 20, burst: 100 },
};

export interface ServicesOptions {
  readonly pubsubTopic: string;
  /** Where the history is kept. Default: in memory, two hours. Closed with the services. */
  readonly store?: MessageStore | undefined;
  readonly rates?: Partial<ServiceRates> | undefined;
}

/** What a relay does for nodes that are not part of the relay network. */
export interface Services {
  readonly store: MessageStore;
  /** Takes note of a message that this node relays or publishes. */
  hear(bytes: Uint8Array): void;
}

/** Serves Waku's light protocols until the context's signal aborts. */
export async function serveWaku(context: ServiceContext, options: ServicesOptions): Promise<Services> {
  const { clock, signal } = context;
  const { pubsubTopic, store = createMemoryMessageStore({ clock }) } = options;
  const rates = { ...RATES, ...options.rates };
  await serveStore(context, store, rates.store);
  signal.addEventListener("abort", () => store.close(), { once: true });
  return {
    store,
    hear: (bytes) => void archive(store, pubsubTopic, bytes, clock()),
  };
}
