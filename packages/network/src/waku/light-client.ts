import type { PeerId } from "@libp2p/interface";
import type { Drops } from "../host/drops.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import type { Pubsub } from "../host/pubsub.ts";
import { wakuMessageHash } from "../messages/waku-message.ts";
import { untilAborted } from "../timing/until-aborted.ts";
import { startFilter } from "./filter-client.ts";
import { createLightPush } from "./light-push-client.ts";
import { FILTER_SUBSCRIBE_PROTOCOL, LIGHT_PUSH_PROTOCOL } from "./protocols.ts";
import { createRecentHashes } from "./recent-hashes.ts";

interface LightOptions {
  readonly node: BaseNode;
  readonly pubsubTopic: string;
  readonly drops: Drops;
  readonly log: Log;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
}

/** Publishes and hears through relays, without being a part of the relay network: for tabs and phones. */
export async function createLightClient(options: LightOptions): Promise<Pubsub> {
  const { node, pubsubTopic, signal } = options;
  const listeners = new Set<(bytes: Uint8Array) => void>();
  const neighbourListeners = new Set<() => void>();
  const relays = new Set<string>();
  const changed = () => neighbourListeners.forEach((listener) => listener());
  const recent = createRecentHashes();
  const isNew = (bytes: Uint8Array) => recent.isNew(wakuMessageHash(pubsubTopic, bytes));
  const push = createLightPush(options);
  const filter = await startFilter({
    ...options,
    isNew,
    onMessage: (bytes) => listeners.forEach((listener) => listener(bytes)),
    onReady: changed,
  });
  node.addEventListener("peer:identify", ({ detail: { peerId, protocols } }) => {
    const serves = [LIGHT_PUSH_PROTOCOL, FILTER_SUBSCRIBE_PROTOCOL].every((protocol) => protocols.includes(protocol));
    if (!serves) return;
    relays.add(peerId.toString());
    changed();
  });
  node.addEventListener("peer:disconnect", ({ detail }) => void relays.delete(detail.toString()));
  const onNeighbour = (listener: () => void) => {
    neighbourListeners.add(listener);
    return () => void neighbourListeners.delete(listener);
  };
  return {
    publish(bytes) {
      isNew(bytes); // Relays push it back to us.
      return push(bytes);
    },
    want: filter.want,
    onNeighbour,
    isNeighbour: (peer: PeerId) => relays.has(peer.toString()),
    score: () => 0,
    onMessage(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async connected(waiting) {
      const either = AbortSignal.any([waiting.signal, signal]);
      while (!filter.ready()) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const end = onNeighbour(resolve);
        await untilAborted(promise, either).finally(end);
      }
    },
  };
}
