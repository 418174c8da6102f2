import type { Stream } from "@libp2p/interface";
import { NetworkError } from "../errors.ts";

const HEADER_BYTES = 4;
/** Above this the peer is told to wait: a slow reader holds at most this and one window. */
const PAUSE_BYTES = 2 * 1024 * 1024;

/** Frames on a libp2p stream: length as 32-bit big-endian integer, then that many bytes. */
export interface FramedStream {
  /** Sends one frame and waits while the peer is slow. */
  write(...parts: readonly Uint8Array[]): Promise<void>;
  /** Next frame, or undefined at the end. @throws NetworkError `TooLarge`, `Malformed` (cut off), `Unreachable` (reset) */
  read(maxBytes: number): Promise<Uint8Array | undefined>;
  /** Says that we send no more. */
  close(): Promise<void>;
  /** Ends both directions at once. */
  abort(error: Error): void;
}

/** Unread bytes of a stream, as the chunks that arrived. */
class ReadBuffer {
  readonly chunks: Uint8Array[] = [];
  length = 0;

  push(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    this.length += chunk.length;
  }

  take(count: number): Uint8Array {
    const out = new Uint8Array(count);
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const chunk = this.chunks[used]!;
      const part = chunk.subarray(0, count - filled);
      out.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) used += 1;
      else this.chunks[used] = chunk.subarray(part.length);
    }
    this.chunks.splice(0, used);
    this.length -= count;
    return out;
  }
}

interface FrameOptions {
  /** Longest pause of the peer before its first frame, within a frame, and in taking what we send, milliseconds. */
  readonly stallMs?: number;
}

/** What was read from streams and not taken yet. */
const buffers = new WeakMap<Stream, ReadBuffer>();

/** Bytes of a stream that were read from it and that nobody has taken yet. */
export function heldBytes(stream: Stream): number {
  return buffers.get(stream)?.length ?? 0;
}

const nothing = (): void => undefined;
const stalled = (ms: number) => new NetworkError("Stalled", `the peer did nothing for ${ms / 1000} s`);

/** The promise, or `Stalled` after `ms`. */
async function within<T>(promise: Promise<T>, ms: number | undefined): Promise<T> {
  if (ms === undefined) return promise;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(stalled(ms)), ms);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
const cutOff = () => new NetworkError("Malformed", "the stream ended within a frame");

/**
 * Reads and writes frames with backpressure in both directions. libp2p's own async iterator buffers without bound and
 * its onDrain() waits only the first time, so neither is used.
 */
export function frame(stream: Stream, { stallMs }: FrameOptions = {}): FramedStream {
  const source = createSource(stream);
  let frameLength: number | undefined;
  let first = true;
  return {
    async write(...parts) {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      const header = new Uint8Array(HEADER_BYTES);
      new DataView(header.buffer).setUint32(0, length);
      for (const part of [header, ...parts]) if (part.length > 0) send(stream, part);
      await drained(stream, stallMs);
    },
    async read(maxBytes) {
      if (frameLength === undefined) {
        const header = await source.take(HEADER_BYTES, first ? stallMs : undefined);
        if (header === undefined) return undefined;
        first = false;
        frameLength = new DataView(header.buffer).getUint32(0);
      }
      if (frameLength > maxBytes)
        throw new NetworkError("TooLarge", `a frame of ${frameLength} bytes, at most ${maxBytes} are allowed`);
      const frame = frameLength === 0 ? new Uint8Array() : await source.take(frameLength, stallMs);
      if (frame === undefined) throw cutOff();
      frameLength = undefined;
      return frame;
    },
    close: () => stream.close(),
    abort: (error) => stream.abort(error),
  };
}

/** Bytes of a stream on demand. */
export interface ByteSource {
  /** Exactly so many bytes, or undefined at the end. @throws NetworkError `Stalled` when none arrive for `stallMs` */
  take(count: number, stallMs?: number): Promise<Uint8Array | undefined>;
}

/** Reads a stream with backpressure: above `pauseBytes` that nobody takes, the peer is told to wait. */
export function createSource(stream: Stream, pauseBytes: number = PAUSE_BYTES): ByteSource {
  const buffer = new ReadBuffer();
  buffers.set(stream, buffer);
  let ended = stream.readableEnded;
  let failure: Error | undefined;
  let wake = nothing;
  let resuming = false;

  // Pausing while resume() hands out what it held would leave yamux's window open on a paused stream.
  const hold = () => {
    if (!resuming && buffer.length > pauseBytes && stream.readStatus === "readable") stream.pause();
  };
  const resume = () => {
    if (stream.readStatus !== "paused") return;
    resuming = true;
    stream.resume();
    resuming = false;
    hold();
  };
  const end = (error?: Error) => {
    ended = true;
    if (error instanceof NetworkError) failure = error;
    else if (error !== undefined)
      failure = new NetworkError("Unreachable", `the stream was closed: ${error.message}`, { cause: error });
    wake();
  };
  stream.addEventListener("message", ({ data }) => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) buffer.push(chunk);
    hold();
    wake();
  });
  stream.addEventListener("end", () => end());
  stream.addEventListener("close", ({ error }) => end(error));
  return {
    async take(count, stallMs) {
      while (buffer.length < count) {
        if (failure !== undefined) throw failure;
        if (ended && buffer.length > 0) throw cutOff();
        if (ended) return undefined;
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        resume();
        if (buffer.length < count && !ended) await within(promise, stallMs);
      }
      return buffer.take(count);
    },
  };
}

function send(stream: Stream, bytes: Uint8Array): void {
  try {
    stream.send(bytes);
  } catch (cause) {
    throw new NetworkError("Unreachable", "the stream is closed", { cause });
  }
}

/** Resolves when the stream takes more bytes. @throws NetworkError `Unreachable`, `Stalled` */
async function drained(stream: Stream, stallMs: number | undefined): Promise<void> {
  while (stream.writableNeedsDrain) {
    const ready = new Promise<void>((resolve, reject) => {
      const stop = () => {
        stream.removeEventListener("drain", drain);
        stream.removeEventListener("close", close);
      };
      const drain = () => {
        stop();
        resolve();
      };
      const close = ({ error }: { error?: Error }) => {
        stop();
        reject(new NetworkError("Unreachable", "the stream was closed while sending", { cause: error }));
      };
      stream.addEventListener("drain", drain);
      stream.addEventListener("close", close);
      if (stream.status !== "open") close({});
    });
    await within(ready, stallMs);
  }
}
