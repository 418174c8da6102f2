// Inputs of paid answers, from their requesters. A requester chooses when its node answers, so waiting for one must cost
// the others nothing.
import { fetchBlock, NetworkError, type Host, type Partials } from "@skynet/network";
import { InvalidInputError, type Hex } from "@skynet/protocol";
import type { MarketOffer } from "../market/listings.ts";

export interface AnswerRequest {
  readonly offer: MarketOffer;
  readonly requester: Hex;
  /** Where the input is, as the requester says. */
  readonly xRef: Uint8Array;
}

/** A request whose input is here. */
export interface ReadyRequest extends AnswerRequest {
  readonly orderId: Hex;
  readonly sealed: Uint8Array;
}

export interface Failure {
  /** An earlier failure of the same request was reported. */
  readonly again: boolean;
  /** It is not tried again. */
  readonly final: boolean;
}

export interface InputQueueOptions {
  readonly host: Host;
  /** A requester that is slow gets on with every attempt. */
  readonly partials: Partials;
  /** Whether an order still waits for its answer; asked before its input is fetched. */
  readonly isOpen: (orderId: Hex, request: AnswerRequest) => Promise<boolean>;
  readonly onFailure: (orderId: Hex, error: unknown, failure: Failure) => void;
  readonly signal: AbortSignal;
}

interface Entry extends AnswerRequest {
  fetching: boolean;
  sealed: Uint8Array | undefined;
  failures: number;
  /** Not tried before. */
  fromMs: number;
}

/** Longest time for one attempt, and longest silence of a peer that has accepted the stream. */
const FETCH_MS = 10_000;
const SILENCE_MS = 8000;
/** Inputs that are fetched or held at once; one is 4 MiB at most. */
const MAX_INPUTS = 32;
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;

/**
 * Requests, oldest first, and their inputs. Inputs are fetched at the same time, one of each requester; after a failure
 * of any kind a request waits, each time twice as long, and those that never failed come before it.
 */
export class InputQueue {
  readonly #o: InputQueueOptions;
  readonly #entries = new Map<Hex, Entry>();

  constructor(options: InputQueueOptions) {
    this.#o = options;
  }

  add(orderId: Hex, request: AnswerRequest): void {
    this.#entries.set(orderId, { ...request, fetching: false, sealed: undefined, failures: 0, fromMs: 0 });
  }

  /** The oldest request whose input is here; it stays until `done` or `failed`. */
  oldest(): ReadyRequest | undefined {
    for (const [orderId, { offer, requester, xRef, sealed }] of this.#entries)
      if (sealed !== undefined) return { orderId, offer, requester, xRef, sealed };
    return undefined;
  }

  done(orderId: Hex): void {
    this.#entries.delete(orderId);
  }

  /** What a requester committed to cannot become another input, so a bad one is final; the rest is tried again later. */
  failed(orderId: Hex, error: unknown): void {
    const entry = this.#entries.get(orderId);
    if (entry === undefined) return;
    const final = error instanceof InvalidInputError;
    if (final) this.#entries.delete(orderId);
    this.#o.onFailure(orderId, error, { again: entry.failures > 0, final });
    entry.sealed = undefined;
    entry.fromMs = Date.now() + Math.min(FIRST_PAUSE_MS * 2 ** entry.failures, MAX_PAUSE_MS);
    entry.failures += 1;
  }

  /** Begins to fetch what the bounds allow. */
  fetchMore(): void {
    const nowMs = Date.now();
    const entries = [...this.#entries];
    const busy = new Set(entries.flatMap(([, { fetching, requester }]) => (fetching ? [requester] : [])));
    let room = MAX_INPUTS - entries.filter(([, { fetching, sealed }]) => fetching || sealed !== undefined).length;
    const waiting = entries
      .filter(([, { fetching, sealed, fromMs }]) => !fetching && sealed === undefined && fromMs <= nowMs)
      .toSorted(([, a], [, b]) => a.failures - b.failures);
    for (const [orderId, entry] of waiting) {
      if (room <= 0) return;
      if (busy.has(entry.requester)) continue;
      busy.add(entry.requester);
      room -= 1;
      void this.#fetch(orderId, entry);
    }
  }

  async #fetch(orderId: Hex, entry: Entry): Promise<void> {
    const { isOpen, signal } = this.#o;
    entry.fetching = true;
    try {
      if (await isOpen(orderId, entry)) entry.sealed = await this.#sealedInput(entry);
      else this.done(orderId);
    } catch (error) {
      if (!signal.aborted) this.failed(orderId, error);
    } finally {
      entry.fetching = false;
    }
    if (!signal.aborted) this.fetchMore();
  }

  /** @throws NetworkError; InvalidInputError `BadCid` */
  async #sealedInput({ requester, xRef }: AnswerRequest): Promise<Uint8Array> {
    const { host, partials, signal } = this.#o;
    const cid = new TextDecoder().decode(xRef);
    const late = AbortSignal.timeout(FETCH_MS);
    try {
      return await fetchBlock(host, requester, cid, {
        signal: AbortSignal.any([signal, late]),
        silenceMs: SILENCE_MS,
        partials,
      });
    } catch (error) {
      if (error !== late.reason) throw error;
      throw new NetworkError("Stalled", `${requester} did not hand over its input within ${FETCH_MS / 1000} s`);
    }
  }
}
