import { SkyNetError, type Hex } from "@skynet/protocol";
import { NetworkError, reasonOf } from "../errors.ts";
import type { Log } from "../host/log.ts";
import type { RandomNumber } from "../timing/delay.ts";
import type { Timers } from "./channel.ts";
import { CLOCK_SKEW_MS, type Ack, type Target } from "./frame.ts";
import {
  messageOf,
  Outgoing,
  pendingOf,
  type Outcome,
  type OutgoingMessage,
  type Pending,
  type RetryTimes,
} from "./outgoing-stream.ts";
import { forgotten, late, stopped } from "./given-up.ts";
import type { DeliveryStore, Settlement, StoredDelivery } from "./store.ts";

/** Unsettled messages and bytes for one recipient; more are refused. */
export const MAX_QUEUED = 1024;
export const MAX_QUEUED_BYTES = 8 * 1024 * 1024;

/** Copies that relays are asked to keep: the first ones, and one more from time to time. */
const KEPT_COPIES = 2;
const KEEP_AGAIN_MS = 300_000;
/** Recipients whose turn comes this soon share a frame. */
const BUNDLE_MS = 60;
/** Between two looks of its own, also when the disk fails all the time. */
const SHORTEST_TURN_MS = 10;
/** Timers of most platforms cannot wait for weeks. */
const LONGEST_WAIT_MS = 3_600_000;
/** Pause after the disk refused to write. */
const DISK_RETRY_MS = 1000;

/** Puts a frame on the wire; `content` is empty in a question. Resolves with the number of neighbours that took it. */
export type Transmit = (frame: {
  readonly job: string | null;
  readonly targets: readonly Target[];
  readonly content: Uint8Array;
  readonly ephemeral: boolean;
}) => Promise<number>;

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

export interface OutboxCounters {
  /** Frames with content, and those of them that repeat it. */
  sent: number;
  repeated: number;
  probes: number;
}

