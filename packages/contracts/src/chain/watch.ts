import { setTimeout as sleep } from "node:timers/promises";
import type { BlockRange } from "./events.ts";
import type { PollOptions } from "./types.ts";

const MAX_BACKOFF_MS = 10_000;

/** Where events come from. */
export interface EventSource<Event> {
  blockNumber(): Promise<bigint>;
  events(range: BlockRange): Promise<Event[]>;
}

/** Polls for events until the signal aborts. A failed request is reported and repeated, with growing pauses. */
export async function watchEvents<Event>(source: EventSource<Event>, options: PollOptions<Event>): Promise<void> {
  const { signal, onEvents, onError, intervalMs = 500 } = options;
  const confirmations = BigInt(options.confirmations ?? 0);
  let next = options.fromBlock;
  let pauseMs = intervalMs;
  while (!signal.aborted) {
    try {
      const head = (await source.blockNumber()) - confirmations;
      next ??= head + 1n;
      if (head >= next) {
        const events = await source.events({ fromBlock: next, toBlock: head });
        if (signal.aborted) return;
        next = head + 1n;
        if (events.length > 0) await onEvents(events, next);
      }
      pauseMs = intervalMs;
    } catch (error) {
      if (signal.aborted) return;
      onError?.(error);
      pauseMs = Math.min(pauseMs * 2, MAX_BACKOFF_MS);
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
