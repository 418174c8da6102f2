import type { Hex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import type { Offence } from "../limits/scores.ts";
import type { Drops } from "../host/drops.ts";
import type { FramedStream } from "../host/framed-stream.ts";
import { untilAborted } from "../timing/until-aborted.ts";
import {
  BLOCK_STATUS,
  encodeAnswerHead,
  MAX_BLOCK_BYTES,
  MAX_REQUEST_BYTES,
  MAX_WAITING_REQUESTS,
  parseBlockRequest,
  type PartRequest,
} from "./block-messages.ts";
import type { Pace } from "./pace.ts";

/** Where blocks to serve come from. */
export interface BlockProvider {
  /** Whether this node may have this block. */
  readonly allow: (peerAddress: Hex, cid: string) => boolean;
  readonly get: (cid: string) => Promise<Uint8Array | undefined>;
  /** Told what a peer was sent. */
  readonly onServed?: ((peerAddress: Hex, cid: string, bytes: number) => void) | undefined;
}

export interface BlockServer {
  /** @returns function that takes the provider away */
  provide(provider: BlockProvider): () => void;
  /** Answers the requests on one stream until it ends. */
  serve(stream: FramedStream, from: Hex): Promise<void>;
}

export interface BlockServerOptions {
  readonly drops: Drops;
  /** Limits what all streams of the host send together. */
  readonly up: Pace;
  /** Holds something against a peer. */
  readonly offend: (peer: Hex, offence: Offence) => void;
}

interface Found {
  readonly provider: BlockProvider;
  readonly block: Uint8Array;
}

/** Part of a block that is being sent. */
interface Cut {
  readonly part: Uint8Array;
  /** Bytes of the whole block. */
  readonly size: number;
  /** Bytes that stay in memory for it beyond its own. */
  readonly sharedBytes: number;
}

/** Blocks that are being served in parts, 32 MiB. */
const CACHE_BYTES = 32 * 1024 * 1024;
/**
 * Whole blocks that answers under way, above all to slow readers, keep in memory. Above it an answer has a copy of its
 * part, at most 512 KiB; below it nothing is copied.
 */
const SHARED_BYTES = 64 * 1024 * 1024;
/** Blocks that are read from providers at once. */
const MAX_READS = 8;
/** Such blocks leave in one part, or few. */
const UNCACHED_BYTES = 64 * 1024;
/** Streams of one peer; a node opens one. */
const MAX_STREAMS = 8;

export function createBlockServer({ drops, up, offend }: BlockServerOptions): BlockServer {
  const providers = new Set<BlockProvider>();
  const streams = new Map<Hex, number>();
  const cache = createBlockCache(CACHE_BYTES);
  let shared = 0;

  const find = async (from: Hex, cid: string, stop: AbortSignal): Promise<Found | { readonly allowed: boolean }> => {
    const allowed = [...providers].filter((provider) => provider.allow(from, cid));
    for (const provider of allowed) {
      const block = await cache.get(cid, provider, stop);
      if (block !== undefined && block.length <= MAX_BLOCK_BYTES) return { provider, block };
    }
    return { allowed: allowed.length > 0 };
  };
  const answer = async (stream: FramedStream, from: Hex, queued: QueuedRequest, gone: AbortSignal): Promise<void> => {
    const { request, stop } = queued;
    const { id, cid } = request;
    const status = (value: number) => stream.write(encodeAnswerHead({ id, status: value, size: 0 }));
    const found = await find(from, cid, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
      return undefined;
    });
    if (found === undefined) return status(BLOCK_STATUS.stopped);
    if (!("block" in found)) {
      if (!found.allowed) {
        drops.count("refusedBlock");
        offend(from, "refused");
      }
      return status(found.allowed ? BLOCK_STATUS.notFound : BLOCK_STATUS.refused);
    }
    const { provider } = found;
    const onSent = (bytes: number) => provider.onServed?.(from, cid, bytes);
    // Nothing here waits for it: the block itself is let go of.
    return send(stream, id, cut(found.block, request), gone).then(onSent);
  };
  const cut = (block: Uint8Array, { from, length }: PartRequest): Cut => {
    const [part, size] = [block.subarray(from, from + length), block.length];
    const beyond = part.length < size ? size : 0;
    return shared + beyond > SHARED_BYTES
      ? { part: part.slice(), size, sharedBytes: 0 }
      : { part, size, sharedBytes: beyond };
  };
  /** @returns how many bytes of a block were sent */
  const send = async (stream: FramedStream, id: number, { part, size, sharedBytes }: Cut, gone: AbortSignal) => {
    const head = encodeAnswerHead({ id, status: BLOCK_STATUS.part, size });
    shared += sharedBytes;
    try {
      if (up.burstBytes === Infinity) await stream.write(head, part);
      else await stream.writePaced(paceFor(gone), head, part);
    } finally {
      shared -= sharedBytes;
    }
    return part.length;
  };
  /** Small steps, so that others get their turn. */
  const paceFor = (gone: AbortSignal) => async (bytes: number) => {
    for (let left = bytes; left > 0; left -= up.burstBytes) await up.take(Math.min(left, up.burstBytes), gone);
  };
  const answerAll = async (stream: FramedStream, from: Hex): Promise<void> => {
    const requests = createRequestQueue();
    const read = readRequests(stream, requests);
    read.catch((error: unknown) => stream.abort(error as Error));
    // What was asked before the peer closed its side is still answered.
    try {
      for (let request = await requests.next(); request !== undefined; request = await requests.next())
        await answer(stream, from, request, requests.gone);
    } catch (error) {
      throw requests.gone.aborted ? requests.gone.reason : error;
    }
    await read;
  };

  return {
    provide(provider) {
      providers.add(provider);
      return () => void providers.delete(provider);
    },
    async serve(stream, from) {
      const count = streams.get(from) ?? 0;
      if (count >= MAX_STREAMS) throw new NetworkError("Flooded", `more than ${MAX_STREAMS} streams for blocks`);
      streams.set(from, count + 1);
      try {
        await answerAll(stream, from);
      } finally {
        const left = streams.get(from)! - 1;
        if (left === 0) streams.delete(from);
        else streams.set(from, left);
      }
    },
  };
}

