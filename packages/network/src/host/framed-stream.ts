import type { Stream } from "@libp2p/interface";
import { concatBytes } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import { readDirectly, type DirectReader } from "./direct-read.ts";

const HEADER_BYTES = 4;
/** Above this the peer is told to wait: a slow reader holds at most this and one window. */
const PAUSE_BYTES = 2 * 1024 * 1024;
/** Bytes handed to the multiplexer at once: what another stream of the same connection waits for at most. */
const SLICE_BYTES = 256 * 1024;
/** The same while the rate is limited. */
const PACED_BYTES = 64 * 1024;
const SHORT_BYTES = 1024;

/** Waits until so many bytes may leave. */
type Pacer = (bytes: number) => Promise<void> | void;

/** Frames on a libp2p stream: length as 32-bit big-endian integer, then that many bytes. */
export interface FramedStream {
  /** Sends one frame and waits while the peer is slow. Frames leave in the order of the calls. */
  write(...parts: readonly Uint8Array[]): Promise<void>;
  /** Like `write`; before each slice of at most 64 KiB `pace` is asked, and waited for. */
  writePaced(pace: Pacer | undefined, ...parts: readonly Uint8Array[]): Promise<void>;
  /** Next frame, or undefined at the end. @throws NetworkError `TooLarge`, `Unreachable` (reset or cut off) */
  read(maxBytes: number): Promise<Uint8Array | undefined>;
  /** Begins to read a frame, whose bytes `readInto` takes. @returns its length, or undefined at the end */
  readLength(maxBytes: number): Promise<number | undefined>;
  /** Fills the array with the next bytes of the frame that was begun, as they arrive; `onBytes` is told how many came. */
  readInto(target: Uint8Array, onBytes?: (count: number) => void): Promise<void>;
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
    this.drainInto(out);
    return out;
  }

  /** Moves as many bytes as there are and as fit. @returns how many */
  drainInto(out: Uint8Array): number {
    const count = Math.min(out.length, this.length);
    let filled = 0;
    let used = 0;
    while (filled < count) {
      const chunk = this.chunks[used]!;
      const part = chunk.length <= count - filled ? chunk : chunk.subarray(0, count - filled);
      out.set(part, filled);
      filled += part.length;
      if (part === chunk) used += 1;
      else this.chunks[used] = chunk.subarray(part.length);
    }
    this.chunks.splice(0, used);
    this.length -= count;
    return count;
  }
}

interface FrameOptions {
  /**
   * Longest pause of the peer before its first frame, within a frame, and in taking what we send, milliseconds. A frame
   * that is read at once, as a whole, may take this and its time at 16 KiB/s.
   */
  readonly stallMs?: number;
}

/** Slowest line on which whole frames come in time, bytes per millisecond: 16 KiB/s. */
const LEAST_BYTES_PER_MS = (16 * 1024) / 1000;

/** What was read from streams and not taken yet. */
const buffers = new WeakMap<Stream, ReadBuffer>();

/** Bytes of a stream that were read from it and that nobody has taken yet. */
export function heldBytes(stream: Stream): number {
  return buffers.get(stream)?.length ?? 0;
}

const nothing = (): void => undefined;
const takeNothing: DirectReader = () => 0;
/** Longest time for so many bytes of a frame that was begun, milliseconds: pauses alone could be had without end. */
const longestMs = (bytes: number, stallMs: number): number => stallMs + bytes / LEAST_BYTES_PER_MS;
const tooSlow = (count: number, ms: number) =>
  new NetworkError("Stalled", `the peer has not sent ${count} bytes within ${Math.ceil(ms / 1000)} s`);
const stalled = (ms: number) => new NetworkError("Stalled", `the peer did nothing for ${ms / 1000} s`);

/** The promise, or `Stalled` after `ms`. */
async function within<T>(promise: Promise<T>, ms: number | undefined): Promise<T> {
  if (ms === undefined) return promise;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(stalled(ms)), ms);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
/** No fault of the peer: so ends a stream through a relay that is killed. */
const cutOff = () => new NetworkError("Unreachable", "the stream ended within a frame");

/**
 * Reads and writes frames with backpressure in both directions. libp2p's own async iterator buffers without bound and
 * its onDrain() waits only the first time, so neither is used.
 */
export function frame(stream: Stream, { stallMs }: FrameOptions = {}): FramedStream {
  const source = createSource(stream);
  let frameLength: number | undefined;
  let first = true;
  let writing = Promise.resolve();
  const writePaced: FramedStream["writePaced"] = (pace, ...parts) => {
    // A frame that waits between its slices must not be mixed with the next one.
    const written = writing.then(() => writeFrame(stream, { pace, stallMs }, parts));
    writing = written.catch(nothing);
    return written;
  };
  const readLength: FramedStream["readLength"] = async (maxBytes) => {
    if (frameLength === undefined) {
      const header = await source.take(HEADER_BYTES, first ? stallMs : undefined);
      if (header === undefined) return undefined;
      first = false;
      frameLength = new DataView(header.buffer).getUint32(0);
    }
    if (frameLength > maxBytes)
      throw new NetworkError("TooLarge", `a frame of ${frameLength} bytes, at most ${maxBytes} are allowed`);
    return frameLength;
  };
  return {
    write: (...parts) => writePaced(undefined, ...parts),
    writePaced,
    readLength,
    async readInto(target, onBytes) {
      const left = (frameLength ?? 0) - target.length;
      if (left < 0) throw new NetworkError("Malformed", `a frame that is ${-left} bytes too short`);
      await source.fill(target, onBytes ?? nothing, stallMs);
      frameLength = left === 0 ? undefined : left;
    },
    async read(maxBytes) {
      const length = await readLength(maxBytes);
      if (length === undefined) return undefined;
      const frame = length === 0 ? new Uint8Array() : await source.take(length, stallMs);
      if (frame === undefined) throw cutOff();
      frameLength = undefined;
      return frame;
    },
    close: () => stream.close(),
    abort: (error) => stream.abort(error),
  };
}

