import { equalBytes, type Hex } from "@skynet/protocol";
import { backoffMs, type RandomNumber } from "../timing/delay.ts";
import { NetworkError } from "../errors.ts";
import { FORGET_MS, hashOf, highestHeld, isHeld, WINDOW, type Ack } from "./frame.ts";
import { openConfirmation, type DeliveryReceipt } from "./receipt.ts";
import type { OutgoingRecord, OutgoingStream } from "./store.ts";

/** A message that was accepted and is not settled for every recipient. */
export interface OutgoingMessage {
  readonly job: string | null;
  readonly content: Uint8Array;
  readonly hash: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** On the monotonic clock: what happens to its age must not depend on who sets the machine's time. */
  readonly acceptedMs: number;
  /** When relays were last asked to keep a copy, on the monotonic clock. */
  keptMs: number;
  copies: number;
}

export type Outcome = { readonly receipt: DeliveryReceipt } | { readonly error: Error };

/** One moment on both clocks. */
export interface Now {
  /** Since the epoch: for deadlines and whatever is stored. */
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** A message on its way to one recipient; times are on the monotonic clock. */
export interface Pending {
  readonly message: OutgoingMessage;
  readonly seq: number;
  readonly done: (outcome: Outcome) => void;
  attempts: number;
  sentMs: number;
  dueMs: number;
  /** The disk has refused its outcome: not tried again before. */
  restMs: number;
  /** The recipient has it and works on it: nothing is sent again, only asked. */
  held: boolean;
  /** It, or its outcome, is being written to the disk. */
  settling: boolean;
  /** The recipient has told its outcome. */
  answered: boolean;
  /** The recipient may have handled it, and has forgotten that: sent again it might be handled twice. */
  doubtful: boolean;
}

export function messageOf(
  { job, content, deadlineMs, acceptedMs }: Omit<OutgoingRecord, "recipients">,
  { wallMs, monotonicMs }: Now,
): OutgoingMessage {
  // Accepted in the future: the clock was set back since, and nobody knows when that was.
  const ageMs = acceptedMs <= wallMs ? wallMs - acceptedMs : Number.POSITIVE_INFINITY;
  return { job, content, hash: hashOf(content), deadlineMs, acceptedMs: monotonicMs - ageMs, keptMs: 0, copies: 0 };
}

export const pendingOf = (message: OutgoingMessage, seq: number, done: Pending["done"]): Pending => ({
  message,
  seq,
  done,
  attempts: 0,
  sentMs: 0,
  dueMs: 0,
  restMs: 0,
  held: false,
  settling: false,
  answered: false,
  doubtful: false,
});

export interface RetryTimes {
  /** Pause before the first repetition, milliseconds (500). It doubles, with jitter, up to `mostMs`. */
  readonly firstMs: number;
  /** Longest pause between two repetitions, milliseconds (15,000). */
  readonly mostMs: number;
}

/** Messages that overtake each other arrive within this time. */
const REORDER_MS = 100;

/** The numbered messages of this node for one recipient, in one job or outside jobs. */
export class Outgoing {
  readonly job: string | null;
  readonly to: Hex;
  session: number;
  next: number;
  publicKey: Uint8Array;
  /** Last message, since the epoch. */
  lastMs: number;
  /** A later session is being written to the disk: nothing is sent. */
  renewing = false;
  /** In the order of their numbers. */
  readonly pending = new Map<number, Pending>();
  bytes = 0;
  /** When the recipient is asked what it has, on the monotonic clock; as all times of the methods unless stated. */
  probeMs = Number.POSITIVE_INFINITY;
  #probes = 0;
  #lastOrder = 0;
  #lastUpTo = 0;
  readonly #retry: RetryTimes;
  readonly #random: RandomNumber;

  constructor(stream: OutgoingStream, retry: RetryTimes, random: RandomNumber) {
    ({ job: this.job, to: this.to, session: this.session, next: this.next, publicKey: this.publicKey } = stream);
    this.lastMs = stream.atMs;
    this.#retry = retry;
    this.#random = random;
  }

  /** Everything below is settled: a recipient need not wait for it. */
  base(): number {
    for (const seq of this.pending.keys()) return seq;
    return this.next;
  }

  state(atMs: number): OutgoingStream {
    this.lastMs = atMs;
    const { job, to, session, next, publicKey } = this;
    return { job, to, session, next, publicKey, atMs };
  }

  add(pending: Pending): void {
    this.pending.set(pending.seq, pending);
    this.bytes += pending.message.content.length;
  }

  remove(pending: Pending, nowMs: number): void {
    const before = this.base();
    if (!this.pending.delete(pending.seq)) return;
    this.bytes -= pending.message.content.length;
    // A recipient that waits for a number that will not come is told soon.
    if (this.pending.size === 0) this.probeMs = Number.POSITIVE_INFINITY;
    else if (this.base() > before + 1) this.probeMs = nowMs;
  }

