import type { Stream } from "@libp2p/interface";
import type { Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import type { ConnectOptions } from "../host/connect.ts";
import { frame, type FramedStream } from "../host/framed-stream.ts";
import { deadlineSignal } from "../timing/delay.ts";
import {
  ANSWER_HEAD_BYTES,
  BLOCK_PROTOCOL,
  BLOCK_STATUS,
  encodeBlockRequest,
  MAX_PART_BYTES,
  MAX_WAITING_REQUESTS,
  parseAnswerHead,
  type PartRequest,
} from "./block-messages.ts";
import { createInFlightWindow, type InFlightWindow } from "./in-flight-window.ts";
import type { Pace } from "./pace.ts";

/** A part of a block that is wanted from a peer. */
export interface Part {
  readonly cid: string;
  readonly from: number;
  readonly length: number;
  /** The block may end before: its size is not known. */
  readonly open: boolean;
  /** Where the bytes go, told the size of the block; undefined throws them away. */
  readonly target: (size: number) => Uint8Array | undefined;
  readonly onBytes: (count: number) => void;
}

/** The stream to one peer over which all its blocks come. */
export interface BlockLink {
  /** How many bytes may be under way, and how many are or wait to be. */
  readonly window: InFlightWindow;
  readonly backlogBytes: number;
  /**
   * Gets a part. @returns the size of the block, or undefined when `signal` aborted
   * @throws NetworkError `Refused`, `NotFound`, `Malformed`, `Unreachable`, `Stalled`
   */
  get(part: Part, options: { signal: AbortSignal; silenceMs: number }): Promise<number | undefined>;
}

export interface BlockLinkOptions {
  readonly peer: Hex;
  readonly openStream: (peer: Hex, protocol: string, options: ConnectOptions) => Promise<Stream>;
  /** Limits what all links of the host receive together. */
  readonly down: Pace;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly clock: () => number;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
  /** A link without requests closes its stream after this time, milliseconds (60,000). */
  readonly idleMs?: number | undefined;
  /** Told then. */
  readonly onIdle?: (() => void) | undefined;
}

interface Request extends PromiseWithResolvers<number | undefined> {
  readonly part: Part;
  readonly silenceMs: number;
  stopped: boolean;
  id: number;
  sentMs: number;
  /** Bytes that the limit has counted for it; what comes beyond is counted when it is here. */
  charged: number;
  /** Bytes of its answer that are here. */
  arrived: number;
  /** Nothing else was under way when it was sent. */
  alone: boolean;
}

const OPEN_TIMEOUT_MS = 15_000;
/** Opening a stream anew costs one round trip. */
const IDLE_MS = 60_000;
/** What an answer of unknown length is taken to have before the first one. */
const USUAL_BYTES = 16 * 1024;

export const createBlockLink = (options: BlockLinkOptions): BlockLink => new StreamLink(options);

class StreamLink implements BlockLink {
  readonly window = createInFlightWindow();
  readonly #o: BlockLinkOptions;
  readonly #waiting: Request[] = [];
  /** Answers come in the order of the requests. */
  readonly #sent: Request[] = [];
  #stream: FramedStream | undefined;
  #underWay = 0;
  #lastId = 0;
  #sending = false;
  #heardMs = 0;
  /** Runs while a stream is open: until the peer was silent for too long, or nothing was asked for a while. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What answers of unknown length had of late. */
  #usualBytes = USUAL_BYTES;

  constructor(options: BlockLinkOptions) {
    this.#o = options;
  }

  get #idleMs(): number {
    return this.#o.idleMs ?? IDLE_MS;
  }

  get backlogBytes(): number {
    return this.#underWay + lengthOf(this.#waiting);
  }

  async get(part: Part, { signal, silenceMs }: { signal: AbortSignal; silenceMs: number }) {
    if (signal.aborted) return undefined;
    const settled = Promise.withResolvers<number | undefined>();
    const request: Request = {
      ...settled,
      part,
      silenceMs,
      stopped: false,
      id: 0,
      sentMs: 0,
      charged: 0,
      arrived: 0,
      alone: false,
    };
    const stop = () => this.#stop(request);
    signal.addEventListener("abort", stop, { once: true });
    this.#waiting.push(request);
    void this.#pump();
    try {
      return await request.promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #stop(request: Request): void {
    request.stopped = true;
    const at = this.#waiting.indexOf(request);
    if (at >= 0) this.#waiting.splice(at, 1);
    else if (this.#stream !== undefined && this.#sent.includes(request))
      this.#stream.write(encodeBlockRequest({ t: "stop", id: request.id })).catch(() => undefined);
    request.resolve(undefined);
  }

  /** Sends what the window allows; one call at a time does the work. */
  async #pump(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#waiting.length > 0 && this.#sent.length < MAX_WAITING_REQUESTS) {
        const [next] = this.#waiting as [Request];
        if (this.#sent.length > 0 && this.#underWay + next.part.length > this.window.bytes) return;
        this.#stream ??= await this.#open();
        if (this.#waiting.length === 0) return this.#watch(this.#stream, this.#idleMs);
        const turn = this.#charge(next);
        if (turn !== undefined) await turn;
        // Both may have gone while we waited.
        if (this.#stream !== undefined && this.#waiting[0] === next)
          await this.#send(this.#stream, this.#waiting.shift()!);
        else this.#o.down.settle(-next.charged);
      }
    } catch (error) {
      // A stream that takes no more requests may still hold answers: its reader comes to the end of them, and to this.
      if (this.#stream === undefined) this.#fail(error);
      else this.#stream.abort(failureOf(error, this.#o.peer));
    } finally {
      this.#sending = false;
    }
  }

  async #open(): Promise<FramedStream> {
    const { peer, openStream, signal } = this.#o;
    const unreachable = () => new NetworkError("Unreachable", `${peer} does not answer`);
    const deadline = deadlineSignal(OPEN_TIMEOUT_MS, unreachable, signal);
    try {
      const opened = frame(await openStream(peer, BLOCK_PROTOCOL, { signal: deadline.signal }));
      void this.#readAnswers(opened);
      return opened;
    } finally {
      deadline.clear();
    }
  }

  /** Waits until the limit allows a request's answer. */
  #charge(request: Request): Promise<void> | void {
    const { length, open: unknown } = request.part;
    request.charged = unknown ? Math.min(length, this.#usualBytes) : length;
    return this.#o.down.take(request.charged, this.#o.signal);
  }

  #settle({ part: { open: unknown }, charged, stopped }: Request, bytes: number): void {
    this.#o.down.settle(bytes - charged);
    if (unknown && !stopped) this.#usualBytes = 0.7 * this.#usualBytes + 0.3 * bytes;
  }

  async #send(stream: FramedStream, request: Request): Promise<void> {
    this.#lastId = (this.#lastId + 1) >>> 0;
    request.id = this.#lastId;
    request.alone = this.#sent.length === 0;
    request.sentMs = this.#o.clock();
    if (request.alone) this.#heardMs = request.sentMs;
    this.#sent.push(request);
    if (request.alone) this.#watch(stream, request.silenceMs);
    this.#underWay += request.part.length;
    await stream.write(encodeBlockRequest(messageOf(request)));
  }

  #fail(error: unknown): void {
    const failure = failureOf(error, this.#o.peer);
    clearTimeout(this.#timer);
    this.#stream?.abort(failure);
    this.#stream = undefined;
    this.#underWay = 0;
    this.window.idle();
    const sent = this.#sent.splice(0);
    for (const request of sent) {
      // What will not come may come from somebody else. What is still read of an answer is counted at its end.
      this.#o.down.settle(request.arrived - request.charged);
      request.charged = request.arrived;
    }
    for (const request of [...sent, ...this.#waiting.splice(0)]) request.reject(failure);
  }

  async #readAnswers(stream: FramedStream): Promise<void> {
    try {
      while (await this.#readAnswer(stream));
      if (this.#stream === stream) this.#fail(new NetworkError("Unreachable", `${this.#o.peer} closed the stream`));
    } catch (error) {
      if (this.#stream === stream) this.#fail(error);
      else stream.abort(error as Error);
    }
  }

  /** Looks again after `ms` whether the peer is silent for too long, or the stream is of no use. */
  #watch(stream: FramedStream, ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(stream), ms);
  }

  #check(stream: FramedStream): void {
    if (this.#stream !== stream) return;
    const [oldest] = this.#sent;
    if (oldest === undefined) return void this.#close(stream);
    const leftMs = oldest.silenceMs - (this.#o.clock() - this.#heardMs);
    if (leftMs > 0) return this.#watch(stream, leftMs);
    const seconds = oldest.silenceMs / 1000;
    this.#fail(new NetworkError("Stalled", `${this.#o.peer} sent nothing for ${seconds} s`));
  }

  /** The next request opens another one. */
  #close(stream: FramedStream): void {
    if (this.#waiting.length > 0) return this.#watch(stream, this.#idleMs);
    this.#stream = undefined;
    stream.close().catch((error: unknown) => stream.abort(error as Error));
    this.#o.onIdle?.();
  }

  /** @returns false when there will be no other answer */
  async #readAnswer(stream: FramedStream): Promise<boolean> {
    const length = await stream.readLength(MAX_PART_BYTES + ANSWER_HEAD_BYTES);
    if (length === undefined) return false;
    const [request] = this.#sent;
    if (request === undefined || this.#stream !== stream)
      throw new NetworkError("Malformed", "an answer without a request");
    const size = await this.#readBody(stream, request, length);
    this.#settle(request, Math.max(0, length - ANSWER_HEAD_BYTES));
    // It may have failed meanwhile, with what had come already left to read.
    if (this.#stream !== stream) return false;
    this.#sent.shift();
    request.resolve(request.stopped ? undefined : size);
    const [next] = this.#sent;
    if (next === undefined) this.window.idle();
    if (next?.silenceMs !== request.silenceMs) this.#watch(stream, next?.silenceMs ?? this.#idleMs);
    this.#underWay = lengthOf(this.#sent);
    void this.#pump();
    return true;
  }

  /** Reads an answer after its length. @returns the size of the block, if the peer gave it */
  async #readBody(stream: FramedStream, request: Request, length: number): Promise<number | undefined> {
    const head = new Uint8Array(ANSWER_HEAD_BYTES);
    await stream.readInto(head);
    this.#hear();
    if (request.alone) this.window.answeredIn(this.#heardMs - request.sentMs);
    const partBytes = length - head.length;
    let size: number | undefined;
    try {
      const answer = parseAnswerHead(head, messageOf(request), partBytes, this.#o.peer);
      size = answer.status === BLOCK_STATUS.stopped ? undefined : answer.size;
      if (partBytes > 0) await this.#readPart(stream, request, answer.size, partBytes);
    } catch (error) {
      if (!(error instanceof NetworkError) || !["Refused", "NotFound"].includes(error.code)) throw error;
      request.reject(error);
    }
    return size;
  }

  async #readPart(stream: FramedStream, request: Request, size: number, count: number): Promise<void> {
    const target = (request.stopped ? undefined : request.part.target(size)) ?? new Uint8Array(count);
    await stream.readInto(target.subarray(0, count), (bytes) => {
      this.#hear();
      this.#underWay -= bytes;
      request.arrived += bytes;
      this.window.arrived(bytes, this.#heardMs);
      if (!request.stopped) request.part.onBytes(bytes);
      void this.#pump();
    });
  }

  #hear(): void {
    this.#heardMs = this.#o.clock();
  }
}

const failureOf = (error: unknown, peer: Hex): NetworkError =>
  error instanceof NetworkError
    ? error
    : new NetworkError("Unreachable", `the stream to ${peer} failed`, { cause: error });

const messageOf = ({ id, part: { cid, from, length } }: Request): PartRequest => ({ t: "get", id, cid, from, length });

const lengthOf = (requests: readonly Request[]): number => requests.reduce((sum, { part }) => sum + part.length, 0);
