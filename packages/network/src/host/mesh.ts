import type { MeshPeer } from "@libp2p/gossipsub";
import { peerIdFromString } from "@libp2p/peer-id";
import type { Node } from "./libp2p-node.ts";

/** Knows when neighbours relay for us. */
export interface MeshWatch {
  /** Resolves when a neighbour has us in its mesh, so that what is published from now on reaches us. */
  connected(options: { signal: AbortSignal }): Promise<void>;
}

/**
 * A neighbour that grafted us forwards to us. One that we grafted does so when it has read that, which a ping sent
 * afterwards confirms.
 */
export function watchMesh(node: Node, topic: string, stopped: AbortSignal): MeshWatch {
  const { pubsub, ping } = node.services;
  const ready = new Set<string>();
  const waiting = new Set<() => void>();
  const add = (peerId: string) => {
    ready.add(peerId);
    for (const resolve of waiting) resolve();
  };
  const graft = ({ detail }: CustomEvent<MeshPeer>) => {
    if (detail.topic !== topic) return;
    if (detail.direction === "inbound") return add(detail.peerId);
    const pinged = ping.ping(peerIdFromString(detail.peerId), { signal: stopped });
    pinged.then(() => add(detail.peerId)).catch(() => undefined); // It went away: then it is not ready.
  };
  const prune = ({ detail }: CustomEvent<MeshPeer>) => void ready.delete(detail.peerId);
  const leave = ({ detail }: CustomEvent<{ toString(): string }>) => void ready.delete(detail.toString());
  pubsub.addEventListener("gossipsub:graft", graft);
  pubsub.addEventListener("gossipsub:prune", prune);
  node.addEventListener("peer:disconnect", leave);
  return {
    async connected({ signal }) {
      const either = AbortSignal.any([signal, stopped]);
      either.throwIfAborted();
      if (ready.size > 0) return;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const abort = () => reject(either.reason as Error);
      waiting.add(resolve);
      either.addEventListener("abort", abort, { once: true });
      await promise.finally(() => {
        waiting.delete(resolve);
        either.removeEventListener("abort", abort);
      });
    },
  };
}
