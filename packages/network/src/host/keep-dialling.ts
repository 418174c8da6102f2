import type { Connection } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { backoffMs, delay, type RandomNumber } from "../timing/delay.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import type { Node } from "./libp2p-node.ts";
import type { Log } from "./log.ts";

interface KeepDiallingOptions {
  readonly node: Node;
  readonly address: string;
  readonly random: RandomNumber;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Resolves when the connection is closed. */
function closed(connection: Connection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (connection.status !== "open" || signal.aborted) return resolve();
    connection.addEventListener("close", () => resolve(), { once: true });
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Connects to a relay and reconnects whenever the connection is lost, until the signal aborts. */
export async function keepDialling({ node, address, random, log, signal }: KeepDiallingOptions): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const connection = await node.dial(multiaddr(address), { signal });
      log.debug({ relay: address }, "connected to a relay");
      attempt = 0;
      await closed(connection, signal);
    } catch (error) {
      if (!signal.aborted) log.debug({ relay: address, attempt, error: reasonOf(error) }, "a relay does not answer");
    }
    await delay(backoffMs(Math.min(attempt, 10), 200, 15_000, random), signal).catch(() => undefined);
  }
}

/** @throws NetworkError `BadOption` unless each is a multiaddr */
export function checkMultiaddrs(addresses: readonly string[]): void {
  for (const address of addresses) {
    try {
      multiaddr(address);
    } catch (cause) {
      throw new NetworkError("BadOption", `not a multiaddr: ${address}`, {
        cause,
        hint: "relay addresses look like /ip4/127.0.0.1/tcp/4000/p2p/16Uiu2...",
      });
    }
  }
}
