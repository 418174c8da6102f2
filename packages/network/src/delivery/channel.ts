import type { OutgoingMessage } from "../messages/envelope.ts";
import type { RelayHandler, SubscribeOptions } from "../messages/inbox.ts";

/** Signed messages by topic that may be lost, repeated or overtaken: what delivery needs of a host. */
export interface MessageChannel {
  /**
   * Signs, encrypts if a group key is given, and relays a message. `ephemeral: false` asks relays to keep it.
   * @returns how many neighbours it was sent to; 0 means that nobody got it
   */
  publish(
    topicName: string,
    message: OutgoingMessage,
    options: { readonly groupKey?: Uint8Array; readonly ephemeral: boolean },
  ): Promise<{ recipients: number }>;
  /** @returns function that ends the subscription */
  subscribe(topicName: string, handler: RelayHandler, options?: SubscribeOptions): () => void;
  /** Hands what relays kept of this topic since `fromMs` to its subscriptions. */
  catchUp(topicName: string, options: { readonly fromMs: number; readonly signal: AbortSignal }): Promise<void>;
  /** Calls back whenever a relay is there again after there was none. @returns function that ends it */
  onReconnect(listener: () => void): () => void;
}

/** Time, passed in so that tests can let it run. */
export interface Timers {
  /** Milliseconds since the epoch, for what is said or stored; its user or NTP may set it back. */
  nowMs(): number;
  /** Milliseconds since some moment, for waits: no change of the machine's time moves it. */
  monotonicMs(): number;
  /** Calls back once. @returns function that cancels it */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimers: Timers = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
