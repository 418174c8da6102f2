import type { GossipSub, GossipsubMessage } from "@libp2p/gossipsub";
import type { PeerId } from "@libp2p/interface";
import type { Node } from "./libp2p-node.ts";
import { watchMesh } from "./mesh.ts";

/** Carries Waku messages between a node and the network. */
export interface Pubsub {
  /** @returns to how many neighbours it was sent */
  publish(bytes: Uint8Array): Promise<number>;
  /** Hears the messages of others. @returns function that ends it */
  onMessage(listener: (bytes: Uint8Array) => void): () => void;
  /** Hears when somebody appears that our messages now reach. @returns function that ends it */
  onNeighbour(listener: () => void): () => void;
  /** Whether the peer takes our messages and gives us others'. */
  isNeighbour(peer: PeerId): boolean;
  /** What is thought of a neighbour; below -80 it is ignored. */
  score(peer: PeerId): number;
  /** Says which content topics this node reads; a part of the relay network hears all anyway. */
  want(contentTopic: string, wanted: boolean): void;
  /** Resolves when what others publish reaches us and the other way round. @throws the signal's reason */
  connected(options: { signal: AbortSignal }): Promise<void>;
}

/** Waku relay: every node forwards to its neighbours (11/WAKU2-RELAY). */
export function createGossip(node: Node, topic: string, stopped: AbortSignal): Pubsub {
  const { pubsub } = node.services;
  const { connected } = watchMesh(node, topic, stopped);
  return {
    connected,
    want: () => undefined,
    isNeighbour: (peer) => pubsub.getSubscribers(topic).some((one) => one.equals(peer)),
    // gossipsub's public type leaves the method out.
    score: (peer) => (pubsub as GossipSub & { getScore(peer: string): number }).getScore(peer.toString()),
    async publish(bytes) {
      return (await pubsub.publish(topic, bytes)).recipients.length;
    },
    onMessage(listener) {
      const hear = ({ detail }: CustomEvent<GossipsubMessage>) => listener(detail.msg.data);
      pubsub.addEventListener("gossipsub:message", hear);
      return () => pubsub.removeEventListener("gossipsub:message", hear);
    },
    onNeighbour(listener) {
      pubsub.addEventListener("subscription-change", listener);
      return () => pubsub.removeEventListener("subscription-change", listener);
    },
  };
}
