// A libp2p peer that keeps no rule, for attacks: from an address of its own, with or without a multiplexer.
import net from "node:net";
import { privateKeyFromRaw } from "@libp2p/crypto/keys";
import type { Connection, MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p, type Libp2p } from "libp2p";

/** What an attack knows: whom it attacks, from where, as whom, and until when. */
export interface Target {
  readonly relay: string;
  /** Number of the attack: gives addresses of 127.0.0.0/8 and identities of its own. */
  readonly number: number;
  /** The address that it comes from, instead of its own. */
  readonly from?: string;
  readonly signal: AbortSignal;
  /** Where the relay listens besides TCP. */
  readonly ports?: Ports;
}

/** Ports of a relay on 127.0.0.1. */
export interface Ports {
  readonly ws: number;
  readonly quic: number;
  readonly stun: number;
}

/** A loopback address that only this attack uses, unless it has to come from another. */
export const addressOf = ({ number, from }: Target, k = 0): string =>
  from ?? `127.0.${1 + (number % 200)}.${1 + (k % 250)}`;

const keyOf = (number: number, k: number) =>
  privateKeyFromRaw(Uint8Array.from({ length: 32 }, (_, i) => (i < 30 ? 7 : i === 30 ? number + 1 : k + 1)));

/** Who carries out attack `number`. */
export const attackerId = (number: number): string => peerIdFromPrivateKey(keyOf(number, 0)).toString();

export function portOf({ relay }: Target): { host: string; port: number } {
  const [, , host, , port] = relay.split("/");
  return { host: host!, port: Number(port) };
}

/** A plain TCP connection from address `k` of the attack; undefined if it was refused. */
export function openSocket(target: Target, k: number, port?: number): Promise<net.Socket | undefined> {
  const place = portOf(target);
  const socket = net.connect({ ...place, port: port ?? place.port, localAddress: addressOf(target, k) });
  return new Promise((resolve) => {
    socket.once("connect", () => resolve(socket));
    socket.once("close", () => resolve(undefined));
    socket.on("error", () => resolve(undefined));
  });
}

/** A peer of the attack. */
export interface Peer {
  readonly node: Libp2p;
  /** A new connection with the relay. @throws when it is refused */
  dial(): Promise<Connection>;
}

async function createPeerWith(target: Target, k: number, muxer: () => StreamMuxerFactory): Promise<Peer> {
  // @libp2p/tcp hands all options to net.connect.
  const dialOpts = { localAddress: addressOf(target, k) } as object;
  const node = await createLibp2p({
    privateKey: keyOf(target.number, k),
    addresses: { listen: [] },
    transports: [tcp({ dialOpts })],
    connectionEncrypters: [noise()],
    streamMuxers: [muxer],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
  });
  const stop = () => void Promise.resolve(node.stop()).catch(() => undefined);
  target.signal.addEventListener("abort", stop, { once: true });
  return {
    node,
    dial: () => node.dial(multiaddr(target.relay), { force: true, signal: AbortSignal.timeout(5000) }),
  };
}

/** A peer of its own identity `k`. */
export function createPeer(target: Target, k = 0): Promise<Peer> {
  const streamOptions = { maxStreamWindowSize: 2 ** 24 };
  return createPeerWith(target, k, yamux({ maxOutboundStreams: 100_000, streamOptions }));
}

/**
 * The same identity without a multiplexer: whatever is sent on its connections are the frames.
 * @returns function that opens such a connection
 */
export async function createRawPeer(target: Target): Promise<() => Promise<MessageStream>> {
  const captured: MessageStream[] = [];
  const peer = await createPeerWith(target, 0, () => ({
    protocol: "/yamux/1.0.0",
    createStreamMuxer: (stream) => captureInto(captured, stream),
  }));
  return async () => {
    await peer.dial();
    return captured.pop()!;
  };
}

function captureInto(captured: MessageStream[], stream: MessageStream): StreamMuxer {
  captured.push(stream);
  stream.addEventListener("message", () => undefined);
  return Object.assign(new EventTarget(), {
    protocol: "/yamux/1.0.0",
    status: "open",
    streams: [] as Stream[],
    close: async () => undefined,
    abort: () => undefined,
  }) as unknown as StreamMuxer;
}

/** Sends until the signal aborts or the other side ends it, with a pause whenever it should wait or a turn is over. */
export async function keepSending(
  stream: MessageStream,
  signal: AbortSignal,
  next: () => Uint8Array | undefined,
): Promise<void> {
  while (!signal.aborted && stream.status === "open") {
    for (let i = 0; i < 64 && stream.status === "open"; i++) {
      const bytes = next();
      if (bytes === undefined) break;
      if (!stream.send(bytes)) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Resolves when the connection is over, whoever ended it, or the signal aborts. */
export async function untilEnded(connection: { status: string }, signal: AbortSignal): Promise<void> {
  while (connection.status === "open" && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20));
}
