import { StreamMessageEvent, type MessageStream, type Metrics } from "@libp2p/interface";
import { Circuit } from "@multiformats/multiaddr-matcher";
import { QuicStream } from "../transports/quic/stream.ts";
import { countDirectly } from "./direct-read.ts";
import type { DropReason, Drops } from "./drops.ts";
import { createLibp2pMetrics, type MetricSample } from "./libp2p-metrics.ts";

export interface ByteCount {
  sentBytes: number;
  receivedBytes: number;
}

export interface StreamCount {
  inbound: number;
  outbound: number;
}

/** What a host sent and received since it started. */
export interface Traffic extends ByteCount {
  /** Bytes of each libp2p protocol before encryption and multiplexing; the totals count what sockets carried. */
  readonly protocols: Readonly<Record<string, Readonly<ByteCount>>>;
  /** Streams of each protocol that peers opened, and that this node opened. */
  readonly streams: Readonly<Record<string, Readonly<StreamCount>>>;
  /** What arrived and was not processed, by reason. */
  readonly dropped: Partial<Record<DropReason, number>>;
}

/** Counts bytes through libp2p's metrics hook. */
export interface TrafficMeter {
  readonly metrics: () => Metrics;
  snapshot(): Traffic;
  /** What libp2p's parts count about themselves. */
  samples(): Promise<MetricSample[]>;
}

/** Counts what passes through a connection or stream, without listening: a listener would start its flow. */
function meter(stream: MessageStream, ...counts: ByteCount[]): void {
  const send = stream.send.bind(stream);
  stream.send = (data) => {
    for (const count of counts) count.sentBytes += data.byteLength;
    return send(data);
  };
  const dispatchEvent = stream.dispatchEvent.bind(stream);
  stream.dispatchEvent = (event) => {
    if (event instanceof StreamMessageEvent) for (const count of counts) count.receivedBytes += event.data.byteLength;
    return dispatchEvent(event);
  };
  countDirectly(stream, (bytes) => {
    for (const count of counts) count.receivedBytes += bytes;
  });
}

/** What a TCP socket counts itself; TLS takes the bytes from it without passing them through libp2p. */
interface CountingSocket {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

const socketOf = (connection: object): CountingSocket | undefined => {
  const socket = "socket" in connection ? (connection.socket as Partial<CountingSocket>) : {};
  return typeof socket.bytesRead === "number" ? (socket as CountingSocket) : undefined;
};

const add = (count: ByteCount, { bytesRead, bytesWritten }: CountingSocket): void => {
  count.receivedBytes += bytesRead;
  count.sentBytes += bytesWritten;
};

export function createTrafficMeter(drops: Drops): TrafficMeter {
  const total: ByteCount = { sentBytes: 0, receivedBytes: 0 };
  const protocols: Record<string, ByteCount> = {};
  const streams: Record<string, StreamCount> = {};
  const libp2p = createLibp2pMetrics();
  const open = new Set<CountingSocket>();
  const trackConnection = (connection: MessageStream) => {
    const socket = socketOf(connection);
    if (socket === undefined) return meter(connection, total);
    open.add(socket);
    connection.addEventListener("close", () => {
      if (open.delete(socket)) add(total, socket);
    });
  };
  const totals = (): ByteCount => {
    const sum = { ...total };
    for (const socket of open) add(sum, socket);
    return sum;
  };
  const metrics: Metrics = {
    // The bytes of a circuit are on the socket to the relay already.
    trackMultiaddrConnection: (connection) =>
      Circuit.exactMatch(connection.remoteAddr) ? undefined : trackConnection(connection),
    trackProtocolStream(stream) {
      (streams[stream.protocol] ??= { inbound: 0, outbound: 0 })[stream.direction] += 1;
      const ofProtocol = (protocols[stream.protocol] ??= { sentBytes: 0, receivedBytes: 0 });
      // Bytes of QUIC never pass through its connection, only through streams.
      meter(stream, ofProtocol, ...(stream instanceof QuicStream ? [total] : []));
    },
    ...libp2p.registrations,
    traceFunction: <F>(_name: string, traced: F) => traced,
    createTrace: () => undefined,
  };
  return {
    metrics: () => metrics,
    snapshot: () => ({
      ...totals(),
      protocols: Object.fromEntries(Object.entries(protocols).map(([name, count]) => [name, { ...count }])),
      streams: Object.fromEntries(Object.entries(streams).map(([name, count]) => [name, { ...count }])),
      dropped: drops.snapshot(),
    }),
    samples: libp2p.samples,
  };
}
