import type { Hex } from "@skynet/protocol";
import { NetworkError, reasonOf } from "../errors.ts";
import type { Log } from "../host/log.ts";
import type { RandomNumber } from "../timing/delay.ts";
import type { Timers } from "./channel.ts";
import { CLOCK_SKEW_MS, type Ack } from "./frame.ts";
import { FrameSender, type Addressed, type SentCounters, type Transmit } from "./frame-sender.ts";
import {
  messageOf,
  Outgoing,
  pendingOf,
  type Now,
  type Outcome,
  type OutgoingMessage,
  type Pending,
  type RetryTimes,
} from "./outgoing-stream.ts";
import { forgotten, late, stopped } from "./given-up.ts";
import type { DeliveryStore, OutgoingStream, Settlement, StoredDelivery } from "./store.ts";

/** Unsettled messages and bytes for one recipient; more are refused. */
export const MAX_QUEUED = 1024;
export const MAX_QUEUED_BYTES = 8 * 1024 * 1024;

/** Recipients whose turn comes this soon share a frame. */
const BUNDLE_MS = 60;
/** Between two looks of its own, also when the disk fails all the time. */
const SHORTEST_TURN_MS = 10;
/** Timers of most platforms cannot wait for weeks. */
const LONGEST_WAIT_MS = 3_600_000;
/** Pause after the disk refused to write. */
const DISK_RETRY_MS = 1000;

export interface OutboxOptions {
  readonly self: Hex;
  readonly store: DeliveryStore;
  readonly timers: Timers;
  readonly random: RandomNumber;
  readonly log: Log;
  readonly retry: RetryTimes;
  readonly transmit: Transmit;
  /** Whether the job's channel is open here; messages of others wait. */
  readonly isOpen: (job: string | null) => boolean;
  /** Whether the node is no longer one of the job's members. */
  readonly hasLeft: (job: string | null, address: Hex) => boolean;
}

export interface Recipient {
  readonly to: Hex;
  /** Where messages are sealed to the recipient. */
  readonly publicKey?: Uint8Array | undefined;
}

