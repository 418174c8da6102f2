// libp2p's TLS (https://github.com/libp2p/specs/blob/master/tls/tls.md) on the socket itself. @libp2p/tls passes every
// record through JavaScript streams, which costs more than the encryption: 130 MB/s instead of 350 on one core.
import type { Socket } from "node:net";
import { connect, TLSSocket, type ConnectionOptions } from "node:tls";
import type { ConnectionEncrypter, MessageStream, SecureConnectionOptions, SecuredConnection } from "@libp2p/interface";
import { PROTOCOL, tls, type TLSComponents } from "@libp2p/tls";
import { generateCertificate, verifyPeerCertificate } from "@libp2p/tls/utils";
import { NetworkError } from "../errors.ts";
import { flushBeforeClose, readDirectly, toConnection } from "./tls-connection.ts";

/** A TCP connection of libp2p: its socket, and what was read of it and not yet handled. */
interface SocketConnection extends MessageStream {
  readonly socket: Socket;
  readonly readBuffer: { readonly byteLength: number; subarray(): Uint8Array; consume(bytes: number): void };
}

const hasSocket = (connection: MessageStream): connection is SocketConnection =>
  "socket" in connection && "readBuffer" in connection && "bytesRead" in (connection.socket as object);

/** TLS 1.3 with libp2p's certificates; connections without a socket (a relayed one) take the way of @libp2p/tls. */
export function nativeTls(): (components: TLSComponents) => ConnectionEncrypter {
  return (components) => {
    const streams = tls()(components);
    let certificate: Certificate | undefined;
    const secure = (connection: SocketConnection, isServer: boolean, options?: SecureConnectionOptions) => {
      certificate ??= generateCertificate(components.privateKey);
      return secureSocket({ components, certificate, isServer }, connection, options);
    };
    return {
      protocol: PROTOCOL,
      secureInbound: (connection, options) =>
        hasSocket(connection)
          ? secure(connection, true, options)
          : overStreams(connection, streams.secureInbound(connection, options)),
      secureOutbound: (connection, options) =>
        hasSocket(connection)
          ? secure(connection, false, options)
          : overStreams(connection, streams.secureOutbound(connection, options)),
    };
  };
}

/** What comes out of @libp2p/tls, read with fewer copies. */
async function overStreams(below: MessageStream, securing: Promise<SecuredConnection>): Promise<SecuredConnection> {
  const secured = await securing;
  const { socket } = secured.connection as { socket?: unknown };
  if (socket instanceof TLSSocket) {
    readDirectly(secured.connection, socket);
    flushBeforeClose(below, socket);
  }
  return secured;
}

type Certificate = ReturnType<typeof generateCertificate>;

/** `certificate`: one for the life of the node, as in go-libp2p. */
interface Side {
  readonly components: TLSComponents;
  readonly certificate: Certificate;
  readonly isServer: boolean;
}

async function secureSocket(
  { components, certificate, isServer }: Side,
  connection: SocketConnection,
  options: SecureConnectionOptions = {},
): Promise<SecuredConnection> {
  const { signal, remotePeer: expected, skipStreamMuxerNegotiation: withoutMuxer } = options;
  takeOver(connection);
  const muxers = components.upgrader.getStreamMuxers();
  const offered = withoutMuxer === true ? [] : [...muxers.keys()];
  const settings: ConnectionOptions = {
    ...(await certificate),
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    // The certificate signs itself; what it says of the identity is verified below.
    rejectUnauthorized: false,
    ALPNProtocols: [...offered, "libp2p"],
  };
  const socket = isServer
    ? new TLSSocket(connection.socket, { ...settings, isServer, requestCert: true })
    : connect({ ...settings, socket: connection.socket });
  try {
    await handshake(socket, signal);
    const shown = socket.getPeerCertificate().raw as Uint8Array | undefined;
    if (shown === undefined) throw new NetworkError("Malformed", "the peer showed no certificate");
    const remotePeer = await verifyPeerCertificate(shown, expected, connection.log);
    const muxer = withoutMuxer === true || !socket.alpnProtocol ? undefined : muxers.get(socket.alpnProtocol);
    const secured = { remotePeer, connection: toConnection(connection, socket) };
    return muxer ? { ...secured, streamMuxer: muxer } : secured;
  } catch (error) {
    socket.destroy();
    connection.abort(error as Error);
    throw error;
  }
}

/** Gives the socket back to Node, with the bytes that came after the negotiation. */
function takeOver(connection: SocketConnection): void {
  const { socket, readBuffer } = connection;
  connection.pause();
  socket.removeAllListeners("data");
  socket.pause();
  if (readBuffer.byteLength === 0) return;
  socket.unshift(readBuffer.subarray());
  readBuffer.consume(readBuffer.byteLength);
}

async function handshake(socket: TLSSocket, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const closed = () => reject(new NetworkError("Unreachable", "the connection was closed during the handshake"));
  const abort = () => reject(signal!.reason as Error);
  // Told from within OpenSSL: whoever destroyed the socket at once, say for a wrong peer, would take its memory away.
  socket.once("secure", () => setImmediate(resolve));
  socket.on("error", reject);
  socket.once("close", closed);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    signal?.throwIfAborted();
    await promise;
  } finally {
    socket.off("close", closed);
    signal?.removeEventListener("abort", abort);
  }
}
