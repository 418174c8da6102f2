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
  readonly clock: () => number;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
}

interface Request extends PromiseWithResolvers<number | undefined> {
  readonly part: Part;
  readonly silenceMs: number;
  stopped: boolean;
  id: number;
  sentMs: number;
  /** Bytes that the limit has counted for it. */
  charged: number;
  /** Nothing else was under way when it was sent. */
  alone: boolean;
}

const OPEN_TIMEOUT_MS = 15_000;
/** What an answer of unknown length is taken to have before the first one. */
const USUAL_BYTES = 16 * 1024;

export function createBlockLink(options: BlockLinkOptions): BlockLink {
  const { peer, clock } = options;
  const window = createInFlightWindow();
  const waiting: Request[] = [];
  const sent: Request[] = [];
  let stream: FramedStream | undefined;
  let underWay = 0;
  let lastId = 0;
  let sending = false;
  let heardMs = 0;
  /** What answers of unknown length had of late. */
  let usualBytes = USUAL_BYTES;

  const send = async (open: FramedStream, request: Request): Promise<void> => {
    const { cid, from, length } = request.part;
    lastId = (lastId + 1) >>> 0;
    request.id = lastId;
    request.alone = sent.length === 0;
    request.sentMs = clock();
    if (request.alone) heardMs = request.sentMs;
    sent.push(request);
    underWay += length;
    await open.write(encodeBlockRequest({ t: "get", id: request.id, cid, from, length }));
  };
  /** Sends what the window allows; one call at a time does the work. */
  const pump = async (): Promise<void> => {
    if (sending) return;
    sending = true;
    try {
      while (waiting.length > 0 && sent.length < MAX_WAITING_REQUESTS) {
        const [next] = waiting as [Request];
        const { length, open: unknown } = next.part;
        if (sent.length > 0 && underWay + length > window.bytes) return;
        stream ??= await open();
        if (waiting.length === 0) return;
        // What comes beyond is counted when it is here, and the next one waits for it.
        next.charged = unknown ? Math.min(length, usualBytes) : length;
        const turn = options.down.take(next.charged, options.signal);
        if (turn !== undefined) await turn;
        // Both may have gone while we waited.
        if (stream !== undefined && waiting[0] === next) await send(stream, waiting.shift()!);
        else options.down.settle(-next.charged);
      }
    } catch (error) {
      fail(error);
    } finally {
      sending = false;
    }
  };
  const fail = (error: unknown): void => {
    const failure =
      error instanceof NetworkError
        ? error
        : new NetworkError("Unreachable", `the stream to ${peer} failed`, { cause: error });
    stream?.abort(failure);
    stream = undefined;
    underWay = 0;
    window.idle();
    for (const request of [...sent.splice(0), ...waiting.splice(0)]) request.reject(failure);
  };
  const open = async (): Promise<FramedStream> => {
    const unreachable = () => new NetworkError("Unreachable", `${peer} does not answer`);
    const deadline = deadlineSignal(OPEN_TIMEOUT_MS, unreachable, options.signal);
    try {
      const opened = frame(await options.openStream(peer, BLOCK_PROTOCOL, { signal: deadline.signal }));
      void readAnswers(opened);
      return opened;
    } finally {
      deadline.clear();
    }
  };
  const readAnswers = async (open: FramedStream): Promise<void> => {
    const silence = setInterval(() => {
      const oldest = sent[0];
      if (oldest !== undefined && clock() - heardMs > oldest.silenceMs) {
        const stalled = new NetworkError("Stalled", `${peer} sent nothing for ${oldest.silenceMs / 1000} s`);
        if (stream === open) fail(stalled);
      }
    }, 50);
    try {
      while (await readAnswer(open));
      if (stream === open) fail(new NetworkError("Unreachable", `${peer} closed the stream`));
    } catch (error) {
      if (stream === open) fail(error);
      else open.abort(error as Error);
    } finally {
      clearInterval(silence);
    }
  };
  const readAnswer = async (open: FramedStream): Promise<boolean> => {
    const length = await open.readLength(MAX_PART_BYTES + ANSWER_HEAD_BYTES);
    if (length === undefined) return false;
    const request = sent[0];
    if (request === undefined || stream !== open) throw new NetworkError("Malformed", "an answer without a request");
    const head = new Uint8Array(ANSWER_HEAD_BYTES);
    await open.readInto(head);
    hear();
    if (request.alone) window.answeredIn(heardMs - request.sentMs);
    let size: number | undefined;
    try {
      const answer = parseAnswerHead(head, asked(request), length - head.length, peer);
      size = answer.status === BLOCK_STATUS.stopped ? undefined : answer.size;
      if (length > head.length) await readPart(open, request, answer.size, length - head.length);
    } catch (error) {
      if (!(error instanceof NetworkError) || !["Refused", "NotFound"].includes(error.code)) throw error;
      request.reject(error);
    }
    settle(request, Math.max(0, length - head.length));
    // It may have failed meanwhile, with what had come already left to read.
    if (stream !== open) return false;
    sent.shift();
    request.resolve(request.stopped ? undefined : size);
    if (sent.length === 0) window.idle();
    underWay = sent.reduce((sum, { part }) => sum + part.length, 0);
    void pump();
    return true;
  };
  const settle = ({ part: { open: unknown }, charged, stopped }: Request, bytes: number) => {
    options.down.settle(bytes - charged);
    if (unknown && !stopped) usualBytes = 0.7 * usualBytes + 0.3 * bytes;
  };
  const asked = ({ id, part: { cid, from, length } }: Request): PartRequest => ({ t: "get", id, cid, from, length });
  const hear = () => {
    heardMs = clock();
  };
  const readPart = async (open: FramedStream, request: Request, size: number, count: number): Promise<void> => {
    const target = (request.stopped ? undefined : request.part.target(size)) ?? new Uint8Array(count);
    await open.readInto(target.subarray(0, count), (bytes) => {
      hear();
      underWay -= bytes;
      window.arrived(bytes, heardMs);
      if (!request.stopped) request.part.onBytes(bytes);
      void pump();
    });
  };
  return {
    window,
    get backlogBytes() {
      return underWay + waiting.reduce((sum, { part }) => sum + part.length, 0);
    },
    async get(part, { signal, silenceMs }) {
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
        alone: false,
      };
      const stop = () => {
        request.stopped = true;
        const at = waiting.indexOf(request);
        if (at >= 0) waiting.splice(at, 1);
        else if (stream !== undefined && sent.includes(request))
          stream.write(encodeBlockRequest({ t: "stop", id: request.id })).catch(() => undefined);
        request.resolve(undefined);
      };
      signal.addEventListener("abort", stop, { once: true });
      waiting.push(request);
      void pump();
      try {
        return await request.promise;
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
  };
}
