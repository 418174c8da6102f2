import type { Hex } from "@skynet/protocol";
import type { Drops } from "../host/drops.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import type { Log } from "../host/log.ts";
import type { Identity } from "../identity/identity.ts";
import type { Timers } from "./channel.ts";
import {
  ackBytes,
  CLOCK_SKEW_MS,
  FORGET_MS,
  MAX_ACKS,
  parseContent,
  reasonText,
  type Ack,
  type Target,
} from "./frame.ts";
import { Incoming } from "./incoming-stream.ts";
import { laneOf, type DeliveryStore, type Handled, type Lane, type StoredDelivery } from "./store.ts";

/** A message as its handler gets it: in the order of its sender, each once. */
export interface DeliveredMessage {
  readonly job: string | null;
  readonly from: Hex;
  readonly kind: string;
  /** Not validated: parse it with the schema of its kind. */
  readonly body: unknown;
  /** Number among the messages of this sender to this node. */
  readonly seq: number;
}

/**
 * Handles a message; the sender gets its receipt when this is done and on disk. `NetworkError` with code `Rejected` or
 * `Malformed` refuses it, and the sender is told the error's text; after any other error, which stays here, it is tried
 * again for as long as the sender waits for the message.
 */
export type DeliveryHandler = (message: DeliveredMessage) => void | Promise<void>;

export interface IntakeOptions {
  readonly identity: Identity;
  readonly store: DeliveryStore;
  readonly timers: Timers;
  readonly log: Log;
  readonly drops?: Pick<Drops, "count"> | undefined;
  /** Senders outside jobs to remember (4,096). */
  readonly maxSenders?: number | undefined;
  /** Handler of a job, or of messages outside jobs; none while the channel is closed. */
  readonly handlerOf: (job: string | null) => DeliveryHandler | undefined;
  /** Puts acknowledgements on the wire. */
  readonly acknowledge: (job: string | null, to: Hex, acks: readonly Ack[]) => void;
}

export interface IntakeCounters {
  handled: number;
  refused: number;
  duplicates: number;
  acks: number;
}

/**
 * Senders outside jobs to remember at once; a new one makes room only when another was silent for an hour. Those of
 * jobs are members, so the chain limits them; strangers never take their place.
 */
export const MAX_SENDERS = 4096;
/** Bytes of all senders that wait for gaps to close. */
const MAX_ALL_HELD_BYTES = 64 * 1024 * 1024;
/** Acknowledgements wait this long for more to confirm, milliseconds. */
const ACK_DELAY_MS = 25;
const ACK_FRAME_BYTES = 32 * 1024;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 15_000;
/** Who waits for a message asks for it more often than this; for others it is not tried again. */
const SENDER_GONE_MS = 300_000;
/** Pause after the disk refused to write. */
const DISK_RETRY_MS = 1000;

/** Messages that arrive: put in order, handled once, acknowledged. */
export class Intake {
  readonly counters: IntakeCounters = { handled: 0, refused: 0, duplicates: 0, acks: 0 };
  readonly #o: IntakeOptions;
  readonly #streams = new Map<string, Incoming>();
  readonly #due = new Set<Incoming>();
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #cancelAcks: (() => void) | undefined;
  /** What is left of senders that were forgotten: nothing of an earlier session is handled. */
  readonly #floors: Record<Lane, number> = { jobs: 0, strangers: 0 };
  #order: number;
  #heldBytes = 0;
  #strangers = 0;

  constructor(options: IntakeOptions) {
    this.#o = options;
    // Starts at the clock, so that it grows across restarts.
    this.#order = options.timers.nowMs();
  }

