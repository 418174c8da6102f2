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

const nothing = (): void => undefined;
const cutOff = () => new NetworkError("Malformed", "the stream ended within a frame");

/**
 * Reads and writes frames with backpressure in both directions. libp2p's own async iterator buffers without bound and
 * its onDrain() waits only the first time, so neither is used.
 */
export function frame(stream: Stream): FramedStream {
  const source = createSource(stream);
  let frameLength: number | undefined;
  return {
    async write(...parts) {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      const header = new Uint8Array(HEADER_BYTES);
      new DataView(header.buffer).setUint32(0, length);
      for (const part of [header, ...parts]) if (part.length > 0) send(stream, part);
      await drained(stream);
    },
    async read(maxBytes) {
      if (frameLength === undefined) {
        const header = await source.take(HEADER_BYTES);
        if (header === undefined) return undefined;
        frameLength = new DataView(header.buffer).getUint32(0);
      }
      if (frameLength > maxBytes)
        throw new NetworkError("TooLarge", `a frame of ${frameLength} bytes, at most ${maxBytes} are allowed`);
      const frame = frameLength === 0 ? new Uint8Array() : await source.take(frameLength);
      if (frame === undefined) throw cutOff();
      frameLength = undefined;
      return frame;
    },
    close: () => stream.close(),
    abort: (error) => stream.abort(error),
  };
}

/** Bytes of a stream on demand. `take`: exactly so many, or undefined at the end. */
function createSource(stream: Stream): { take(count: number): Promise<Uint8Array | undefined> } {
  const buffer = new ReadBuffer();
  let ended = stream.readableEnded;
  let failure: Error | undefined;
  let wake = nothing;
  let resuming = false;

  // Pausing while resume() hands out what it held would leave yamux's window open on a paused stream.
  const hold = () => {
    if (!resuming && buffer.length > PAUSE_BYTES && stream.readStatus === "readable") stream.pause();
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
    async take(count) {
      while (buffer.length < count) {
        if (failure !== undefined) throw failure;
        if (ended && buffer.length > 0) throw cutOff();
        if (ended) return undefined;
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        resume();
        if (buffer.length < count && !ended) await promise;
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

/** Resolves when the stream takes more bytes. */
async function drained(stream: Stream): Promise<void> {
  while (stream.writableNeedsDrain) {
    await new Promise<void>((resolve, reject) => {
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
  }
}
