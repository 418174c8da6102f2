import type { PeerId } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import type { Drops } from "../host/drops.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { offenceOf } from "../limits/offences.ts";
import type { Offence } from "../limits/scores.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { deadlineSignal } from "../timing/delay.ts";
import { createPeerLimiter, type Rate } from "../timing/token-bucket.ts";

/** A peer must have sent its request, and taken the answer, within this time. */
const SERVE_TIMEOUT_MS = 15_000;

/** What all services of a node share. */
export interface ServiceContext {
  readonly node: BaseNode;
  readonly drops: Drops;
  readonly log: Log;
  readonly clock: () => number;
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
  const { node, drops, log, clock, signal, offend } = context;
  const { protocol, maxRequestBytes, rate } = options;
  const mayAsk = createPeerLimiter(rate, clock);
  await node.handle(
    protocol,
    async (stream, { remotePeer }) => {
      const late = () => new NetworkError("Stalled", "no request");
      const deadline = deadlineSignal(SERVE_TIMEOUT_MS, late, signal);
      try {
        const frames = lpStream(stream, { maxDataLength: maxRequestBytes, maxBufferSize: 2 * maxRequestBytes });
        const request = await frames.read({ signal: deadline.signal });
        const limited = !mayAsk(remotePeer.toString());
        if (limited) {
          drops.count("rateLimited");
          offend(remotePeer, "refused");
        }
        const answer = await handler(request.subarray(), remotePeer, limited);
        await frames.write(answer, { signal: deadline.signal });
        await stream.close({ signal: deadline.signal });
      } catch (error) {
        const offence = offenceOf(error);
        if (!signal.aborted) drops.count("badStream");
        if (offence !== undefined) offend(remotePeer, offence);
        log.debug({ protocol, from: remotePeer.toString(), error: reasonOf(error) }, "a request failed");
        stream.abort(error instanceof Error ? error : new Error(reasonOf(error)));
      } finally {
        deadline.clear();
      }
    },
    { maxInboundStreams: 256, maxOutboundStreams: 256 },
  );
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
