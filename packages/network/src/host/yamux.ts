// @libp2p/yamux, whose frames are handed on as they arrive (it waits for whole ones, and copies), and whose window
// updates leave when half a window was used, as in hashicorp/yamux (it sends one for every frame).
import type { MessageStream, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { yamux, type YamuxMuxerInit } from "@libp2p/yamux";
import { StreamState } from "@libp2p/yamux/stream";
import type { Uint8ArrayList } from "uint8arraylist";
import { isDirect, offerDirectly } from "./direct-read.ts";

interface Header {
  readonly type: number;
  readonly flag: number;
  readonly streamID: number;
  readonly length: number;
}

/** The parts of @libp2p/yamux 8.0.3 behind its interface. */
interface YamuxInternals extends StreamMuxer {
  readonly decoder: { emitFrames(bytes: Uint8Array): Iterable<{ header: Header }> };
  readonly maConn: MessageStream;
  onData(data: Uint8Array | Uint8ArrayList): void;
  handleFrame(frame: { header: Header; data?: Uint8Array }): void;
  getRTT(): number;
  _newStream(id: number, state: StreamState, direction: string): YamuxStreamInternals;
}

interface YamuxStreamInternals extends MessageStream {
  readonly streamId: number;
  readonly state: StreamState;
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
  readonly readBufferLength: number;
  readonly readStatus: string;
  onData(data: Uint8Array): void;
  sendWindowUpdate(): void;
}

const HEADER_BYTES = 12;
const DATA = 0;
const SYN = 1;
/** Window of a new stream (hashicorp/yamux, spec.md). */
const FIRST_WINDOW_BYTES = 256 * 1024;
/** Flags that belong to the beginning of a frame that is handed on in pieces; the others belong to its end. */
const OPENING = SYN | 2;
/**
 * Shortest round trip that the growth of windows is reckoned with, milliseconds: within a machine it is 0, and a window
 * would stay so small that the sender waits for each turn of our event loop.
 */
const LEAST_ROUND_TRIP_MS = 5;

/** Multiplexer of all connections between nodes. */
export function createYamux(init: YamuxMuxerInit): () => StreamMuxerFactory {
  const createFactory = yamux(init);
  return () => {
    const factory = createFactory();
    const create = factory.createStreamMuxer.bind(factory);
    factory.createStreamMuxer = (connection) => {
      const muxer = create(connection);
      tune(muxer as unknown as YamuxInternals);
      return muxer;
    };
    return factory;
  };
}

function tune(muxer: YamuxInternals): void {
  /** Whether the bytes at hand are in memory that is used again. */
  let borrowed = false;
  const newStream = muxer._newStream.bind(muxer);
  muxer._newStream = (...args) => {
    const stream = newStream(...args);
    updateLazily(stream);
    const onData = stream.onData.bind(stream);
    stream.onData = (data) => {
      const readable = stream.readStatus === "readable" && stream.readBufferLength === 0;
      const rest = data.subarray(readable ? offerDirectly(stream, data) : 0);
      if (rest.length > 0) onData(borrowed ? rest.slice() : rest);
    };
    return stream;
  };
  const getRtt = muxer.getRTT.bind(muxer);
  muxer.getRTT = () => {
    const ms = getRtt();
    return ms < 0 ? ms : Math.max(ms, LEAST_ROUND_TRIP_MS);
  };
  const read = createReader(muxer);
  muxer.onData = (data) => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) read(chunk);
  };
  const { maConn: connection } = muxer;
  if (!isDirect(connection)) return;
  connection.onBytes = (chunk) => {
    borrowed = true;
    try {
      read(chunk);
    } catch (error) {
      muxer.abort(error as Error);
      connection.abort(error as Error);
    } finally {
      borrowed = false;
    }
  };
}

/** Windows open again when half of them was used. */
function updateLazily(stream: YamuxStreamInternals): void {
  const update = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    const used = stream.recvWindow - stream.recvWindowCapacity;
    if (stream.state !== StreamState.Established || 2 * used >= stream.recvWindow) update();
  };
}

/** Bytes that the peer may send on a frame's stream; what belongs to no stream is thrown away. */
function windowOf({ streams }: YamuxInternals, { streamID, flag }: Header): number {
  const stream = streams.find((one) => (one as unknown as YamuxStreamInternals).streamId === streamID);
  if (stream !== undefined) return (stream as unknown as YamuxStreamInternals).recvWindowCapacity;
  return (flag & SYN) === 0 ? Infinity : FIRST_WINDOW_BYTES;
}

/** Reads frames from chunks of any size; what a data frame carries is handed on in the pieces that arrive. */
function createReader(muxer: YamuxInternals): (chunk: Uint8Array) => void {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  let filled = 0;
  let frame: Header | undefined; // The data frame under way.
  let missing = 0; // Bytes of it.

  const handle = (piece: Uint8Array) => {
    const { flag, streamID, type } = frame!;
    const opening = missing + piece.length === frame!.length ? flag & OPENING : 0;
    const closing = missing === 0 ? flag & ~OPENING : 0;
    muxer.handleFrame({ header: { type, flag: opening | closing, streamID, length: piece.length }, data: piece });
    if (missing === 0) frame = undefined;
  };
  const readHeader = () => {
    filled = 0;
    if (header[0] !== 0 || header[1] !== DATA) {
      for (const control of muxer.decoder.emitFrames(header.slice())) muxer.handleFrame(control);
      return;
    }
    missing = view.getUint32(8);
    frame = { type: DATA, flag: view.getUint16(2), streamID: view.getUint32(4), length: missing };
    // In pieces it would slip through: windows open again meanwhile. The whole frame makes the multiplexer give up.
    if (missing > windowOf(muxer, frame)) muxer.handleFrame({ header: frame, data: new Uint8Array() });
    if (missing === 0) handle(new Uint8Array());
  };
  return (chunk) => {
    for (let at = 0; at < chunk.length;) {
      if (frame !== undefined) {
        const piece = chunk.subarray(at, at + missing);
        missing -= piece.length;
        at += piece.length;
        handle(piece);
      } else {
        const part = chunk.subarray(at, at + HEADER_BYTES - filled);
        header.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled === HEADER_BYTES) readHeader();
      }
    }
  };
}
