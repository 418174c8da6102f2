import type { Hex } from "@skynet/protocol";
import { remoteAddress } from "./connect.ts";
import type { Drops } from "./drops.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { frame, type FramedStream } from "./framed-stream.ts";
import type { BaseNode } from "./libp2p-node.ts";
import type { Log } from "./log.ts";
import type { Guard } from "../limits/guard.ts";
import { offenceOf } from "../limits/offences.ts";

/** Handles one inbound stream of an authenticated peer; the stream is closed when it returns and reset if it throws. */
export type StreamHandler = (stream: FramedStream, from: Hex) => Promise<void>;

interface ServeContext {
  readonly node: BaseNode;
  readonly guard: Guard;
  readonly drops: Drops;
  readonly log: Log;
}

/**
 * Serves a protocol. Streams that fail are reset, counted, and held against the peer where it is to blame.
 * @returns function that ends it and resets open streams
 */
export async function serve({ node, guard, drops, log }: ServeContext, protocol: string, handler: StreamHandler) {
  const open = new Set<FramedStream>();
  const { streamsPerProtocol, stallMs } = guard.limits;
  const limits = { maxInboundStreams: streamsPerProtocol, maxOutboundStreams: 256, runOnLimitedConnection: true };
  let ended = false;
  await node.handle(
    protocol,
    async (stream, connection) => {
      const from = remoteAddress(connection);
      const framed = frame(stream, { stallMs });
      open.add(framed);
      try {
        if (from === undefined) throw new NetworkError("Refused", "the peer has no secp256k1 key");
        await handler(framed, from);
        await framed.close();
      } catch (error) {
        const offence = offenceOf(error);
        if (!ended) drops.count("badStream");
        if (!ended && offence !== undefined) guard.offend(connection.remotePeer, offence);
        log.debug({ protocol, from, error: reasonOf(error) }, "a stream failed");
        framed.abort(error instanceof Error ? error : new Error(reasonOf(error)));
      } finally {
        open.delete(framed);
      }
    },
    limits,
  );
  return async () => {
    ended = true;
    await node.unhandle(protocol);
    for (const stream of open) stream.abort(new NetworkError("Stopped", "the protocol is no longer served"));
  };
}