async function writeFrame(
  stream: Stream,
  { pace, stallMs }: { pace: Pacer | undefined; stallMs: number | undefined },
  parts: readonly Uint8Array[],
): Promise<void> {
  const header = new Uint8Array(HEADER_BYTES);
  const sliceBytes = pace === undefined ? SLICE_BYTES : PACED_BYTES;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  new DataView(header.buffer).setUint32(0, length);
  // Short parts leave together with the header.
  const long = parts.findIndex((part) => part.length > SHORT_BYTES);
  const short = long === -1 ? parts : parts.slice(0, long);
  send(stream, concatBytes(header, ...short));
  for (const part of parts.slice(short.length))
    for (let at = 0; at < part.length; at += sliceBytes) {
      const slice = part.subarray(at, at + sliceBytes);
      const turn = pace?.(slice.length);
      if (turn !== undefined) await turn;
      send(stream, slice);
      await drained(stream, stallMs);
    }
  await drained(stream, stallMs);
}

/** Bytes of a stream on demand. */
export interface ByteSource {
  /**
   * Exactly so many bytes, or undefined at the end.
   * @throws NetworkError `Stalled` when none arrive for `stallMs`, or all of them take longer than that and their time at
   *   16 KiB/s: nothing can be read afterwards
   */
  take(count: number, stallMs?: number): Promise<Uint8Array | undefined>;
  /** Fills the array with bytes as they arrive. @throws NetworkError `Unreachable` at the end, `Stalled` */
  fill(target: Uint8Array, onBytes: (count: number) => void, stallMs?: number): Promise<void>;
}

/** Reads a stream with backpressure: above `pauseBytes` that nobody takes, the peer is told to wait. */
export function createSource(stream: Stream, pauseBytes: number = PAUSE_BYTES): ByteSource {
  const buffer = new ReadBuffer();
  buffers.set(stream, buffer);
  let ended = stream.readableEnded;
  let failure: Error | undefined;
  let wake = nothing;
  let resuming = false;
  // A frame above the limit must be able to arrive whole.
  let wanted = 0;
  let direct: DirectReader = takeNothing;

  // Pausing while resume() hands out what it held would leave yamux's window open on a paused stream.
  const hold = () => {
    if (!resuming && buffer.length > Math.max(pauseBytes, wanted) && stream.readStatus === "readable") stream.pause();
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
  /** Waits for bytes until there are `count`, or some. @returns whether more can come */
  const more = async (count: number, stallMs: number | undefined): Promise<boolean> => {
    if (failure !== undefined) throw failure;
    if (ended && buffer.length > 0) throw cutOff();
    if (ended) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    wake = resolve;
    resume();
    if (buffer.length < count && !ended) await within(promise, stallMs);
    return true;
  };
  readDirectly(stream, (chunk) => direct(chunk));
  stream.addEventListener("message", ({ data }) => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) buffer.push(chunk);
    hold();
    wake();
  });
  stream.addEventListener("end", () => end());
  // A stream that both sides have closed may still hold what arrived while it was paused: its end follows.
  stream.addEventListener("close", ({ error }) => {
    if (error !== undefined || stream.readableEnded) end(error);
    else wake();
  });
  return {
    async take(count, stallMs) {
      wanted = count;
      const ms = stallMs === undefined || buffer.length >= count ? undefined : longestMs(count, stallMs);
      const timer = ms === undefined ? undefined : setTimeout(() => end(tooSlow(count, ms)), ms);
      try {
        while (buffer.length < count) if (!(await more(count, stallMs))) return undefined;
        return buffer.take(count);
      } finally {
        clearTimeout(timer);
      }
    },
    async fill(target, onBytes, stallMs) {
      const place = new Place(target, onBytes);
      direct = (chunk) => {
        const count = buffer.length > 0 ? 0 : place.take(chunk);
        // Woken for each chunk only where the time between them counts.
        if (place.done || stallMs !== undefined) wake();
        return count;
      };
      try {
        while (!place.done) {
          if (buffer.length === 0 && !(await more(1, stallMs))) throw cutOff();
          place.added(buffer.drainInto(place.free));
        }
      } finally {
        direct = takeNothing;
      }
      place.throwFailure();
    },
  };
}

/** Where bytes are wanted. */
class Place {
  readonly #bytes: Uint8Array;
  readonly #onBytes: (count: number) => void;
  #filled = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(bytes: Uint8Array, onBytes: (count: number) => void) {
    this.#bytes = bytes;
    this.#onBytes = onBytes;
  }

  get free(): Uint8Array {
    return this.#bytes.subarray(this.#filled);
  }

  get done(): boolean {
    return this.#filled === this.#bytes.length || this.#failure !== undefined;
  }

  /** @returns how many bytes fitted */
  take(chunk: Uint8Array): number {
    if (this.done) return 0;
    const part = chunk.subarray(0, this.#bytes.length - this.#filled);
    this.#bytes.set(part, this.#filled);
    this.added(part.length);
    return part.length;
  }

  /** So many bytes are there now. What is told may fail: that belongs to the reader, not to the connection. */
  added(count: number): void {
    this.#filled += count;
    try {
      if (count > 0) this.#onBytes(count);
    } catch (error) {
      this.#failure = { error };
    }
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
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
