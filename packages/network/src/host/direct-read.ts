// Bytes that go from a connection's read buffer straight to where they are wanted. The usual way, an event and a list
// of arrays at each of four layers, costs more than the encryption.
import type { MessageStream, Stream } from "@libp2p/interface";

/** Takes bytes at once, from memory that is used again afterwards. @returns how many it took, from the start */
export type DirectReader = (chunk: Uint8Array) => number;

/** A connection whose read buffer is used again: what it hands out is gone when `onBytes` returns. */
export interface DirectConnection extends MessageStream {
  /** Gets all bytes in place of "message" events. */
  onBytes: ((chunk: Uint8Array) => void) | undefined;
}

export const isDirect = (connection: MessageStream): connection is DirectConnection => "onBytes" in connection;

interface Direct {
  reader?: DirectReader;
  count?: (bytes: number) => void;
}

const streams = new WeakMap<MessageStream, Direct>();

/** Offers the bytes of a stream to `reader` before they are copied. */
export function readDirectly(stream: Stream, reader: DirectReader): void {
  streams.set(stream, { ...streams.get(stream), reader });
}

/** Tells `count` of bytes that no event tells of. */
export function countDirectly(stream: MessageStream, count: (bytes: number) => void): void {
  streams.set(stream, { ...streams.get(stream), count });
}

/** Offers bytes to whoever reads the stream. @returns how many were taken */
export function offerDirectly(stream: MessageStream, chunk: Uint8Array): number {
  const direct = streams.get(stream);
  const taken = direct?.reader?.(chunk) ?? 0;
  if (taken > 0) direct?.count?.(taken);
  return taken;
}
