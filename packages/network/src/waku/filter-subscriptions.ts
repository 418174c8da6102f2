import { NetworkError } from "../errors.ts";

export interface SubscriptionLimits {
  readonly maxPeers: number;
  /** Content topics of one peer. */
  readonly maxTopicsPerPeer: number;
  /** A subscription that is not refreshed ends after this time, milliseconds. */
  readonly maxIdleMs: number;
}

interface Subscriber {
  readonly topics: Set<string>;
  refreshedMs: number;
}

/** Who wants which content topics of our pubsub topic (12/WAKU2-FILTER). Peers are named by their PeerId's text. */
export interface FilterSubscriptions {
  /** Adds topics to those of the peer, and refreshes. @throws NetworkError `Refused` when a limit is reached */
  subscribe(peer: string, topics: readonly string[]): void;
  /** @returns whether the peer had a subscription */
  unsubscribe(peer: string, topics: readonly string[]): boolean;
  /** Ends all of the peer's subscription. @returns whether it had one */
  remove(peer: string): boolean;
  /** Refreshes. @returns whether the peer has a subscription */
  ping(peer: string): boolean;
  /** Peers to push a message to. */
  matching(topic: string): string[];
  /** Ends what was not refreshed in time. @returns the peers that this removed */
  expire(): string[];
  size(): number;
}

export function createSubscriptions(limits: SubscriptionLimits, clock: () => number): FilterSubscriptions {
  const subscribers = new Map<string, Subscriber>();
  const byTopic = new Map<string, Set<string>>();

  const fresh = ({ refreshedMs }: Subscriber) => clock() - refreshedMs <= limits.maxIdleMs;
  const drop = (peer: string, { topics }: Subscriber, topic: string) => {
    if (!topics.delete(topic)) return;
    const peers = byTopic.get(topic);
    peers?.delete(peer);
    if (peers?.size === 0) byTopic.delete(topic);
  };
  const remove = (peer: string): boolean => {
    const subscriber = subscribers.get(peer);
    if (subscriber === undefined) return false;
    const live = fresh(subscriber);
    for (const topic of subscriber.topics) drop(peer, subscriber, topic);
    subscribers.delete(peer);
    return live;
  };
  const live = (peer: string): Subscriber | undefined => {
    const subscriber = subscribers.get(peer);
    if (subscriber !== undefined && !fresh(subscriber)) remove(peer);
    return subscribers.get(peer);
  };
  const expire = (): string[] => {
    const peers = [...subscribers].flatMap(([peer, subscriber]) => (fresh(subscriber) ? [] : [peer]));
    for (const peer of peers) remove(peer);
    return peers;
  };
  return {
    remove,
    expire,
    subscribe(peer, topics) {
      const before = live(peer);
      if (before === undefined && subscribers.size >= limits.maxPeers) expire();
      if (before === undefined && subscribers.size >= limits.maxPeers)
        throw new NetworkError("Refused", `there are ${limits.maxPeers} subscribers already`);
      const subscriber = before ?? { topics: new Set<string>(), refreshedMs: 0 };
      const added = new Set(topics.filter((topic) => !subscriber.topics.has(topic)));
      if (subscriber.topics.size + added.size > limits.maxTopicsPerPeer)
        throw new NetworkError("Refused", `at most ${limits.maxTopicsPerPeer} content topics for one peer`);
      subscriber.refreshedMs = clock();
      subscribers.set(peer, subscriber);
      for (const topic of added) {
        subscriber.topics.add(topic);
        byTopic.set(topic, (byTopic.get(topic) ?? new Set()).add(peer));
      }
    },
    unsubscribe(peer, topics) {
      const subscriber = live(peer);
      if (subscriber === undefined) return false;
      subscriber.refreshedMs = clock();
      for (const topic of topics) drop(peer, subscriber, topic);
      if (subscriber.topics.size === 0) subscribers.delete(peer);
      return true;
    },
    ping(peer) {
      const subscriber = live(peer);
      if (subscriber !== undefined) subscriber.refreshedMs = clock();
      return subscriber !== undefined;
    },
    matching: (topic) => [...(byTopic.get(topic) ?? [])].filter((peer) => live(peer) !== undefined),
    size: () => subscribers.size,
  };
}
