import type { CircuitFigures, Host, MetricSample } from "@skynet/network";
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { CountedStore } from "./counted-store.ts";

/** What the figures come from. */
export interface MetricSources {
  readonly host: Host;
  readonly store: CountedStore;
  /** Of secure WebSockets; `endMs` in milliseconds since the epoch. */
  readonly certificate: () => { readonly names: string; readonly endMs: number } | undefined;
}

export interface RelayMetrics {
  readonly contentType: string;
  text(): Promise<string>;
  close(): void;
}

/** By label value; "" where there is no label. */
type Values = readonly (readonly [labels: Record<string, string>, value: number])[];

/**
 * Figures of a relay in Prometheus' form, read when they are asked for: its own (`skynet_relay_*`), those of its
 * process (`process_*`, `nodejs_*`: memory, processor, event-loop lag), and those of libp2p (`libp2p_*`).
 */
export function createRelayMetrics(sources: MetricSources): RelayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { host } = sources;
  const relayed = { messages: 0, bytes: 0 };
  const endTap = host.tap((bytes) => {
    relayed.messages += 1;
    relayed.bytes += bytes.length;
  });
  addTraffic(registry, host);
  addMessages(registry, sources, relayed);
  addPeers(registry, sources);
  const known = new Map<string, Gauge>();
  return {
    contentType: registry.contentType,
    text: async () => {
      for (const sample of await host.metrics()) showLibp2p(registry, known, sample);
      return registry.metrics();
    },
    close: () => {
      endTap();
      registry.clear();
    },
  };
}

