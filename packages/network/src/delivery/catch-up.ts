import { reasonOf } from "../errors.ts";
import type { Log } from "../host/log.ts";
import { backoffMs, type RandomNumber } from "../timing/delay.ts";
import type { MessageChannel, Timers } from "./channel.ts";
import type { DeliveryStore } from "./store.ts";

/** Asked for besides the time away: clocks differ, and messages take their time. */
const MARGIN_MS = 60_000;
/** Nothing older is asked for. */
const LONGEST_AWAY_MS = 7 * 86_400_000;
/** Of a topic that was never heard. */
const FIRST_LOOK_MS = 86_400_000;
const SAVE_EVERY_MS = 5000;
const FIRST_RETRY_MS = 2000;
const LAST_RETRY_MS = 120_000;

export interface CatchUpOptions {
  readonly channel: MessageChannel;
  readonly store: DeliveryStore;
  readonly timers: Timers;
  readonly random: RandomNumber;
  readonly log: Log;
  readonly heard: ReadonlyMap<string, number>;
  readonly signal: AbortSignal;
}

interface Topic {
  /** Until when everything was heard, milliseconds since the epoch. */
  heardMs: number | undefined;
  /** On the monotonic clock. */
  savedMs: number;
  /** What relays kept since then was asked for, and came. */
  complete: boolean;
  attempt: number;
  run: number;
}

/** Asks relays for what they kept of open topics while this node was away. */
export interface CatchUp {
  open(topic: string): void;
  close(topic: string): void;
  /** Something of this topic arrived. */
  heard(topic: string): void;
  /** The relay was away. */
  again(): void;
}

export function createCatchUp(options: CatchUpOptions): CatchUp {
  const { channel, store, timers, random, log, signal } = options;
  const topics = new Map<string, Topic>();

  const ask = async (name: string, topic: Topic) => {
    const run = ++topic.run;
    topic.complete = false;
    const nowMs = timers.nowMs();
    const sinceMs = topic.heardMs === undefined ? nowMs - FIRST_LOOK_MS : topic.heardMs - MARGIN_MS;
    const current = () => topics.get(name) === topic && topic.run === run && !signal.aborted;
    try {
      await channel.catchUp(name, { fromMs: Math.max(sinceMs, nowMs - LONGEST_AWAY_MS), signal });
      if (!current()) return;
      topic.complete = true;
      topic.attempt = 0;
      topic.heardMs = Math.max(topic.heardMs ?? 0, nowMs);
    } catch (error) {
      if (!current()) return;
      log.debug({ topic: name, error: reasonOf(error) }, "no relay has told what was missed; asking again");
      const waitMs = backoffMs(topic.attempt++, FIRST_RETRY_MS, LAST_RETRY_MS, random);
      timers.after(waitMs, () => {
        if (current()) void ask(name, topic);
      });
    }
  };
  return {
    open(name) {
      const topic = {
        heardMs: options.heard.get(name),
        savedMs: Number.NEGATIVE_INFINITY,
        complete: false,
        attempt: 0,
        run: 0,
      };
      topics.set(name, topic);
      void ask(name, topic);
    },
    close: (name) => void topics.delete(name),
    heard(name) {
      const topic = topics.get(name);
      const nowMs = timers.nowMs();
      if (topic === undefined || !topic.complete) return;
      topic.heardMs = nowMs;
      const monotonicMs = timers.monotonicMs();
      if (monotonicMs - topic.savedMs < SAVE_EVERY_MS) return;
      topic.savedMs = monotonicMs;
      store.setHeard(name, nowMs).catch((error: unknown) => {
        log.warn({ error: reasonOf(error) }, "the time of the last message could not be written");
      });
    },
    again() {
      for (const [name, topic] of topics) {
        topic.attempt = 0;
        void ask(name, topic);
      }
    },
  };
}
