import type { PeerId, Stream } from "@libp2p/interface";
import { lpStream, type LengthPrefixedStream } from "@libp2p/utils";
import { NetworkError } from "../errors.ts";
import { deadlineSignal } from "../timing/delay.ts";
import { FILTER_PUSH_PROTOCOL } from "./protocols.ts";
import type { ServiceContext } from "./rpc.ts";

/** A subscriber that takes no message for this time is gone (12/WAKU2-FILTER). */
const UNREACHABLE_MS = 60_000;
const WRITE_TIMEOUT_MS = 20_000;
/** What waits for a slow subscriber; more is not pushed to it. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
const MAX_WAITING = 1000;

/** Sends messages to one subscriber, in order, over one stream that stays open. */
export interface Pusher {
  push(message: Uint8Array): void;
  stop(): void;
}

/** @param onUnreachable called once, when the subscriber took nothing for a minute */
export function createPusher(
  { node, drops, monotonic, signal }: ServiceContext,
  peer: PeerId,
  onUnreachable: () => void,
): Pusher {
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let pumping = false;
  let failingSinceMs: number | undefined;
  let open: LengthPrefixedStream<Stream> | undefined;
  const stopped = new AbortController();
  const ended = AbortSignal.any([signal, stopped.signal]);
  const closed = () => new NetworkError("Stopped", "no longer pushed to");
  ended.addEventListener("abort", () => open?.unwrap().abort(closed()), { once: true });

  const write = async (message: Uint8Array) => {
    const late = () => new NetworkError("Stalled", "a subscriber does not read");
    const deadline = deadlineSignal(WRITE_TIMEOUT_MS, late, ended);
    try {
      open ??= await openStream(deadline.signal);
      await open.write(message, { signal: deadline.signal });
    } catch (error) {
      open?.unwrap().abort(error as Error);
      open = undefined;
      throw error;
    } finally {
      deadline.clear();
    }
  };
  const openStream = async (opening: AbortSignal) => {
    const connection = node.getConnections(peer).find(({ status }) => status === "open");
    if (connection === undefined) throw new NetworkError("Unreachable", "the subscriber is not connected");
    return lpStream(await connection.newStream(FILTER_PUSH_PROTOCOL, { maxOutboundStreams: 256, signal: opening }));
  };
  const failed = () => {
    failingSinceMs ??= monotonic();
    if (monotonic() - failingSinceMs >= UNREACHABLE_MS) onUnreachable();
  };
  const pump = async () => {
    pumping = true;
    while (waiting.length > 0 && !ended.aborted) {
      const message = waiting.shift()!;
      waitingBytes -= message.length;
      try {
        // A stream that the subscriber closed is opened anew.
        if (open) await write(message).catch(() => write(message));
        else await write(message);
        failingSinceMs = undefined;
      } catch {
        if (!ended.aborted) failed();
      }
    }
    pumping = false;
  };
  return {
    push(message) {
      if (ended.aborted) return;
      if (waiting.length >= MAX_WAITING || waitingBytes + message.length > MAX_WAITING_BYTES) {
        drops.count("slowReader");
        return failed();
      }
      waiting.push(message);
      waitingBytes += message.length;
      if (!pumping) void pump();
    },
    stop: () => stopped.abort(closed()),
  };
}
