import { proto_filter_v2, type WakuMessage } from "@waku/proto";
import { createPusher, type Pusher } from "./filter-push.ts";
import { createFilterAnswers } from "./filter-requests.ts";
import { createSubscriptions, type SubscriptionLimits } from "./filter-subscriptions.ts";
import { FILTER_SUBSCRIBE_PROTOCOL } from "./protocols.ts";
import { serveRpc, type ServiceContext } from "./rpc.ts";
import type { Rate } from "../timing/token-bucket.ts";

const { MessagePush } = proto_filter_v2;

export const FILTER_LIMITS: SubscriptionLimits = { maxPeers: 1000, maxTopicsPerPeer: 200, maxIdleMs: 5 * 60_000 };

/** Pushes messages to light nodes that subscribed to their content topic. */
export interface FilterService {
  /** @returns to how many subscribers it is pushed */
  push(message: WakuMessage): number;
  /** Ends subscriptions that were not refreshed. */
  expire(): void;
  subscribers(): number;
}

interface FilterOptions {
  readonly pubsubTopic: string;
  readonly rate: Rate;
  readonly limits?: Partial<SubscriptionLimits> | undefined;
}

/** Serves 12/WAKU2-FILTER, version 2. */
export async function serveFilter(context: ServiceContext, options: FilterOptions): Promise<FilterService> {
  const { pubsubTopic, rate } = options;
  const subscriptions = createSubscriptions({ ...FILTER_LIMITS, ...options.limits }, context.monotonic);
  const pushers = new Map<string, Pusher>();

  const stop = (peer: string) => {
    pushers.get(peer)?.stop();
    pushers.delete(peer);
  };
  const remove = (peer: string): boolean => {
    stop(peer);
    return subscriptions.remove(peer);
  };
  const answer = createFilterAnswers(pubsubTopic, {
    subscribe(from, topics) {
      const peer = from.toString();
      subscriptions.subscribe(peer, topics);
      if (pushers.has(peer)) return;
      const pusher = createPusher(context, from, () => remove(peer));
      pushers.set(peer, pusher);
    },
    unsubscribe(from, topics) {
      const peer = from.toString();
      if (!subscriptions.unsubscribe(peer, topics)) return false;
      if (!subscriptions.ping(peer)) stop(peer);
      return true;
    },
    unsubscribeAll: (from) => remove(from.toString()),
    ping: (from) => subscriptions.ping(from.toString()),
  });
  await serveRpc(context, { protocol: FILTER_SUBSCRIBE_PROTOCOL, maxRequestBytes: 32 * 1024, rate }, answer);
  return {
    push(message) {
      const peers = subscriptions.matching(message.contentTopic);
      if (peers.length === 0) return 0;
      const frame = MessagePush.encode({ wakuMessage: message, pubsubTopic });
      for (const peer of peers) pushers.get(peer)?.push(frame);
      return peers.length;
    },
    expire: () => subscriptions.expire().forEach(stop),
    subscribers: subscriptions.size,
  };
}
