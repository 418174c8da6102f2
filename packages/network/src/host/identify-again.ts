import type { Connection } from "@libp2p/interface";
import { delay } from "../timing/delay.ts";
import type { BaseNode } from "./libp2p-node.ts";

/** libp2p asks once, when a connection opens, and gives up after 5 s; two questions at a time would end each other. */
const AGAIN_MS = 6000;
const MOST_TRIES = 5;

/**
 * Asks a peer again what it serves when its answer did not come, as one machine was too busy or the line too bad:
 * otherwise a node would never use its relay's history and services, for as long as the connection lasts.
 */
export function identifyAgain(node: BaseNode, signal: AbortSignal, againMs = AGAIN_MS): void {
  const answered = new WeakSet<Connection>();
  const watch = async (connection: Connection) => {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      await delay(againMs, signal);
      if (connection.status !== "open" || answered.has(connection)) return;
      // A peer that does not answer may be asked once more.
      await node.services.identify.identify(connection).catch(() => undefined);
    }
  };
  node.addEventListener("peer:identify", ({ detail }) => void answered.add(detail.connection));
  node.addEventListener("connection:open", ({ detail }) => {
    watch(detail).catch(() => undefined); // The node stops.
  });
}