  resume({ incomingStreams, floors }: StoredDelivery): void {
    Object.assign(this.#floors, floors);
    const [wallMs, monotonicMs] = [this.#o.timers.nowMs(), this.#o.timers.monotonicMs()];
    for (const stored of incomingStreams.toSorted((a, b) => a.atMs - b.atMs)) {
      const stream = new Incoming(stored.job, stored.from);
      stream.restore(stored);
      stream.lastMs = monotonicMs - Math.max(0, wallMs - stored.atMs);
      this.#streams.set(keyOf(stored.job, stored.from), stream);
      if (stored.job === null) this.#strangers++;
    }
  }

  /** A frame that names this node. */
  take(job: string | null, from: Hex, target: Target, content: Uint8Array): void {
    if (this.#stopping.signal.aborted) return;
    if (target.session > this.#o.timers.nowMs() + CLOCK_SKEW_MS) return this.#refuseClock(job, from, target);
    const stream = this.#streamOf(job, from);
    if (stream === undefined) return this.#o.drops?.count("rateLimited");
    const before = stream.upTo;
    const room = stream.heldBytes + MAX_ALL_HELD_BYTES - this.#heldBytes;
    const result = this.#counted(stream, () => stream.take(target, content, room));
    if (result === "known" && target.seq > 0) this.counters.duplicates++;
    // What can be handled at once is acknowledged then.
    if (result !== "new" || target.seq !== before + 1 || stream.running) this.#ackSoon(stream);
    this.#run(stream);
  }

  /** Bytes of messages that are here and not handled. */
  heldBytes(): number {
    return this.#heldBytes;
  }

  /** Acknowledgements that are due, to go along with a frame. */
  takeAcks(job: string | null, to: Hex | undefined, roomBytes: number): Ack[] {
    const acks: Ack[] = [];
    let left = roomBytes;
    for (const stream of this.#due) {
      if (stream.job !== job || (to !== undefined && stream.from !== to)) continue;
      const own = this.#acksOf(stream);
      left -= bytesOf(own);
      if (acks.length + own.length > MAX_ACKS || left < 0) break;
      this.#due.delete(stream);
      acks.push(...own);
    }
    return acks;
  }

  /** Handles what waited for a handler. */
  opened(job: string | null): void {
    for (const stream of this.#streams.values()) if (stream.job === job) this.#run(stream);
  }

  /** Sends the acknowledgements that are due now. */
  flush(): void {
    this.#cancelAcks?.();
    this.#cancelAcks = undefined;
    const lanes = new Map<string, { job: string | null; to: Hex; acks: Ack[] }>();
    for (const stream of this.#due) {
      const { job, from } = stream;
      const lane = lanes.get(job ?? from) ?? { job, to: from, acks: [] };
      lanes.set(job ?? from, lane);
      lane.acks.push(...this.#acksOf(stream));
    }
    this.#due.clear();
    for (const { job, to, acks } of lanes.values())
      for (let part = firstPart(acks); part.length > 0; part = firstPart(acks)) this.#o.acknowledge(job, to, part);
  }

  /** Takes nothing more, lets running handlers end, and acknowledges them. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
    this.flush();
  }

  #streamOf(job: string | null, from: Hex): Incoming | undefined {
    const key = keyOf(job, from);
    const nowMs = this.#o.timers.monotonicMs();
    const known = this.#streams.get(key);
    if (known === undefined && job === null) {
      if (this.#strangers >= (this.#o.maxSenders ?? MAX_SENDERS) && !this.#forgetOne(nowMs)) return undefined;
      this.#strangers++;
    }
    const stream = known ?? new Incoming(job, from, this.#floors[laneOf(job)]);
    stream.lastMs = nowMs;
    // The longest silent one stays first.
    this.#streams.delete(key);
    this.#streams.set(key, stream);
    return stream;
  }

  #forgetOne(nowMs: number): boolean {
    for (const [key, stream] of this.#streams) {
      if (stream.job !== null) continue;
      if (nowMs - stream.lastMs < FORGET_MS) return false;
      if (!stream.isIdle()) continue;
      this.#streams.delete(key);
      this.#strangers--;
      this.#due.delete(stream);
      // The sessions of strangers are all below it, so an old message of this one is known by its session alone.
      this.#floors.strangers = Math.max(this.#floors.strangers, stream.lastHandled + 1);
      this.#o.store.removeIncomingStream(null, stream.from, this.#floors.strangers).catch((error: unknown) => {
        this.#o.log.warn({ error: reasonOf(error) }, "a silent sender could not be forgotten");
      });
      return true;
    }
    return false;
  }

  #run(stream: Incoming): void {
    if (stream.running || stream.nextHeld() === undefined) return;
    stream.running = true;
    const running = this.#handleAll(stream).finally(() => {
      stream.running = false;
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  /** One after the other: a sender's messages are handled in order. */
  async #handleAll(stream: Incoming): Promise<void> {
    for (let held = stream.nextHeld(); held !== undefined; held = stream.nextHeld()) {
      const { session } = stream;
      const { seq, content, hash } = held;
      const result = await this.#handle(stream, seq, content);
      if (result === "later") return;
      if (result === "unwanted") continue;
      const handled = { seq, hash, refused: result.refused };
      // The sender may have given the number up, or begun anew, while it was handled.
      if (session === stream.session && seq > stream.upTo) {
        if (!(await this.#keep(stream, session, handled))) return;
        this.#counted(stream, () => stream.settled(session, handled));
      }
      if (result.refused === null) this.counters.handled++;
      else this.counters.refused++;
      this.#ackSoon(stream);
      if (this.#stopping.signal.aborted) return;
    }
  }

  /** @returns the result; `later`: it waits for another run; `unwanted`: the sender has given it up meanwhile */
  async #handle(
    stream: Incoming,
    seq: number,
    content: Uint8Array,
  ): Promise<Pick<Handled, "refused"> | "later" | "unwanted"> {
    const { job, from, session } = stream;
    for (let attempt = 0; ; attempt++) {
      const handler = this.#o.handlerOf(job);
      if (handler === undefined || this.#stopping.signal.aborted) return "later";
      stream.lastHandled = Math.max(stream.lastHandled, session);
      try {
        await handler({ job, from, seq, ...parseContent(content) });
        return { refused: null };
      } catch (error) {
        this.#o.log.warn({ from, job, seq, attempt, error: reasonOf(error) }, "a message could not be handled");
        const final = error instanceof NetworkError && ["Rejected", "Malformed"].includes(error.code);
        if (final) return { refused: reasonText(error.message) || "no reason given" };
      }
      await this.#pause(Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS));
      if (session !== stream.session || seq <= stream.upTo) return "unwanted";
      if (this.#o.timers.monotonicMs() - stream.lastMs > SENDER_GONE_MS) return "later";
    }
  }

  /**
   * Writes a result down, unless the sender begins anew meanwhile: it asks for nothing of its old session.
   * @returns false when the node stops before the result is on disk
   */
  async #keep(stream: Incoming, session: number, handled: Handled): Promise<boolean> {
    const state = stream.stateAfter(handled.seq, this.#o.timers.nowMs());
    while (session === stream.session) {
      try {
        await this.#o.store.addHandled(state, handled);
        return true;
      } catch (error) {
        this.#o.log.warn({ error: reasonOf(error) }, "a message was handled, but this could not be written down");
        if (this.#stopping.signal.aborted) return false;
        await this.#pause(DISK_RETRY_MS);
      }
    }
    return true;
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    const cancel = this.#o.timers.after(ms, end);
    signal.addEventListener("abort", end, { once: true });
    await promise;
    cancel();
    signal.removeEventListener("abort", end);
  }

  /** Such a session would raise the floor for all others. The sender is told at once why it is not heard. */
  #refuseClock(job: string | null, to: Hex, { session, seq }: Target): void {
    this.#o.drops?.count("clockAhead");
    if (seq === 0) return;
    const refused = [{ seq, reason: "numbered from a time more than a day from now: set the clock and send it again" }];
    const nothing = { upTo: 0, held: new Uint8Array(), got: [], signature: new Uint8Array() };
    this.#o.acknowledge(job, to, [{ to, session, order: ++this.#order, ...nothing, refused }]);
  }

  /** Keeps count of the bytes that are held for all senders. */
  #counted<T>(stream: Incoming, change: () => T): T {
    const before = stream.heldBytes;
    const result = change();
    this.#heldBytes += stream.heldBytes - before;
    return result;
  }

  #ackSoon(stream: Incoming): void {
    this.#due.add(stream);
    this.#cancelAcks ??= this.#o.timers.after(ACK_DELAY_MS, () => this.flush());
  }

  #acksOf(stream: Incoming): Ack[] {
    const acks = stream.acks(this.#o.identity, () => ++this.#order);
    this.counters.acks += acks.length;
    return acks;
  }
}

const bytesOf = (acks: readonly Ack[]): number => acks.reduce((sum, ack) => sum + ackBytes(ack), 0);

/** Takes the acknowledgements that fit into one frame. */
function firstPart(acks: Ack[]): Ack[] {
  let count = Math.min(acks.length, MAX_ACKS);
  while (count > 1 && bytesOf(acks.slice(0, count)) > ACK_FRAME_BYTES) count--;
  return acks.splice(0, count);
}

const keyOf = (job: string | null, from: Hex): string => `${job ?? ""} ${from}`;
