import type { Metrics } from "@libp2p/interface";

/** A figure of libp2p's parts, as Prometheus shows it. */
export interface MetricSample {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  /** Name of the label; undefined for a single value. */
  readonly label: string | undefined;
  /** By the label's value; one entry with the key "" without a label. */
  readonly values: Readonly<Record<string, number>>;
}

type Registrations = Pick<
  Metrics,
  | "registerMetric"
  | "registerMetricGroup"
  | "registerCounter"
  | "registerCounterGroup"
  | "registerHistogram"
  | "registerHistogramGroup"
  | "registerSummary"
  | "registerSummaryGroup"
>;

type Values = Record<string, number>;
interface Entry {
  readonly help: string;
  readonly type: MetricSample["type"];
  readonly label: string | undefined;
  readonly values: Map<string, number>;
  readonly calculate: (() => Values | Promise<Values>)[];
}

/** Peers choose some label values; so many are kept of one figure. */
const MAX_LABELS = 256;
const nothing = () => undefined;

/** Keeps what libp2p and its protocols count about themselves. Histograms and summaries are not kept. */
export interface Libp2pMetrics {
  readonly registrations: Registrations;
  samples(): Promise<MetricSample[]>;
}

interface Options {
  readonly label?: string;
  readonly help?: string;
  readonly calculate?: () => unknown;
}

export function createLibp2pMetrics(): Libp2pMetrics {
  const entries = new Map<string, Entry>();

  const entryOf = (name: string, type: Entry["type"], { label, help }: Options, group: boolean): Entry => {
    const known = entries.get(name);
    if (known !== undefined) return known;
    const entry = {
      type,
      label: group ? (label ?? "kind") : undefined,
      help: help ?? name,
      values: new Map<string, number>(),
      calculate: [],
    };
    entries.set(name, entry);
    return entry;
  };
  const change = ({ values }: Entry, key: string, next: (before: number) => number) => {
    if (values.has(key) || values.size < MAX_LABELS) values.set(key, next(values.get(key) ?? 0));
  };
  const by = (value: unknown): number => (typeof value === "number" ? value : 1);

  const single =
    (type: Entry["type"]) =>
    (name: string, options: Options = {}) => {
      const entry = entryOf(name, type, options, false);
      const { calculate } = options;
      if (calculate) entry.calculate.push(async () => ({ "": Number(await calculate()) }));
      return {
        update: (value: number) => change(entry, "", () => value),
        increment: (value?: number) => change(entry, "", (before) => before + (value ?? 1)),
        decrement: (value?: number) => change(entry, "", (before) => before - (value ?? 1)),
        reset: () => change(entry, "", () => 0),
        timer: () => nothing,
      };
    };
  const group =
    (type: Entry["type"]) =>
    (name: string, options: Options = {}) => {
      const entry = entryOf(name, type, options, true);
      const { calculate } = options;
      if (calculate) entry.calculate.push(async () => (await calculate()) as Values);
      const each = (values: Record<string, unknown>, next: (before: number, value: number) => number) => {
        for (const [key, value] of Object.entries(values)) change(entry, key, (before) => next(before, by(value)));
      };
      return {
        update: (values: Record<string, unknown>) => each(values, (_, value) => value),
        increment: (values: Record<string, unknown>) => each(values, (before, value) => before + value),
        decrement: (values: Record<string, unknown>) => each(values, (before, value) => before - value),
        reset: () => entry.values.clear(),
        timer: () => nothing,
      };
    };
  const histogram = () => ({ observe: nothing, reset: nothing, timer: () => nothing });

  return {
    registrations: {
      registerMetric: single("gauge") as Metrics["registerMetric"],
      registerMetricGroup: group("gauge") as Metrics["registerMetricGroup"],
      registerCounter: single("counter") as Metrics["registerCounter"],
      registerCounterGroup: group("counter") as Metrics["registerCounterGroup"],
      registerHistogram: histogram as Metrics["registerHistogram"],
      registerHistogramGroup: histogram as Metrics["registerHistogramGroup"],
      registerSummary: histogram as Metrics["registerSummary"],
      registerSummaryGroup: histogram as Metrics["registerSummaryGroup"],
    },
    samples: () => Promise.all([...entries].map(([name, entry]) => sampleOf(name, entry))),
  };
}

/** Several parts (listeners, maps) may give values of one figure. */
async function sampleOf(name: string, { help, type, label, values, calculate }: Entry): Promise<MetricSample> {
  const sum: Values = Object.fromEntries(values);
  for (const calculated of await Promise.all(calculate.map((each) => each())))
    for (const [key, value] of Object.entries(calculated).slice(0, MAX_LABELS)) sum[key] = (sum[key] ?? 0) + value;
  return { name, help, type, label, values: sum };
}