interface QueuedRequest {
  readonly request: PartRequest;
  /** The peer needs the answer no more. */
  readonly stop: AbortController;
}

/** Requests of one stream in their order. */
function createRequestQueue() {
  const queue: QueuedRequest[] = [];
  let current: QueuedRequest | undefined;
  let wake = (): void => undefined;
  let closed = false;
  const gone = new AbortController();
  return {
    /** Aborts when the peer is gone. */
    gone: gone.signal,
    /** @throws NetworkError `Flooded` */
    push(request: PartRequest): void {
      if (queue.length >= MAX_WAITING_REQUESTS)
        throw new NetworkError("Flooded", `more than ${MAX_WAITING_REQUESTS} requests wait`);
      queue.push({ request, stop: new AbortController() });
      wake();
    },
    stop(id: number): void {
      const waiting = current === undefined ? queue : [current, ...queue];
      waiting.find(({ request }) => request.id === id)?.stop.abort();
    },
    close(): void {
      closed = true;
      wake();
    },
    /** Nobody waits for answers any more. */
    abort(error: unknown): void {
      gone.abort(error);
      for (const { stop } of current === undefined ? queue : [current, ...queue]) stop.abort(error);
    },
    async next(): Promise<QueuedRequest | undefined> {
      while (queue.length === 0) {
        if (closed) return undefined;
        await new Promise<void>((resolve) => (wake = resolve));
      }
      current = queue.shift();
      return current;
    },
  };
}

async function readRequests(stream: FramedStream, requests: ReturnType<typeof createRequestQueue>): Promise<void> {
  try {
    for (;;) {
      const frame = await stream.read(MAX_REQUEST_BYTES);
      if (frame === undefined) return;
      const request = parseBlockRequest(frame);
      if (request.t === "stop") requests.stop(request.id);
      else requests.push(request);
    }
  } catch (error) {
    requests.abort(error);
    throw error;
  } finally {
    requests.close();
  }
}

/** The blocks that were read last: parts of one follow each other. */
function createBlockCache(maxBytes: number) {
  const blocks = new Map<string, Uint8Array>();
  let bytes = 0;
  const inTurn = createTurns(MAX_READS);
  const keep = (cid: string, block: Uint8Array) => {
    if (blocks.has(cid)) return;
    blocks.set(cid, block);
    bytes += block.length;
    for (const [oldest, old] of blocks) {
      if (bytes <= maxBytes) return;
      blocks.delete(oldest);
      bytes -= old.length;
    }
  };
  return {
    async get(cid: string, provider: BlockProvider, stop: AbortSignal): Promise<Uint8Array | undefined> {
      const cached = blocks.get(cid);
      if (cached !== undefined) return cached;
      const block = await inTurn(async () => blocks.get(cid) ?? provider.get(cid), stop);
      if (block !== undefined && block.length > UNCACHED_BYTES && block.length <= MAX_BLOCK_BYTES) keep(cid, block);
      return block;
    },
  };
}

/**
 * @returns function that does work, at most so much at once, the others wait in order; whoever stops gives its turn to
 * the next one, and rejects with the signal's reason
 */
function createTurns(most: number) {
  const waiting = new Set<() => void>();
  let free = most;
  const pass = () => {
    const [next] = waiting;
    if (next === undefined) return void (free += 1);
    waiting.delete(next);
    next();
  };
  const turn = async (stop: AbortSignal) => {
    if (free > 0) return void (free -= 1);
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.add(resolve);
    try {
      await untilAborted(promise, stop);
    } catch (error) {
      // Unless the turn came in the same moment.
      if (!waiting.delete(resolve)) pass();
      throw error;
    }
  };
  return async <T>(work: () => Promise<T>, stop: AbortSignal): Promise<T> => {
    await turn(stop);
    try {
      return await untilAborted(work(), stop);
    } finally {
      pass();
    }
  };
}
