import type { PeerId } from "@libp2p/interface";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { deadlineSignal } from "../timing/delay.ts";
import { STORE_PROTOCOL } from "./protocols.ts";
import { waitForService } from "./service-peers.ts";
import { queryStore } from "./store-client.ts";

const WAIT_MS = 15_000;

export interface HistoryRange {
  /** From when on, milliseconds since the epoch by the senders' clocks, inclusive. */
  readonly fromMs: number;
  /** Until when, exclusive. Default: now and after. */
  readonly toMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HistoryResult {
  /** Messages that the relay had. */
  readonly messages: number;
  /** Those of them that were new here: a subscription got them, or would have. */
  readonly accepted: number;
}

interface HistoryOptions {
  readonly node: BaseNode;
  readonly pubsubTopic: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Handles one message. @returns whether it was new */
  readonly receive: (bytes: Uint8Array) => boolean;
}

const nanoseconds = (ms: number): bigint => BigInt(Math.floor(ms)) * 1_000_000n;

/**
 * Fetches the stored messages of a content topic, oldest first. When a relay fails, the next one goes on from the time
 * of the last message.
 * @throws NetworkError `Unreachable` when no connected relay has a history; the last relay's error when all failed
 */
export async function fetchHistory(
  { node, pubsubTopic, log, signal: stopped, receive }: HistoryOptions,
  contentTopic: string,
  { fromMs, toMs, signal }: HistoryRange,
): Promise<HistoryResult> {
  const either = signal ? AbortSignal.any([signal, stopped]) : stopped;
  either.throwIfAborted();
  const timeEnd = toMs === undefined ? undefined : nanoseconds(toMs);
  let timeStart = nanoseconds(fromMs);
  let messages = 0;
  let accepted = 0;
  let failure: unknown;
  for (const relay of await relays(node, either)) {
    const options = { pubsubTopic, contentTopics: [contentTopic], timeStart, timeEnd, signal: either };
    try {
      for await (const { bytes, timestamp } of queryStore(node, relay, options)) {
        messages += 1;
        if (receive(bytes)) accepted += 1;
        timeStart = timestamp;
      }
      return { messages, accepted };
    } catch (error) {
      either.throwIfAborted();
      failure = error;
      log.debug({ relay: relay.toString(), error: reasonOf(error) }, "a relay gave no history");
    }
  }
  throw failure;
}

async function relays(node: BaseNode, signal: AbortSignal): Promise<PeerId[]> {
  const none = () =>
    new NetworkError("Unreachable", "no relay with a history is connected", {
      hint: "connect to a relay; nodes that are not relays keep no history",
    });
  const deadline = deadlineSignal(WAIT_MS, none, signal);
  try {
    return await waitForService(node, STORE_PROTOCOL, deadline.signal);
  } finally {
    deadline.clear();
  }
}
