import type { Connection } from "@libp2p/interface";
import { backoffMs, delay, type RandomNumber } from "../timing/delay.ts";
import { reasonOf } from "../errors.ts";
import type { Directory } from "../discovery/directory.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { remoteAddress } from "../host/connect.ts";
import { climb } from "./climb.ts";

interface UpgradeOptions {
  readonly directory: Directory;
  readonly random: RandomNumber;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const FIRST_MS = 10_000;
const MOST_MS = 300_000;
const ATTEMPT_MS = 20_000;
const IDLE_CHECK_MS = 1000;

const isDirect = ({ limits, status }: Connection) => limits === undefined && status === "open";

/**
 * Looks for a direct way to every peer that we reached through a relay, less and less often, and gives the circuit back
 * once nothing runs over it. Only the side that dialled does so.
 */
export function upgradeCircuits(node: BaseNode, { directory, random, log, signal }: UpgradeOptions): void {
  const hasDirect = (circuit: Connection) => node.getConnections(circuit.remotePeer).some(isDirect);
  const upgrade = async (circuit: Connection) => {
    const peer = circuit.remotePeer;
    for (let attempt = 0; circuit.status === "open" && !hasDirect(circuit); attempt++) {
      await delay(backoffMs(Math.min(attempt, 10), FIRST_MS, MOST_MS, random), signal);
      if (circuit.status !== "open" || hasDirect(circuit)) break;
      const address = remoteAddress(circuit);
      const multiaddrs = (address && directory.get(address)?.multiaddrs) ?? [];
      const limits = AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]);
      try {
        await climb(node, { peer, multiaddrs, rungs: ["direct", "webrtc"], signal: limits });
        log.debug({ peer: address }, "a circuit was replaced by a direct connection");
      } catch (error) {
        log.debug({ peer: address, error: reasonOf(error) }, "no direct way to a peer yet");
      }
    }
    await closeWhenIdle(circuit);
  };
  /** Twice without a stream: nobody is about to use it. */
  const closeWhenIdle = async (circuit: Connection) => {
    for (let idle = 0; circuit.status === "open" && idle < 2;) {
      await delay(IDLE_CHECK_MS, signal);
      idle = circuit.streams.length === 0 && hasDirect(circuit) ? idle + 1 : 0;
    }
    if (circuit.status === "open") await circuit.close();
  };
  node.addEventListener("connection:open", ({ detail: connection }) => {
    if (connection.limits === undefined || connection.direction !== "outbound") return;
    upgrade(connection).catch((error: unknown) => {
      if (!signal.aborted) log.debug({ error: reasonOf(error) }, "a circuit was given up");
    });
  });
}
