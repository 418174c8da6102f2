// A relay for tests that loses, repeats, delays and overtakes messages, on a clock that lets time run at once.
import { encode, equalBytes, type Hex } from "@skynet/protocol";
import type { OutgoingMessage } from "../messages/envelope.ts";
import type { RelayHandler, RelayMessage, SubscribeOptions } from "../messages/inbox.ts";
import type { RandomNumber } from "../timing/delay.ts";
import type { MessageChannel, Timers } from "./channel.ts";

/** Time that passes when nothing is left to do. */
export class VirtualTimers implements Timers {
  readonly #startMs: number;
  #nowMs: number;
  #order = 0;
  #timers: { atMs: number; order: number; callback: () => void }[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, callback };
    // Sorted: most timers are short, so they go near the front.
    let at = this.#timers.length;
    while (at > 0 && this.#timers[at - 1]!.atMs > timer.atMs) at--;
    this.#timers.splice(at, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** Resolves after virtual time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Runs timers until the condition holds, or `mostMs` of virtual time have passed. @returns whether it holds */
  async runUntil(condition: () => boolean, mostMs: number): Promise<boolean> {
    const endMs = this.#nowMs + mostMs;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (condition()) return true;
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) return false;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
  }
}

export interface BusFaults {
  /** Share of copies that are lost, 0 to 1. */
  readonly loss: number;
  /** Share of copies that arrive twice. */
  readonly duplicates: number;
  /** Time on the way, milliseconds; what was sent later may arrive earlier. */
  readonly delayMs: readonly [number, number];
  /** Nothing arrives; relays keep what they are asked to keep. */
  readonly cut?: boolean;
}

interface Subscription extends SubscribeOptions {
  readonly topic: string;
  readonly handler: RelayHandler;
}

interface Copy {
  readonly topic: string;
  readonly message: RelayMessage;
  readonly groupKey: Uint8Array | undefined;
  readonly atMs: number;
}

export class LossyBus {
  readonly #timers: VirtualTimers;
  readonly #random: RandomNumber;
  readonly #nodes = new Map<
    object,
    { readonly subscriptions: Set<Subscription>; readonly onReconnect: Set<() => void> }
  >();
  readonly #kept: Copy[] = [];
  faults: BusFaults;
  /** Messages that were published, and the bytes of their bodies; copies to several nodes count once. */
  published = 0;
  bytes = 0;

  constructor(timers: VirtualTimers, random: RandomNumber, faults: BusFaults) {
    this.#timers = timers;
    this.#random = random;
    this.faults = faults;
  }

  /** Relays lose what they kept. */
  forget(): void {
    this.#kept.length = 0;
  }

  /** A node's end; after `leave` nothing reaches it, and what it says reaches nobody. */
  join(self: Hex): MessageChannel & { leave(): void; reconnect(): void } {
    const subscriptions = new Set<Subscription>();
    const onReconnect = new Set<() => void>();
    const key = {};
    let seq = 0;
    this.#nodes.set(key, { subscriptions, onReconnect });
    return {
      publish: async (topic, message, { groupKey, ephemeral }) => {
        if (!this.#nodes.has(key)) return { recipients: 0 };
        const copy = this.#copyOf(topic, message, self, ++seq, groupKey);
        if (!ephemeral && this.#random() >= this.faults.loss) this.#kept.push(copy);
        for (const other of this.#nodes.keys()) if (other !== key) this.#carry(copy, other);
        return { recipients: 1 };
      },
      subscribe: (topic, handler, options = {}) => {
        const subscription = { topic, handler, ...options };
        subscriptions.add(subscription);
        return () => void subscriptions.delete(subscription);
      },
      catchUp: async (topic, { fromMs }) => {
        await this.#timers.sleep(this.faults.delayMs[1]);
        for (const copy of this.#kept)
          if (copy.topic === topic && copy.atMs >= fromMs && copy.message.from !== self) this.#hand(copy, key);
      },
      onReconnect: (listener) => {
        onReconnect.add(listener);
        return () => void onReconnect.delete(listener);
      },
      leave: () => void this.#nodes.delete(key),
      reconnect: () => {
        for (const listener of onReconnect) listener();
      },
    };
  }

  #copyOf(topic: string, { kind, job, body }: OutgoingMessage, from: Hex, seq: number, groupKey?: Uint8Array): Copy {
    this.published++;
    this.bytes += encode(body).length;
    return { topic, message: { kind, job, body, from, seq }, groupKey, atMs: this.#timers.nowMs() };
  }

  #carry(copy: Copy, to: object): void {
    const { loss, duplicates, delayMs, cut } = this.faults;
    const [least, most] = delayMs;
    const copies = this.#random() < duplicates ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (cut || this.#random() < loss) continue;
      this.#timers.after(least + (most - least) * this.#random(), () => this.#hand(copy, to));
    }
  }

  #hand({ topic, message, groupKey }: Copy, to: object): void {
    for (const subscription of this.#nodes.get(to)?.subscriptions ?? []) {
      const { handler, allow } = subscription;
      const keys = subscription.groupKey?.();
      const opens =
        keys === undefined ? groupKey === undefined : keys.some((key) => groupKey && equalBytes(key, groupKey));
      if (subscription.topic === topic && opens && allow?.(message.from) !== false) void handler(message);
    }
  }
}