/** Messages on their way: numbered, repeated until they are confirmed, given up after their deadline. */
export class Outbox {
  readonly #o: OutboxOptions;
  readonly #sender: FrameSender;
  readonly #streams = new Map<string, Outgoing>();
  /** Those of them that wait for something. */
  readonly #busy = new Set<Outgoing>();
  #cancel: (() => void) | undefined;
  #wakeMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: OutboxOptions) {
    this.#o = options;
    this.#sender = new FrameSender(options.transmit, options.log);
  }

  get counters(): SentCounters {
    return this.#sender.counters;
  }

  /** Goes on with what an earlier run left; every message of it has its stream. */
  resume({ outgoingStreams, outgoing }: StoredDelivery): void {
    for (const stream of outgoingStreams)
      this.#streams.set(keyOf(stream.job, stream.to), new Outgoing(stream, this.#o.retry, this.#o.random));
    for (const record of outgoing) {
      const { job, recipients } = record;
      const message = messageOf(record, this.#now());
      for (const { to, seq } of recipients) {
        const stream = this.#streams.get(keyOf(job, to));
        if (stream === undefined) continue;
        const done = (outcome: Outcome) => {
          if ("error" in outcome)
            this.#o.log.warn(
              { to, job, error: outcome.error.message },
              "a message of an earlier run was not delivered",
            );
        };
        stream.next = Math.max(stream.next, seq + 1);
        stream.add(pendingOf(message, seq, done));
        this.#busy.add(stream);
      }
    }
    this.wake();
  }

  /**
   * Accepts a message: it is on disk when this resolves. Numbers follow the order of the calls.
   * @returns for each recipient the promise of its outcome, which never rejects
   * @throws NetworkError `QueueFull`, `Stopped`
   */
  async accept(
    job: string | null,
    content: Uint8Array,
    recipients: readonly Recipient[],
    options: { deadlineMs: number; signal?: AbortSignal | undefined },
  ): Promise<Promise<Outcome>[]> {
    if (this.#stopped) throw stopped();
    const { store, timers } = this.#o;
    const { deadlineMs, signal } = options;
    const streams = recipients.map((recipient) => this.#roomFor(job, recipient, content.length));
    const now = this.#now();
    const record = { job, content, deadlineMs, acceptedMs: now.wallMs };
    const message = messageOf(record, now);
    const outcomes: Promise<Outcome>[] = [];
    const added = streams.map((stream) => {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      outcomes.push(promise);
      const pending = { ...pendingOf(message, stream.next++, resolve), settling: true };
      stream.add(pending);
      this.#busy.add(stream);
      return { stream, pending };
    });
    try {
      const numbered = added.map(({ stream, pending }) => ({ to: stream.to, seq: pending.seq }));
      await store.addOutgoing(
        { ...record, recipients: numbered },
        streams.map((stream) => stream.state(timers.nowMs())),
      );
    } catch (cause) {
      for (const { stream, pending } of added) stream.remove(pending, timers.monotonicMs());
      throw cause;
    }
    for (const { pending } of added) {
      pending.settling = false;
      pending.dueMs = timers.monotonicMs();
    }
    this.#withdrawOn(signal, added, outcomes);
    this.#wakeAt(timers.monotonicMs());
    return outcomes;
  }

  /** What a recipient says about the messages of one stream. @throws NetworkError `BadReceipt`, `Malformed` */
  async hear(job: string | null, from: Hex, ack: Ack): Promise<void> {
    const stream = this.#streams.get(keyOf(job, from));
    const now = this.#now();
    if (stream === undefined || this.#stopped || ack.session < stream.session) return;
    if (ack.session > stream.session) {
      if (ack.session > now.wallMs + CLOCK_SKEW_MS)
        throw new NetworkError("Malformed", `${from} claims a session that begins in the future`);
      return this.#renew(stream, ack.session + 1);
    }
    const receipts = stream.receiptsIn(ack, this.#o.self);
    stream.heard(ack, now.monotonicMs);
    const refused = ack.refused.flatMap(({ seq, reason }) => {
      const pending = stream.pending.get(seq);
      if (pending === undefined || pending.settling) return [];
      const error = new NetworkError("Rejected", `${from} refused the message: ${reason}`);
      return [{ pending, outcome: { error } }];
    });
    const received = receipts.map(({ pending, receipt }) => ({ pending, outcome: { receipt } }));
    const answered = [...received, ...refused];
    for (const { pending } of answered) pending.answered = true;
    await this.#settle(stream, answered);
    this.#wakeFor(stream);
  }

  /** Tries everything again soon: a relay or a member may be there again. */
  wake(): void {
    const nowMs = this.#o.timers.monotonicMs();
    for (const stream of this.#busy) stream.wake(nowMs);
    this.#wakeAt(nowMs);
  }

  /** Ends the waiting for messages of a job; they stay on disk until their deadline. */
  close(job: string | null): void {
    for (const stream of this.#busy) if (stream.job === job) detach(stream);
  }

  /** Everything that is not settled stays on disk for the next run. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    for (const stream of this.#busy) detach(stream);
  }

  /** Forgets recipients that nothing was sent to since, as the disk does. */
  forget(beforeMs: number): void {
    for (const [key, stream] of this.#streams)
      if (stream.pending.size === 0 && stream.lastMs < beforeMs) this.#streams.delete(key);
  }

  /** Unsettled messages, counted once for each recipient. */
  waiting(): number {
    return [...this.#busy].reduce((sum, { pending }) => sum + pending.size, 0);
  }

  #now(): Now {
    const { timers } = this.#o;
    return { wallMs: timers.nowMs(), monotonicMs: timers.monotonicMs() };
  }

  #begun(job: string | null, to: Hex): Outgoing {
    const { timers, retry, random } = this.#o;
    const nowMs = timers.nowMs();
    const first = { job, to, session: nowMs, next: 1, publicKey: new Uint8Array(), atMs: nowMs };
    return new Outgoing(first, retry, random);
  }

  #roomFor(job: string | null, { to, publicKey }: Recipient, bytes: number): Outgoing {
    const key = keyOf(job, to);
    const known = this.#streams.get(key);
    // Numbered when the clock was far ahead: nobody hears such a session.
    const wrong = known?.pending.size === 0 && known.session > this.#o.timers.nowMs() + CLOCK_SKEW_MS;
    const stream = known === undefined || wrong ? this.#begun(job, to) : known;
    if (stream.pending.size >= MAX_QUEUED || stream.bytes + bytes > MAX_QUEUED_BYTES)
      throw new NetworkError("QueueFull", `${stream.pending.size} messages wait for ${to}`, {
        hint: "send the next ones when some of them are delivered",
      });
    if (publicKey) stream.publicKey = publicKey;
    this.#streams.set(key, stream);
    return stream;
  }

  #withdrawOn(
    signal: AbortSignal | undefined,
    added: readonly { stream: Outgoing; pending: Pending }[],
    outcomes: readonly Promise<Outcome>[],
  ): void {
    if (signal === undefined) return;
    const withdraw = () => {
      for (const { stream, pending } of added) void this.#giveUp(stream, pending, signal.reason as Error);
    };
    if (signal.aborted) return withdraw();
    signal.addEventListener("abort", withdraw, { once: true });
    void Promise.all(outcomes).then(() => signal.removeEventListener("abort", withdraw));
  }

  /**
   * Goes on in a later session. Until it is on disk nothing is sent: a node that is restarted in the old one would send
   * it again. What may have been handled leaves the disk with the old session: nobody could tell it from the rest.
   */
  async #renew(stream: Outgoing, session: number): Promise<void> {
    if (stream.renewing) return;
    const { store, timers, log } = this.#o;
    const { job, to } = stream;
    log.info({ to, job, session }, "the recipient knows a later session: going on there");
    stream.renewing = true;
    const doubtful = stream.doubt(timers.monotonicMs());
    const givenUp = doubtful.map(({ seq }): Settlement => ({ job, to, seq }));
    try {
      let written: OutgoingStream;
      do {
        written = { ...stream.state(timers.nowMs()), session };
        await store.renewOutgoing(written, givenUp);
        // What was accepted meanwhile has written the old session again.
      } while (written.next !== stream.next);
      stream.renew(session, timers.monotonicMs());
      const error = forgotten(to);
      this.#end(
        stream,
        doubtful.filter(({ settling }) => !settling).map((pending) => ({ pending, outcome: { error } })),
      );
    } finally {
      // When the disk has failed, the recipient answers the next repetition in the same way.
      stream.renewing = false;
      this.#wakeAt(timers.monotonicMs());
    }
  }

  /** The disk first: a receiver forgets what we have settled. */
  async #settle(stream: Outgoing, ended: readonly { pending: Pending; outcome: Outcome }[]): Promise<void> {
    if (ended.length === 0) return;
    const { store, timers, log } = this.#o;
    for (const { pending } of ended) pending.settling = true;
    const settlements = ended.map(({ pending, outcome }): Settlement => ({
      job: stream.job,
      to: stream.to,
      seq: pending.seq,
      ...("receipt" in outcome ? { receipt: outcome.receipt } : {}),
    }));
    try {
      await store.settle(settlements, timers.nowMs());
    } catch (error) {
      log.warn({ error: reasonOf(error) }, "receipts could not be written; trying again");
      for (const { pending } of ended) {
        pending.settling = false;
        pending.restMs = timers.monotonicMs() + DISK_RETRY_MS;
        pending.dueMs = pending.restMs;
      }
      return;
    }
    this.#end(stream, ended);
  }

  #end(stream: Outgoing, ended: readonly { pending: Pending; outcome: Outcome }[]): void {
    for (const { pending, outcome } of ended) {
      stream.remove(pending, this.#o.timers.monotonicMs());
      pending.done(outcome);
    }
  }

  async #giveUp(stream: Outgoing, pending: Pending, error: Error): Promise<void> {
    if (pending.settling || stream.pending.get(pending.seq) !== pending || this.#stopped) return;
    await this.#settle(stream, [{ pending, outcome: { error } }]);
    // The recipient must not wait for a number that will not come.
    if (stream.pending.size > 0) stream.probeMs = this.#o.timers.monotonicMs();
    this.#wakeFor(stream);
  }

  #wakeFor(stream: Outgoing): void {
    this.#wakeAt(stream.nextDueMs(this.#now(), this.#o.isOpen(stream.job)));
  }

  /** `ms`: on the monotonic clock. */
  #wakeAt(ms: number): void {
    if (this.#stopped || ms >= this.#wakeMs) return;
    this.#cancel?.();
    this.#wakeMs = ms;
    const waitMs = Math.min(Math.max(0, ms - this.#o.timers.monotonicMs()), LONGEST_WAIT_MS);
    this.#cancel = this.#o.timers.after(waitMs, () => this.#turn());
  }

  /** Sends what is due and sets the timer for what comes next. */
  #turn(): void {
    this.#wakeMs = Number.POSITIVE_INFINITY;
    const now = this.#now();
    const nowMs = now.monotonicMs;
    const frames = new Map<OutgoingMessage, Addressed[]>();
    const asking: Outgoing[] = [];
    for (const stream of this.#busy) {
      if (stream.pending.size === 0) {
        this.#busy.delete(stream);
        continue;
      }
      if (stream.renewing) continue;
      this.#expire(stream, now);
      if (!this.#o.isOpen(stream.job)) continue;
      asking.push(stream);
      for (const pending of stream.due(nowMs, BUNDLE_MS)) {
        const group = frames.get(pending.message) ?? [];
        frames.set(pending.message, group);
        group.push({ stream, pending });
      }
    }
    for (const [message, group] of frames)
      if (group.some(({ pending }) => pending.dueMs <= nowMs)) this.#sender.send(message, group, nowMs);
    // After the messages: whoever gets one is asked by it.
    this.#sender.ask(
      asking.filter(({ probeMs }) => probeMs <= nowMs),
      nowMs,
    );
    let nextMs = Number.POSITIVE_INFINITY;
    for (const stream of this.#busy) nextMs = Math.min(nextMs, stream.nextDueMs(now, this.#o.isOpen(stream.job)));
    this.#wakeAt(Math.max(nextMs, nowMs + SHORTEST_TURN_MS));
  }

  #expire(stream: Outgoing, { wallMs, monotonicMs }: Now): void {
    const gone = this.#o.hasLeft(stream.job, stream.to);
    for (const pending of stream.pending.values()) {
      if (pending.restMs > monotonicMs) continue;
      if (pending.doubtful) void this.#giveUp(stream, pending, forgotten(stream.to));
      else if (gone || pending.message.deadlineMs <= wallMs) void this.#giveUp(stream, pending, late(stream.to, gone));
    }
  }
}

const keyOf = (job: string | null, to: Hex): string => `${job ?? ""} ${to}`;

/** The callers are told; the messages stay as they are. */
function detach(stream: Outgoing): void {
  for (const pending of stream.pending.values()) pending.done({ error: stopped() });
}