/** Messages on their way: numbered, repeated until they are confirmed, given up after their deadline. */
export class Outbox {
  readonly counters: OutboxCounters = { sent: 0, repeated: 0, probes: 0 };
  readonly #o: OutboxOptions;
  readonly #streams = new Map<string, Outgoing>();
  /** Those of them that wait for something. */
  readonly #busy = new Set<Outgoing>();
  #cancel: (() => void) | undefined;
  #wakeMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: OutboxOptions) {
    this.#o = options;
  }

  /** Goes on with what an earlier run left. */
  resume({ outgoingStreams, outgoing }: StoredDelivery): void {
    for (const stream of outgoingStreams)
      this.#streams.set(keyOf(stream.job, stream.to), new Outgoing(stream, this.#o.retry, this.#o.random));
    for (const record of outgoing) {
      const { job, recipients } = record;
      const message = messageOf(record);
      for (const { to, seq } of recipients) {
        const done = (outcome: Outcome) => {
          if ("error" in outcome)
            this.#o.log.warn(
              { to, job, error: outcome.error.message },
              "a message of an earlier run was not delivered",
            );
        };
        this.#resumed(job, to, seq).add(pendingOf(message, seq, done));
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
    const record = { job, content, deadlineMs, acceptedMs: timers.nowMs() };
    const message = messageOf(record);
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
      for (const { stream, pending } of added) stream.remove(pending, timers.nowMs());
      throw cause;
    }
    for (const { pending } of added) {
      pending.settling = false;
      pending.dueMs = timers.nowMs();
    }
    this.#withdrawOn(signal, added, outcomes);
    this.#wakeAt(timers.nowMs());
    return outcomes;
  }

  /** What a recipient says about the messages of one stream. @throws NetworkError `BadReceipt`, `Malformed` */
  async hear(job: string | null, from: Hex, ack: Ack): Promise<void> {
    const stream = this.#streams.get(keyOf(job, from));
    const nowMs = this.#o.timers.nowMs();
    if (stream === undefined || this.#stopped || ack.session < stream.session) return;
    if (ack.session > stream.session) {
      if (ack.session > nowMs + CLOCK_SKEW_MS)
        throw new NetworkError("Malformed", `${from} claims a session that begins in the future`);
      return this.#renew(stream, ack.session + 1);
    }
    const receipts = stream.receiptsIn(ack, this.#o.self);
    stream.heard(ack, nowMs);
    const refused = ack.refused.flatMap(({ seq, reason }) => {
      const pending = stream.pending.get(seq);
      if (pending === undefined || pending.settling) return [];
      const error = new NetworkError("Rejected", `${from} refused the message: ${reason}`);
      return [{ pending, outcome: { error } }];
    });
    const received = receipts.map(({ pending, receipt }) => ({ pending, outcome: { receipt } }));
    await this.#settle(stream, [...received, ...refused]);
    this.#wakeAt(stream.nextDueMs());
  }

  /** Tries everything again soon: a relay or a member may be there again. */
  wake(): void {
    const nowMs = this.#o.timers.nowMs();
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

  /** The stream of a stored message; one whose row was damaged begins a new session. */
  #resumed(job: string | null, to: Hex, seq: number): Outgoing {
    const stream = this.#streams.get(keyOf(job, to)) ?? this.#begun(job, to);
    stream.next = Math.max(stream.next, seq + 1);
    this.#streams.set(keyOf(job, to), stream);
    this.#busy.add(stream);
    return stream;
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

  async #renew(stream: Outgoing, session: number): Promise<void> {
    const nowMs = this.#o.timers.nowMs();
    this.#o.log.info(
      { to: stream.to, job: stream.job, session },
      "the recipient knows a later session: going on there",
    );
    stream.renew(session, nowMs);
    // What is given up must leave the disk before the new session is there.
    this.#expire(stream, nowMs);
    this.#wakeAt(nowMs);
    await this.#o.store.saveOutgoingStream(stream.state(nowMs));
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
        pending.dueMs = timers.nowMs() + DISK_RETRY_MS;
      }
      return;
    }
    for (const { pending, outcome } of ended) {
      stream.remove(pending, timers.nowMs());
      pending.done(outcome);
    }
  }

  async #giveUp(stream: Outgoing, pending: Pending, error: Error): Promise<void> {
    if (pending.settling || stream.pending.get(pending.seq) !== pending || this.#stopped) return;
    await this.#settle(stream, [{ pending, outcome: { error } }]);
    // The recipient must not wait for a number that will not come.
    if (stream.pending.size > 0) stream.probeMs = this.#o.timers.nowMs();
    this.#wakeAt(stream.nextDueMs());
  }

  #wakeAt(ms: number): void {
    if (this.#stopped || ms >= this.#wakeMs) return;
    this.#cancel?.();
    this.#wakeMs = ms;
    const waitMs = Math.min(Math.max(0, ms - this.#o.timers.nowMs()), LONGEST_WAIT_MS);
    this.#cancel = this.#o.timers.after(waitMs, () => this.#turn());
  }

  /** Sends what is due and sets the timer for what comes next. */
  #turn(): void {
    this.#wakeMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#o.timers.nowMs();
    const frames = new Map<OutgoingMessage, { stream: Outgoing; pending: Pending }[]>();
    for (const stream of this.#busy) {
      if (stream.pending.size === 0) {
        this.#busy.delete(stream);
        continue;
      }
      this.#expire(stream, nowMs);
      if (!this.#o.isOpen(stream.job)) continue;
      for (const pending of stream.due(nowMs, BUNDLE_MS)) {
        const group = frames.get(pending.message) ?? [];
        frames.set(pending.message, group);
        group.push({ stream, pending });
      }
    }
    for (const [message, group] of frames)
      if (group.some(({ pending }) => pending.dueMs <= nowMs)) this.#send(message, group, nowMs);
    this.#probe(nowMs);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const stream of this.#busy)
      nextMs = Math.min(nextMs, this.#o.isOpen(stream.job) ? stream.nextDueMs() : firstDeadline(stream));
    this.#wakeAt(Math.max(nextMs, nowMs + SHORTEST_TURN_MS));
  }

  #expire(stream: Outgoing, nowMs: number): void {
    const gone = this.#o.hasLeft(stream.job, stream.to);
    for (const pending of stream.pending.values()) {
      if (pending.doubtful) void this.#giveUp(stream, pending, forgotten(stream.to));
      else if (gone || pending.message.deadlineMs <= nowMs) void this.#giveUp(stream, pending, late(stream.to, gone));
    }
  }

  #send(message: OutgoingMessage, group: { stream: Outgoing; pending: Pending }[], nowMs: number): void {
    this.counters.sent++;
    if (message.copies > 0) this.counters.repeated++;
    const ephemeral = message.copies >= KEPT_COPIES && nowMs < message.keptMs + KEEP_AGAIN_MS;
    if (!ephemeral) message.keptMs = nowMs;
    message.copies++;
    for (const { stream, pending } of group) stream.sent(pending, nowMs);
    const targets = group.map(({ stream, pending }) => targetOf(stream, pending.seq));
    this.#transmit({ job: message.job, targets, content: message.content, ephemeral }, () => {
      message.copies--;
    });
  }

  /** Asks recipients that have everything, but have not confirmed it. */
  #probe(nowMs: number): void {
    const asked = new Map<string, Outgoing[]>();
    for (const stream of this.#busy) {
      if (stream.probeMs > nowMs || !this.#o.isOpen(stream.job)) continue;
      stream.probed(nowMs);
      const lane = stream.job ?? stream.to;
      asked.set(lane, [...(asked.get(lane) ?? []), stream]);
    }
    for (const streams of asked.values()) {
      this.counters.probes++;
      const targets = streams.map((stream) => targetOf(stream, 0));
      this.#transmit({ job: streams[0]!.job, targets, content: new Uint8Array(), ephemeral: true }, () => undefined);
    }
  }

  #transmit(frame: Parameters<Transmit>[0], failed: () => void): void {
    const { transmit, log } = this.#o;
    const lost = (error: unknown) => {
      failed();
      const level = error instanceof SkyNetError ? "debug" : "warn";
      log[level]({ job: frame.job, error: reasonOf(error) }, "a frame was not sent; it will be repeated");
    };
    transmit(frame).then((neighbours) => {
      if (neighbours === 0) failed();
    }, lost);
  }
}

const keyOf = (job: string | null, to: Hex): string => `${job ?? ""} ${to}`;

const targetOf = (stream: Outgoing, seq: number): Target => ({
  to: stream.to,
  session: stream.session,
  seq,
  base: stream.base(),
});

const firstDeadline = ({ pending }: Outgoing): number =>
  Math.min(Number.POSITIVE_INFINITY, ...[...pending.values()].map(({ message }) => message.deadlineMs));

/** The callers are told; the messages stay as they are. */
function detach(stream: Outgoing): void {
  for (const pending of stream.pending.values()) pending.done({ error: stopped() });
}
