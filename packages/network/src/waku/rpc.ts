import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { lpStream, type LengthPrefixedStream } from "@libp2p/utils";
import type { Drops } from "../host/drops.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { offenceOf } from "../limits/offences.ts";
import type { Offence } from "../limits/scores.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { deadlineSignal } from "../timing/delay.ts";
import { createPeerLimiter, type Rate } from "../timing/token-bucket.ts";

/** A peer must have sent its request, and taken the answer, within this time from the first byte on. */
const SERVE_TIMEOUT_MS = 15_000;
/** js-waku opens streams long before it uses them; one that stays unused for so long is closed. */
const UNUSED_MS = 10 * 60_000;

/** What all services of a node share. */
export interface ServiceContext {
  readonly node: BaseNode;
  readonly drops: Drops;
  readonly log: Log;
  readonly clock: () => number;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
  /** Holds an offence against a peer. */
  readonly offend: (peer: PeerId, offence: Offence) => void;
}

export interface RpcOptions {
  readonly protocol: string;
  readonly maxRequestBytes: number;
  /** Requests of one peer. */
  readonly rate: Rate;
}

/** Answers a request; `limited`: the peer asks too often, so that only that may be said. */
export type RpcHandler = (request: Uint8Array, from: PeerId, limited: boolean) => Uint8Array | Promise<Uint8Array>;

/**
 * Serves a Waku request-response protocol: one protobuf message with its length as varint in each direction, then the
 * stream is closed. A request that is too large or late, or a handler that throws, resets the stream.
 */
export async function serveRpc(context: ServiceContext, options: RpcOptions, handler: RpcHandler): Promise<void> {
  const { node, drops, log, monotonic, signal, offend } = context;
  const { protocol, maxRequestBytes, rate } = options;
  const mayAsk = createPeerLimiter(rate, monotonic);
  const answer = async (frames: LengthPrefixedStream, from: PeerId, deadline: AbortSignal) => {
    const request = (await frames.read({ signal: deadline })).subarray();
    const limited = !mayAsk(from.toString());
    if (limited) {
      drops.count("rateLimited");
      offend(from, "refused");
    }
    await frames.write(await handler(request, from, limited), { signal: deadline });
  };
  const serve = async (stream: Stream, { remotePeer }: Connection) => {
    const frames = lpStream(stream, { maxDataLength: maxRequestBytes, maxBufferSize: 2 * maxRequestBytes });
    const deadline = createDeadline(stream, signal);
    try {
      await answer(frames, remotePeer, deadline.signal);
      await stream.close({ signal: deadline.signal });
    } catch (error) {
      if (deadline.begun() && !signal.aborted) {
        const offence = offenceOf(error);
        drops.count("badStream");
        if (offence !== undefined) offend(remotePeer, offence);
        log.debug({ protocol, from: remotePeer.toString(), error: reasonOf(error) }, "a request failed");
      }
      stream.abort(error instanceof Error ? error : new Error(reasonOf(error)));
    } finally {
      deadline.clear();
    }
  };
  await node.handle(protocol, serve, { maxInboundStreams: 256, maxOutboundStreams: 256 });
}

/** Aborts a stream that stays unused, and one whose request is not answered in time after its first byte. */
function createDeadline(stream: Stream, stopped: AbortSignal) {
  const controller = new AbortController();
  const abort = (message: string) => controller.abort(new NetworkError("Stalled", message));
  const stop = () => controller.abort(stopped.reason);
  let begun = false;
  let timer = setTimeout(() => abort("the stream is not used"), UNUSED_MS);
  const begin = () => {
    begun = true;
    clearTimeout(timer);
    timer = setTimeout(() => abort("no whole request in time"), SERVE_TIMEOUT_MS);
  };
  stream.addEventListener("message", begin, { once: true });
  stopped.addEventListener("abort", stop, { once: true });
  return {
    signal: controller.signal,
    begun: () => begun,
    clear() {
      clearTimeout(timer);
      stream.removeEventListener("message", begin);
      stopped.removeEventListener("abort", stop);
    },
  };
}

export interface CallOptions {
  readonly protocol: string;
  readonly maxAnswerBytes: number;
  /** Longest time until the answer, milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks a connected peer.
 * @throws NetworkError `Unreachable`, `Stalled`; the signal's reason
 */
export async function callRpc(
  node: BaseNode,
  peer: PeerId,
  request: Uint8Array,
  { protocol, maxAnswerBytes, timeoutMs, signal }: CallOptions,
): Promise<Uint8Array> {
  const late = () => new NetworkError("Stalled", `${peer.toString()} has not answered within ${timeoutMs / 1000} s`);
  const deadline = deadlineSignal(timeoutMs, late, signal);
  try {
    const connection = node.getConnections(peer).find(({ status }) => status === "open");
    if (connection === undefined) throw new NetworkError("Unreachable", `${peer.toString()} is not connected`);
    const stream = await connection.newStream(protocol, { maxOutboundStreams: 256, signal: deadline.signal });
    try {
      const frames = lpStream(stream, { maxDataLength: maxAnswerBytes, maxBufferSize: maxAnswerBytes + 16 });
      await frames.write(request, { signal: deadline.signal });
      await stream.close({ signal: deadline.signal });
      const answer = (await frames.read({ signal: deadline.signal })).subarray();
      return answer;
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(reasonOf(error)));
      throw error;
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (deadline.signal.aborted) throw deadline.signal.reason;
    if (error instanceof NetworkError) throw error;
    throw new NetworkError("Unreachable", `${protocol} of ${peer.toString()}: ${reasonOf(error)}`, { cause: error });
  } finally {
    deadline.clear();
  }
}