  /** Messages whose turn it is within the next `slackMs`. */
  due(nowMs: number, slackMs: number): Pending[] {
    if (this.renewing) return [];
    const end = this.base() + WINDOW;
    return [...this.pending.values()].filter(
      ({ seq, held, settling, doubtful, dueMs }) =>
        seq < end && !held && !settling && !doubtful && dueMs <= nowMs + slackMs,
    );
  }

  /** When something is to be done next. `open`: messages may be sent, not only given up. */
  nextDueMs({ wallMs, monotonicMs }: Now, open: boolean): number {
    if (this.renewing) return Number.POSITIVE_INFINITY;
    const end = this.base() + WINDOW;
    let first = open ? this.probeMs : Number.POSITIVE_INFINITY;
    for (const { seq, held, settling, doubtful, dueMs, restMs, message } of this.pending.values()) {
      if (settling) continue;
      if (open && seq < end && !held && !doubtful) first = Math.min(first, dueMs);
      first = Math.min(first, doubtful ? restMs : Math.max(restMs, monotonicMs + message.deadlineMs - wallMs));
    }
    return first;
  }

  sent(pending: Pending, nowMs: number): void {
    pending.sentMs = nowMs;
    pending.dueMs = nowMs + this.#backoff(pending.attempts++);
    this.probed(nowMs);
  }

  /** Whatever is addressed to the recipient asks it for an acknowledgement too. */
  probed(nowMs: number): void {
    if (this.probeMs <= nowMs) this.probeMs = nowMs + this.#backoff(this.#probes++);
  }

  /** The recipient may be there again. */
  wake(nowMs: number): void {
    for (const pending of this.pending.values()) {
      if (pending.held) this.probeMs = nowMs;
      else pending.dueMs = Math.min(pending.dueMs, nowMs + this.#random() * REORDER_MS);
      pending.attempts = Math.min(pending.attempts, 1);
    }
    this.#probes = 0;
  }

  /**
   * Receipts of messages that are still open.
   * @throws NetworkError `BadReceipt` when the recipient did not sign it, or signed another content
   */
  receiptsIn(ack: Ack, sender: Hex): { pending: Pending; receipt: DeliveryReceipt }[] {
    const open = ack.got.flatMap(({ seq, hash }, index) => {
      const pending = this.pending.get(seq);
      return pending === undefined || pending.settling ? [] : [{ pending, hash, index }];
    });
    if (open.length === 0) return [];
    const stream = { job: this.job, sender, session: ack.session };
    const receiptOf = openConfirmation(stream, ack.got, ack.signature, this.to);
    return open.map(({ pending, hash, index }) => {
      if (!equalBytes(hash, pending.message.hash))
        throw new NetworkError("BadReceipt", `${this.to} confirms another content as message ${pending.seq}`);
      return { pending, receipt: receiptOf(index) };
    });
  }

  /** Learns from an acknowledgement what is missing. */
  heard(ack: Ack, nowMs: number): void {
    if (ack.order <= this.#lastOrder) return;
    this.#lastOrder = ack.order;
    if (ack.upTo > this.#lastUpTo) this.#probes = 0;
    this.#lastUpTo = ack.upTo;
    const highest = highestHeld(ack);
    let waiting = false;
    for (const pending of this.pending.values()) {
      const { seq, settling, attempts } = pending;
      if (settling || attempts === 0) continue;
      const had = pending.held;
      pending.held = seq <= ack.upTo || isHeld(ack, seq);
      waiting ||= pending.held;
      if (pending.held) continue;
      const missing = had || (seq < highest && nowMs - pending.sentMs > REORDER_MS);
      pending.attempts = 1;
      pending.dueMs = missing ? nowMs : Math.min(pending.dueMs, pending.sentMs + this.#backoff(0));
    }
    if (this.pending.size > 0 && this.base() > ack.upTo + 1) this.probeMs = nowMs;
    else this.probeMs = waiting ? nowMs + 2 * this.#backoff(this.#probes++) : Number.POSITIVE_INFINITY;
  }

  /**
   * The recipient takes later sessions only: this node has lost its disk, or the recipient has forgotten it. Whoever
   * forgets has not heard us for an hour, so what is younger was not handled before; half of that leaves room for
   * messages on their way.
   * @returns what must not go out in a later session
   */
  doubt(nowMs: number): Pending[] {
    return [...this.pending.values()].filter((pending) => {
      pending.doubtful ||= pending.answered || pending.message.acceptedMs <= nowMs - FORGET_MS / 2;
      return pending.doubtful;
    });
  }

  /** Goes on in a session that is on the disk. */
  renew(session: number, nowMs: number): void {
    this.session = session;
    for (const pending of this.pending.values()) {
      pending.held = false;
      pending.dueMs = nowMs;
    }
  }

  #backoff(attempt: number): number {
    return backoffMs(Math.min(attempt, 16), this.#retry.firstMs, this.#retry.mostMs, this.#random);
  }
}
