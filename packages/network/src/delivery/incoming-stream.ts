import type { Hex } from "@skynet/protocol";
import { heldBits, hashOf, WINDOW, type Ack, type Target } from "./frame.ts";
import { MAX_CONFIRMED, signConfirmation } from "./receipt.ts";
import type { Handled, IncomingStream } from "./store.ts";
import type { Identity } from "../identity/identity.ts";

/** Bytes of one sender that wait for a gap to close; the rest is dropped and sent again. */
export const MAX_HELD_BYTES = 1024 * 1024;

/** A message that is here and not handled yet. */
export interface Held {
  readonly content: Uint8Array;
  readonly hash: Uint8Array;
}

/** The numbered messages of one sender for this node, in one job or outside jobs. */
export class Incoming {
  readonly job: string | null;
  readonly from: Hex;
  session: number;
  /** Latest session of which a message was given to the handler. */
  lastHandled = -1;
  upTo = 0;
  base = 1;
  /** When the sender was last heard, on the monotonic clock. */
  lastMs = 0;
  /** A message is being handled. */
  running = false;
  readonly #held = new Map<number, Held>();
  heldBytes = 0;
  /** Results that the sender may not know. */
  #handled: Handled[] = [];

  /** `floor`: messages of earlier sessions may have been handled by who has forgotten it, so they are outdated. */
  constructor(job: string | null, from: Hex, floor = 0) {
    this.job = job;
    this.from = from;
    this.session = floor;
  }

  restore({ session, upTo, base, handled }: IncomingStream & { readonly handled: readonly Handled[] }): void {
    Object.assign(this, { session, upTo, base, lastHandled: session });
    this.#handled = [...handled];
  }

  /**
   * Takes note of what a frame says and keeps its message. Of messages that are not next, at most `roomBytes` are held.
   * @returns whether the message was new and there is room for it
   */
  take(
    { session, seq, base }: Target,
    content: Uint8Array,
    roomBytes = MAX_HELD_BYTES,
  ): "new" | "known" | "outdated" | "noRoom" {
    if (session < this.session) return "outdated";
    if (session > this.session) this.#begin(session, base);
    this.#skipTo(base);
    if (seq === 0 || seq <= this.upTo || this.#held.has(seq)) return "known";
    const tooMuch = seq !== this.upTo + 1 && this.heldBytes + content.length > Math.min(roomBytes, MAX_HELD_BYTES);
    // From `base` on, not from what was handled: results are kept until the sender has settled them.
    if (seq >= this.base + WINDOW || tooMuch) return "noRoom";
    this.#held.set(seq, { content, hash: hashOf(content) });
    this.heldBytes += content.length;
    return "new";
  }

  /** The next message in order, if it is here. */
  nextHeld(): ({ readonly seq: number } & Held) | undefined {
    const seq = this.upTo + 1;
    const held = this.#held.get(seq);
    return held && { seq, ...held };
  }

  /** The stream as it is on disk once this message is settled. */
  stateAfter(seq: number, atMs: number): IncomingStream {
    const { job, from, session, base } = this;
    return { job, from, session, upTo: seq, base, atMs };
  }

  settled(session: number, handled: Handled): void {
    if (session !== this.session) return;
    this.#drop(handled.seq);
    if (handled.seq <= this.upTo) return;
    this.upTo = handled.seq;
    this.#handled.push(handled);
  }

  /** Acknowledgements of everything that the sender may not know, each signed. */
  acks(self: Identity, orderOf: () => number): Ack[] {
    const { job, from, session, upTo } = this;
    const stream = { job, sender: from, session };
    const all: Ack[] = [];
    const held = heldBits(upTo, this.#held.keys());
    for (let i = 0; i === 0 || i < this.#handled.length; i += MAX_CONFIRMED) {
      const part = this.#handled.slice(i, i + MAX_CONFIRMED);
      const got = part.flatMap(({ seq, hash, refused }) => (refused === null ? [{ seq, hash }] : []));
      const refused = part.flatMap(({ seq, refused: reason }) => (reason === null ? [] : [{ seq, reason }]));
      const signature = got.length === 0 ? new Uint8Array() : signConfirmation(stream, got, self);
      all.push({ to: from, session, order: orderOf(), upTo, held, got, signature, refused });
    }
    return all;
  }

  isIdle(): boolean {
    return !this.running && this.#held.size === 0;
  }

  /** A session that is new here: the sender's first, or one after it, or we, lost a disk. */
  #begin(session: number, base: number): void {
    this.session = session;
    this.upTo = base - 1;
    this.base = base;
    this.#handled = [];
    this.#held.clear();
    this.heldBytes = 0;
  }

  /** The sender waits for nothing below `base`, whether we got it or not. */
  #skipTo(base: number): void {
    if (base <= this.base) return;
    this.base = base;
    this.upTo = Math.max(this.upTo, base - 1);
    this.#handled = this.#handled.filter(({ seq }) => seq >= base);
    for (const seq of this.#held.keys()) if (seq < base) this.#drop(seq);
  }

  #drop(seq: number): void {
    this.heldBytes -= this.#held.get(seq)?.content.length ?? 0;
    this.#held.delete(seq);
  }
}
