import type { PeerId } from "@libp2p/interface";
import type { BaseNode } from "../host/libp2p-node.ts";
import { untilAborted } from "../timing/until-aborted.ts";

/** Connected peers that said that they serve a protocol, the connection that is open for longest first. */
export async function servicePeers(node: BaseNode, protocol: string): Promise<PeerId[]> {
  const connections = node.getConnections().filter(({ status }) => status === "open");
  const peers = new Map(
    connections
      .toSorted((one, other) => one.timeline.open - other.timeline.open)
      .map(({ remotePeer }) => [remotePeer.toString(), remotePeer]),
  );
  const serving = await Promise.all(
    peers.values().map(async (peer) => {
      // A peer that went away in the meantime is not in the store.
      const known = await node.peerStore.get(peer).catch(() => undefined);
      return known?.protocols.includes(protocol) ? [peer] : [];
    }),
  );
  return serving.flat();
}

/** Waits until a connected peer serves a protocol. @throws the signal's reason */
export async function waitForService(node: BaseNode, protocol: string, signal: AbortSignal): Promise<PeerId[]> {
  for (;;) {
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    node.addEventListener("peer:update", wake);
    node.addEventListener("peer:identify", wake);
    try {
      const peers = await servicePeers(node, protocol);
      if (peers.length > 0) return peers;
      await untilAborted(changed, signal);
    } finally {
      node.removeEventListener("peer:update", wake);
      node.removeEventListener("peer:identify", wake);
    }
  }
}
