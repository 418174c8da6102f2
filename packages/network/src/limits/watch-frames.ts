import type { MessageStream, Stream, StreamMuxer } from "@libp2p/interface";
import { NetworkError } from "../errors.ts";
import { heldBytes } from "../host/framed-stream.ts";
import type { Limits } from "./limits.ts";
import { createTokenBucket, type Rate, type TokenBucket } from "../timing/token-bucket.ts";

/** Largest data frame: the largest window that we open (hashicorp/yamux, spec.md, "Flow Control"). */
export const MAX_WINDOW_BYTES = 4 * 1024 * 1024;

const HEADER_BYTES = 12;
const TYPE = { data: 0, ping: 2 } as const;
const SYN = 1;
/** Data frames below this cost more than they carry. */
const SMALL_BYTES = 64;
/** Frames that carry (almost) nothing, streams opened, and pings of one connection: per second, and at once. */
const SMALL_FRAMES: Rate = { perSecond: 20_000, burst: 60_000 };
const OPENED: Rate = { perSecond: 200, burst: 1000 };
const PINGS: Rate = { perSecond: 10, burst: 60 };
/** Buffers are summed again after so many bytes. */
const CHECK_BYTES = 256 * 1024;

/** One multiplexed connection as the guard sees it. */
export interface WatchedConnection {
  /** Bytes that it makes us hold: unread, unsent. */
  held(): number;
  /** Undefined until it was created. */
  muxer(): StreamMuxer | undefined;
  /** Bytes of which the connection dispatches no event. */
  see(chunk: Uint8Array): void;
  abort(error: Error): void;
}

/** Bytes of a stream that are in memory. */
export const bufferedBy = (stream: Stream): number =>
  stream.readBufferLength + stream.writeBufferLength + heldBytes(stream);

interface FrameOptions {
  readonly limits: Limits;
  readonly clock: () => number;
  readonly muxer: () => StreamMuxer | undefined;
}

/**
 * Reads the frame headers of a yamux connection before the multiplexer does, which takes a frame of any announced
 * length and answers any number of frames. What goes too far ends the connection. Must be called before the
 * multiplexer listens.
 */
export function watchFrames(connection: MessageStream, { limits, clock, muxer }: FrameOptions): WatchedConnection {
  const [small, opened, pings] = [SMALL_FRAMES, OPENED, PINGS].map((rate) => createTokenBucket(rate, clock)) as [
    TokenBucket,
    TokenBucket,
    TokenBucket,
  ];
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  let filled = 0;
  let frameBytes = 0;
  let missing = 0; // of the frame's content
  let unchecked = 0;
  let ended = false;

  const abort = (error: Error) => {
    ended = true;
    connection.abort(error);
  };
  const held = () => {
    const streams = muxer()?.streams ?? [];
    return streams.reduce((sum, stream) => sum + bufferedBy(stream), connection.writeBufferLength);
  };
  const flooded = (what: string) => abort(new NetworkError("Flooded", `the peer sends too many ${what}`));
  const readHeader = () => {
    filled = 0;
    const type = header[1]!;
    const flags = view.getUint16(2);
    const length = view.getUint32(8);
    frameBytes = type === TYPE.data ? length : 0;
    missing = frameBytes;
    if (frameBytes > MAX_WINDOW_BYTES)
      return abort(new NetworkError("TooLarge", `a multiplexer frame of ${length} bytes`));
    if (frameBytes < SMALL_BYTES && !small.take(1)) return flooded("small frames");
    if (type === TYPE.ping && !pings.take(1)) return flooded("pings");
    if (type < TYPE.ping && (flags & SYN) !== 0 && !opened.take(1)) return flooded("new streams");
  };
  const read = (chunk: Uint8Array) => {
    for (let at = 0; at < chunk.length;) {
      if (ended) return;
      if (missing > 0) {
        const count = Math.min(missing, chunk.length - at);
        missing -= count;
        at += count;
      } else {
        const count = Math.min(HEADER_BYTES - filled, chunk.length - at);
        header.set(chunk.subarray(at, at + count), filled);
        filled += count;
        at += count;
        if (filled === HEADER_BYTES) readHeader();
      }
    }
  };
  const see = (chunk: Uint8Array) => {
    if (ended) return;
    read(chunk);
    unchecked += chunk.length;
    if (unchecked < CHECK_BYTES || ended) return;
    unchecked = 0;
    if (held() > limits.bufferedPerConnection) flooded("bytes that nobody can read so fast");
  };
  connection.addEventListener("message", ({ data }) => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) see(chunk);
  });
  return { held, muxer, see, abort };
}