/** A figure that grew elsewhere. */
function counter(registry: Registry, name: string, help: string, labelNames: string[], read: () => Values): void {
  const figure = new Counter({
    name: `skynet_relay_${name}`,
    help,
    labelNames,
    registers: [],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
  registry.registerMetric(figure);
}

function gauge(registry: Registry, name: string, help: string, labelNames: string[], read: () => Values): void {
  const figure = new Gauge({
    name: `skynet_relay_${name}`,
    help,
    labelNames,
    registers: [],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    },
  });
  registry.registerMetric(figure);
}

const entries = <Value>(
  record: Readonly<Record<string, Value>>,
  label: string,
  read: (value: Value) => number,
): Values => Object.entries(record).map(([key, value]) => [{ [label]: key }, read(value)] as const);

function addTraffic(registry: Registry, host: Host): void {
  const one = (value: number): Values => [[{}, value]];
  const each = (read: (count: { sentBytes: number; receivedBytes: number }) => number) => () =>
    entries(host.traffic().protocols, "protocol", read);
  counter(registry, "received_bytes_total", "Bytes that connections brought.", [], () =>
    one(host.traffic().receivedBytes),
  );
  counter(registry, "sent_bytes_total", "Bytes sent over connections.", [], () => one(host.traffic().sentBytes));
  const inner = "before encryption and multiplexing, by protocol";
  counter(
    registry,
    "protocol_received_bytes_total",
    `Bytes received ${inner}.`,
    ["protocol"],
    each((c) => c.receivedBytes),
  );
  counter(
    registry,
    "protocol_sent_bytes_total",
    `Bytes sent ${inner}.`,
    ["protocol"],
    each((c) => c.sentBytes),
  );
  const streams = "Streams opened: by peers (inbound: requests to a service) or by this relay.";
  counter(registry, "streams_total", streams, ["protocol", "direction"], () =>
    Object.entries(host.traffic().streams).flatMap(([protocol, { inbound, outbound }]) => [
      [{ protocol, direction: "inbound" }, inbound] as const,
      [{ protocol, direction: "outbound" }, outbound] as const,
    ]),
  );
  const dropped = "What arrived and was not processed, by reason; refusals of services and connections are among them.";
  counter(registry, "dropped_total", dropped, ["reason"], () =>
    entries(host.traffic().dropped, "reason", (n) => n ?? 0),
  );
}

function addMessages(
  registry: Registry,
  { host, store }: MetricSources,
  relayed: { readonly messages: number; readonly bytes: number },
): void {
  const one = (read: () => number) => (): Values => [[{}, read()]];
  counter(
    registry,
    "messages_total",
    "Messages that neighbours published and this relay took.",
    [],
    one(() => relayed.messages),
  );
  counter(
    registry,
    "message_bytes_total",
    "Bytes of these messages.",
    [],
    one(() => relayed.bytes),
  );
  counter(
    registry,
    "messages_stored_total",
    "Messages put into the history.",
    [],
    one(() => store.counts.added),
  );
  counter(
    registry,
    "store_queries_total",
    "Questions to the history.",
    [],
    one(() => store.counts.queries),
  );
  counter(
    registry,
    "store_failures_total",
    "Writes and reads of the history that failed.",
    [],
    one(() => store.counts.failures),
  );
  gauge(
    registry,
    "filter_subscribers",
    "Light nodes that messages are pushed to.",
    [],
    one(() => host.serviceSize()?.subscribers ?? 0),
  );
  gauge(
    registry,
    "store_messages",
    "Messages in the history.",
    [],
    one(() => store.size().messages),
  );
  gauge(
    registry,
    "store_bytes",
    "Bytes of the messages in the history.",
    [],
    one(() => store.size().bytes),
  );
}

function addPeers(registry: Registry, { host, certificate }: MetricSources): void {
  gauge(registry, "connections", "Open connections.", ["transport", "direction"], () => {
    const counts = new Map<string, number>();
    for (const { kind, direction } of host.connections()) {
      const key = `${kind} ${direction}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].map(([key, count]) => {
      const [transport, direction] = key.split(" ") as [string, string];
      return [{ transport, direction }, count] as const;
    });
  });
  gauge(registry, "peers", "Nodes with an open connection.", [], () => [[{}, host.peers().length]]);
  gauge(registry, "known_relays", "Other relays, by what this one knows of them.", ["state"], () => {
    const states: Record<string, number> = {};
    for (const { state } of host.relays()) states[state] = (states[state] ?? 0) + 1;
    return entries(states, "state", (count) => count);
  });
  gauge(registry, "offending_peers", "Peers with offences held against them.", [], () => [[{}, host.scores().length]]);
  const circuits = (read: (figures: CircuitFigures) => number) => (): Values => {
    const figures = host.circuits();
    return figures === undefined ? [] : [[{}, read(figures)]];
  };
  const lent = "Nodes that may be reached through this relay.";
  const reservations = circuits((it) => it.reservations);
  gauge(registry, "circuit_reservations", lent, [], reservations);
  const open = circuits((it) => it.circuits);
  gauge(registry, "circuits", "Connections between two nodes that this relay carries.", [], open);
  const carried = circuits((it) => it.bytes);
  counter(registry, "circuit_bytes_total", "Bytes that circuits carried, in both directions.", [], carried);
  counter(registry, "circuits_refused_total", "Reservations and circuits above the limits.", ["what"], () => {
    const { refusedReservations = 0, refusedCircuits = 0 } = host.circuits() ?? {};
    return [
      [{ what: "reservation" }, refusedReservations],
      [{ what: "circuit" }, refusedCircuits],
    ];
  });
  const end = "When the TLS certificate ends, seconds since the epoch.";
  gauge(registry, "certificate_end_seconds", end, ["names"], () => {
    const used = certificate();
    return used === undefined ? [] : [[{ names: used.names }, used.endMs / 1000]];
  });
}

/** libp2p's figures come and go with its parts, so each is registered when it is first seen. */
function showLibp2p(registry: Registry, known: Map<string, Gauge>, sample: MetricSample): void {
  const { name, help, label, values } = sample;
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name.replaceAll("-", "_"))) return;
  let figure = known.get(name);
  if (figure === undefined) {
    const labelNames = label === undefined ? [] : [label];
    figure = new Gauge({ name: name.replaceAll("-", "_"), help, labelNames, registers: [registry] });
    known.set(name, figure);
  }
  figure.reset();
  for (const [key, value] of Object.entries(values))
    if (Number.isFinite(value)) figure.set(label === undefined ? {} : { [label]: key }, value);
}
