import fs from "node:fs/promises";
import path from "node:path";
import {
  createHost,
  createIdentity,
  createMemoryMessageStore,
  type Host,
  type HostOptions,
  type MessageStore,
  type ServicesOptions,
} from "@skynet/network";
import { openSqliteMessageStore } from "@skynet/network/node";
import type { Log } from "@skynet/swarm";
import { InvalidInputError, type Hex } from "@skynet/protocol";
import type { Bootstrap } from "../../runtime/bootstrap.ts";
import { openChain } from "../../runtime/chain.ts";
import { openDiscovery } from "../../runtime/discovery.ts";
import { noteKeyUse } from "../../runtime/key-use.ts";
import { lockFolder } from "../../runtime/lock.ts";
import { openLog, type LogOptions } from "../../runtime/log.ts";
import { sponsoringRole } from "../../sponsor/finding.ts";
import { startSponsor, type Sponsor, type SponsorLimits } from "../../sponsor/sponsor.ts";
import { keepCertificate, type CertificateFiles, type CertificateKeeper } from "./certificate.ts";
import { defined, type RelayConfig } from "./config.ts";
import { countStore, type CountedStore } from "./counted-store.ts";
import { keepListed } from "./listing.ts";
import { startMonitor, type Monitor, type Readiness } from "./http.ts";
import { createRelayMetrics } from "./metrics.ts";

export interface RelayOptions {
  readonly privateKey: Uint8Array;
  readonly listen: readonly string[];
  readonly dataDir: string;
  /** Told to others instead of the listen addresses. */
  readonly announce?: readonly string[] | undefined;
  /** Ask the router to forward the ports, where this relay listens on a private network (true). */
  readonly upnp?: boolean | undefined;
  /** Other relays to stay connected to. */
  readonly relays?: readonly string[] | undefined;
  /** A signed list of other relays. */
  readonly bootstrap?: Bootstrap | undefined;
  /** RPC of a chain whose list of relays is read; the chains of `register` and `sponsor` are read anyway. */
  readonly rpc?: string | undefined;
  /** RPC of the chain on whose list this relay is while it runs. */
  readonly register?: string | undefined;
  readonly network?: RelayConfig["network"];
  readonly tls?: CertificateFiles | undefined;
  /** Where /metrics, /healthz and /readyz are served; nowhere by default. */
  readonly metrics?: { readonly host: string; readonly port: number } | undefined;
  readonly log?: LogOptions | undefined;
  readonly store?: RelayConfig["store"];
  readonly limits?: HostOptions["limits"] | undefined;
  readonly services?: RelayConfig["services"];
  readonly circuits?: RelayConfig["circuits"];
  readonly stun?: RelayConfig["stun"];
  /** The relay pays the gas of workers. */
  readonly sponsor?: RelaySponsoring | undefined;
}

export interface RelaySponsoring {
  readonly rpcUrl: string;
  /** Only these jobs; every one when none is named. */
  readonly jobs: readonly Hex[];
  readonly limits?: Partial<SponsorLimits>;
}

