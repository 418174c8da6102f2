import { quic as libp2pQuic } from "@chainsafe/libp2p-quic";
import type { StreamMuxerFactory, Transport, Upgrader } from "@libp2p/interface";
import { untilAborted } from "../../timing/until-aborted.ts";
import { changedUpgrader, ipOf, withUpgrader, type NetworkTransport } from "../transport.ts";
import { quicMuxer } from "./muxer.ts";
import type { NativeConnection } from "./native.ts";

/** Streams of one connection that a peer may have open. */
const MAX_STREAMS = 1024;
/** What a stream may hold unread; a quarter of what a connection may. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

type Components = Parameters<ReturnType<typeof libp2pQuic>>[0];

/** QUIC with our streams: the library's do not hold back a sender. */
function withOurStreams(upgrader: Upgrader): Upgrader {
  const ours = <T extends { muxerFactory?: StreamMuxerFactory }>(options: T): T => {
    const { init } = options.muxerFactory as unknown as { init: { connection: NativeConnection } };
    return { ...options, muxerFactory: quicMuxer(init.connection) };
  };
  return changedUpgrader(upgrader, {
    upgradeOutbound: (maConn, options) => upgrader.upgradeOutbound(maConn, ours(options)),
    upgradeInbound: (maConn, options) => upgrader.upgradeInbound(maConn, ours(options)),
  });
}

/** The library's dial knows no signal: without this a silent address would block for its handshake's time limit. */
function withSignal(transport: Transport): Transport {
  const dial = transport.dial.bind(transport);
  transport.dial = (address, options) => untilAborted(dial(address, options), options.signal);
  return transport;
}

/** QUIC: streams that do not wait for each other, over UDP. Node only. */
export function quic(): NetworkTransport {
  const create = libp2pQuic({
    maxConcurrentStreamLimit: MAX_STREAMS,
    maxStreamData: MAX_UNREAD_BYTES,
    maxConnectionData: 4 * MAX_UNREAD_BYTES,
    keepAliveInterval: 3000,
    maxIdleTimeout: 8000,
  });
  return {
    name: "quic",
    protection: "transport",
    listenAddress: (host, port) => `${ipOf(host)}/udp/${port}/quic-v1`,
    create: () => (components: Components) => withSignal(withUpgrader(create(components), withOurStreams)),
  };
}
