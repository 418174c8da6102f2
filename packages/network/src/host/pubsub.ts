import type { GossipsubMessage } from "@libp2p/gossipsub";
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
  /** Resolves when what others publish reaches us and the other way round. @throws the signal's reason */
  connected(options: { signal: AbortSignal }): Promise<void>;
}

/** Waku relay: every node forwards to its neighbours (11/WAKU2-RELAY). */
export function createGossip(node: Node, topic: string, stopped: AbortSignal): Pubsub {
  const { pubsub } = node.services;
  const { connected } = watchMesh(node, topic, stopped);
  return {
    connected,
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
