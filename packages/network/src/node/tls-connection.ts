// A TLS socket of Node as a connection of libp2p.
import type { AbortOptions, MessageStream } from "@libp2p/interface";
import { toMessageStream } from "@libp2p/tls/utils";
import type { TLSSocket } from "node:tls";
import type { DirectConnection } from "../host/direct-read.ts";
import { untilAborted } from "../timing/until-aborted.ts";

/** A TLS record has at most 16 KiB, and Node hands out one at a time. */
const READ_BYTES = 16 * 1024;

interface SecureStream extends MessageStream {
  readonly readStatus: string;
  onData(data: Uint8Array): void;
  sendData(data: Iterable<Uint8Array>): { sentBytes: number; canSendMore: boolean };
}

/** Bytes and calls of @libp2p/tls's connection, with fewer copies and calls for each. */
export function toConnection(connection: MessageStream, socket: TLSSocket): MessageStream {
  const secure = toMessageStream(connection, socket);
  (secure as unknown as SecureStream).sendData = (data) => sendData(socket, data);
  readDirectly(secure, socket);
  flushBeforeClose(connection, socket);
  return secure;
}

/**
 * libp2p closes the connection below TLS, which would throw away what TLS still has to write: all that was sent in the
 * last moment before a node stops.
 */
export function flushBeforeClose(below: MessageStream, socket: TLSSocket): void {
  const close = below.close.bind(below);
  below.close = async (options?: AbortOptions) => {
    if (!socket.destroyed) {
      const flushed = new Promise<void>((resolve) => {
        socket.once("close", resolve);
        socket.end(resolve);
      });
      await untilAborted(flushed, options?.signal);
    }
    await close(options);
  };
}

/** Lets a multiplexer take the bytes of a connection of @libp2p/tls from the memory that they were read into. */
export function readDirectly(connection: MessageStream, socket: TLSSocket): void {
  const secure = connection as unknown as SecureStream & DirectConnection;
  secure.onBytes = undefined;
  readInPlace(socket, (chunk) => {
    const direct = secure.readStatus === "readable" && secure.readBufferLength === 0;
    if (direct && secure.onBytes !== undefined) secure.onBytes(chunk);
    else secure.onData(chunk.slice());
  });
}

function sendData(socket: TLSSocket, data: Iterable<Uint8Array>): { sentBytes: number; canSendMore: boolean } {
  let sentBytes = 0;
  let canSendMore = true;
  for (const part of data) {
    sentBytes += part.byteLength;
    canSendMore = socket.write(part);
  }
  return { sentBytes, canSendMore };
}

interface Handle {
  useUserBuffer?(buffer: Uint8Array): void;
}

/**
 * Reads a socket into one buffer, as the option `onread` of net.connect does, which TLS over an open socket ignores.
 * Otherwise Node allocates an ArrayBuffer for every record, and each 64 MiB of them make V8 collect all garbage. Where
 * Node has changed inside, the usual events remain.
 */
function readInPlace(socket: TLSSocket, onBytes: (chunk: Uint8Array) => void): void {
  const symbols = Object.getOwnPropertySymbols(socket);
  const find = (name: string) => symbols.find(({ description }) => description === name);
  const [buffer, callback] = [find("kBuffer"), find("kBufferCb")];
  const { _handle: handle } = socket as unknown as { _handle: Handle | null };
  if (buffer === undefined || callback === undefined || typeof handle?.useUserBuffer !== "function") return;
  const memory = new Uint8Array(READ_BYTES);
  const onRead = (count: number) => {
    try {
      onBytes(memory.subarray(0, count));
    } catch (error) {
      socket.destroy(error as Error);
    }
  };
  Object.assign(socket, { [buffer]: memory, [callback]: onRead });
  handle.useUserBuffer(memory);
}
