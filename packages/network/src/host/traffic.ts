import { StreamMessageEvent, type MessageStream, type Metrics } from "@libp2p/interface";
import type { DropReason, Drops } from "./drops.ts";

export interface ByteCount {
  sentBytes: number;
  receivedBytes: number;
}

/** What a host sent and received since it started. */
export interface Traffic extends ByteCount {
  /** Bytes of each libp2p protocol before encryption and multiplexing; the totals count what sockets carried. */
  readonly protocols: Readonly<Record<string, Readonly<ByteCount>>>;
  /** What arrived and was not processed, by reason. */
  readonly dropped: Partial<Record<DropReason, number>>;
}

/** Counts bytes through libp2p's metrics hook. */
export interface TrafficMeter {
  readonly metrics: () => Metrics;
  snapshot(): Traffic;
}

/** Counts what passes through a connection or stream, without listening: a listener would start its flow. */
function meter(stream: MessageStream, count: ByteCount): void {
  const send = stream.send.bind(stream);
  stream.send = (data) => {
    count.sentBytes += data.byteLength;
    return send(data);
  };
  const dispatchEvent = stream.dispatchEvent.bind(stream);
  stream.dispatchEvent = (event) => {
    if (event instanceof StreamMessageEvent) count.receivedBytes += event.data.byteLength;
    return dispatchEvent(event);
  };
}

const nothing = () => undefined;

export function createTrafficMeter(drops: Drops): TrafficMeter {
  const total: ByteCount = { sentBytes: 0, receivedBytes: 0 };
  const protocols: Record<string, ByteCount> = {};
  const gauge = { update: nothing, increment: nothing, decrement: nothing, reset: nothing, timer: () => nothing };
  const histogram = { observe: nothing, reset: nothing, timer: () => nothing };
  const metrics: Metrics = {
    trackMultiaddrConnection: (connection) => meter(connection, total),
    trackProtocolStream: (stream) => meter(stream, (protocols[stream.protocol] ??= { sentBytes: 0, receivedBytes: 0 })),
    registerMetric: () => gauge,
    registerMetricGroup: () => gauge,
    registerCounter: () => gauge,
    registerCounterGroup: () => gauge,
    registerHistogram: () => histogram,
    registerHistogramGroup: () => histogram,
    registerSummary: () => histogram,
    registerSummaryGroup: () => histogram,
    traceFunction: <F>(_name: string, traced: F) => traced,
    createTrace: nothing,
  };
  return {
    metrics: () => metrics,
    snapshot: () => ({
      ...total,
      protocols: Object.fromEntries(Object.entries(protocols).map(([name, count]) => [name, { ...count }])),
      dropped: drops.snapshot(),
    }),
  };
}