export interface Relay {
  readonly host: Host;
  readonly sponsor: Sponsor | undefined;
  /** Of the metrics, if they are served. */
  readonly monitorUrl: string | undefined;
  readiness(): Promise<Readiness>;
  /** Reads the certificate again. @throws FileError as at the start; the old one stays in use then */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A node that carries everybody's messages and keeps a history of them; it pays gas, and is on the chain's list of relays,
 * if it is told to.
 * @throws ChainError `ChainUnreachable`, `NotDeployed`, `NoGasMoney`; SkyNetError `NoPublicAddress`; FileError `BrokenBudgetFile`, `BadCertificate`, `FolderInUse`;
 *   NetworkError `PortInUse`, `BadOption`, `BrokenHistory`; InvalidInputError `NoCertificate`
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  checkCertified(options);
  const unlock = lockFolder(options.dataDir);
  const opened: (() => unknown)[] = [unlock];
  const stop = async () => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  try {
    return await open(options, (close) => void opened.push(close), stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Without a certificate a secure listen address would open a port that nobody can speak to. */
function checkCertified({ listen, tls }: RelayOptions): void {
  const secure = listen.find((address) => /\/(wss|tls\/(sni\/[^/]+\/)?ws)(\/|$)/.test(address));
  if (secure === undefined || tls !== undefined) return;
  throw new InvalidInputError("NoCertificate", `${secure} needs a certificate, and none is given`, {
    hint: "name its files with --tls-cert and --tls-key, or listen on /ws behind a reverse proxy (docs/relay.md)",
  });
}

async function open(
  options: RelayOptions,
  closing: (close: () => unknown) => void,
  stop: () => Promise<void>,
): Promise<Relay> {
  const { privateKey, dataDir, sponsor: sponsoring, register } = options;
  const log = openLog(dataDir, "relay", options.log);
  const identity = createIdentity(privateKey);
  await noteKeyUse(dataDir, { address: identity.address, role: "relay" });
  const rpcUrl = sponsoring?.rpcUrl ?? register ?? options.rpc;
  const chain = rpcUrl === undefined ? undefined : await openChain(rpcUrl, privateKey);
  const { bootstrap, network: { cluster } = {} } = options;
  const discovery = await openDiscovery({ dataDir, log, bootstrap, chain, cluster });
  const keeper = options.tls && (await keepCertificate(options.tls, log));
  if (keeper) closing(() => keeper.close());
  const store = countStore(openStore(options));
  const role = sponsoring ? sponsoringRole("relay") : "relay";
  const services = servicesOf(options, store);
  const hosting = createHost({ ...hostOptions(options), ...discovery, identity, services, role, log });
  const host = await hosting.catch((error: unknown) => {
    store.close();
    throw error;
  });
  closing(() => host.stop());
  keeper?.use((certificate) => host.useCertificate(certificate));
  const readiness = () => readinessOf(host, store, options);
  const monitor = options.metrics && (await monitorOf(options.metrics, { host, store, keeper, readiness }));
  if (monitor) closing(() => monitor.close());
  const sponsor = sponsoring && chain ? await sponsorOf(host, chain, log, sponsoring, dataDir) : undefined;
  if (register !== undefined && chain) {
    const multiaddrs = () => host.multiaddrs();
    const listing = await keepListed({ chain, multiaddrs, log, signal: host.signal });
    closing(() => listing.withdraw());
  }
  const reload = async () => keeper?.reload();
  return { host, sponsor, monitorUrl: monitor?.url, readiness, reload, stop };
}

/** The usual port of STUN; a relay for this machine alone takes a free one, as it does for its other ports. */
function stunPort(listen: readonly string[]): number {
  return listen.every((address) => /^\/ip[46]\/(127\.|::1\/)/.test(address)) ? 0 : 3478;
}

function hostOptions({ listen, announce, upnp = true, relays, network, limits, stun, circuits = {} }: RelayOptions) {
  const { cluster, shard } = network ?? {};
  const { reservations, perAddress, reservationTime, data, time, perNode, open, bytesPerSecond } = circuits;
  return {
    listen,
    relays: relays ?? [],
    relayService: true,
    ...(announce ? { announce } : {}),
    ...(cluster === undefined ? {} : { clusterId: cluster }),
    ...(shard === undefined ? {} : { shard }),
    ...(limits ? { limits } : {}),
    ...(stun === "off" ? {} : { stun: { port: stun ?? stunPort(listen) } }),
    upnp,
    circuits: defined({
      maxReservations: reservations,
      maxReservationsPerAddress: perAddress,
      reservationMs: reservationTime,
      maxBytesPerCircuit: data,
      maxMsPerCircuit: time,
      maxCircuitsPerNode: perNode,
      maxCircuits: open,
      circuitBytesPerSecond: bytesPerSecond,
    }),
  };
}

function servicesOf({ services = {} }: RelayOptions, store: CountedStore): ServicesOptions {
  const { filterPeers, filterTopicsPerPeer, filterIdle, ...rates } = services;
  const filterLimits = { maxPeers: filterPeers, maxTopicsPerPeer: filterTopicsPerPeer, maxIdleMs: filterIdle };
  return { store, rates: defined(rates), filterLimits: defined(filterLimits) };
}

function openStore({ store = {}, dataDir }: RelayOptions): MessageStore {
  const { kind = "disk", maxAge, maxSize, maxMessages } = store;
  const limits = defined({ maxAgeMs: maxAge, maxBytes: maxSize, maxMessages });
  if (kind === "memory") return createMemoryMessageStore({ limits });
  return openSqliteMessageStore(path.join(dataDir, "messages.sqlite"), { limits });
}

interface Monitored {
  readonly host: Host;
  readonly store: CountedStore;
  readonly keeper: CertificateKeeper | undefined;
  readonly readiness: () => Promise<Readiness>;
}

async function monitorOf(
  place: { readonly host: string; readonly port: number },
  { host, store, keeper, readiness }: Monitored,
): Promise<Monitor> {
  const metrics = createRelayMetrics({ host, store, certificate: () => keeper?.current() });
  const monitor = await startMonitor({
    ...place,
    readiness,
    metrics: metrics.text,
    metricsType: metrics.contentType,
  });
  return {
    url: monitor.url,
    close: async () => {
      await monitor.close();
      metrics.close();
    },
  };
}

/** Below this the history and the address book could not be written. */
const LEAST_FREE_BYTES = 16 * 1024 * 1024;

/** Ready: it listens, its folder can be written, and one of the relays that it was told of is connected. */
async function readinessOf(host: Host, store: CountedStore, options: RelayOptions): Promise<Readiness> {
  const listening = !host.signal.aborted && host.multiaddrs().length > 0;
  const writable = await isWritable(options.dataDir);
  const relays = host.relays().filter(({ state }) => state === "live").length;
  const alone = (options.relays ?? []).length > 0 && relays === 0;
  const ready = listening && writable && !alone;
  return { ready, listening, writable, relays, peers: host.peers().length, stored: store.size().messages };
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await fs.access(folder, fs.constants.W_OK);
    const { bavail, bsize } = await fs.statfs(folder);
    return bavail * bsize >= LEAST_FREE_BYTES;
  } catch {
    return false;
  }
}

function sponsorOf(
  host: Host,
  chain: Awaited<ReturnType<typeof openChain>>,
  log: Log,
  { jobs, limits }: RelaySponsoring,
  dataDir: string,
): Promise<Sponsor> {
  return startSponsor({
    host,
    chain,
    log,
    signal: host.signal,
    file: path.join(dataDir, "sponsor.json"),
    chooses: (job) => jobs.length === 0 || jobs.includes(job),
    ...(limits ? { limits } : {}),
  });
}
