import { roundTrip } from "../discovery/relay-health.ts";
import { connectionInfo } from "./connections.ts";
import type { BaseNode } from "./libp2p-node.ts";

/**
 * Waits until peers have what was sent to them, or a few seconds: QUIC throws away what is on its way when a connection
 * is closed. Other transports flush by themselves.
 */
export async function lastWords(node: BaseNode): Promise<void> {
  const open = node.getConnections().filter(({ status }) => status === "open");
  const overQuic = open.filter((connection) => connectionInfo(connection).kind === "quic");
  const peers = new Map(overQuic.map(({ remotePeer }) => [remotePeer.toString(), remotePeer]));
  const { signal } = new AbortController();
  await Promise.allSettled(peers.values().map((peer) => roundTrip(node, peer, signal)));
}
