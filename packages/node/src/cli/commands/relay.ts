import path from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import { checkMultiaddrs } from "@skynet/network";
import { InvalidInputError, type Hex } from "@skynet/protocol";
import { endpoint, readRelayConfig, type RelayConfig } from "../../roles/relay/config.ts";
import { DEFAULT_CONFIG } from "../../roles/relay/default-config.ts";
import { startRelay, type Relay, type RelaySponsoring } from "../../roles/relay/relay.ts";
import { duration, size } from "../../roles/relay/units.ts";
import { parseBootstrap } from "../../runtime/bootstrap.ts";
import { warnOnStderr } from "../../runtime/secret-files.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import {
  bootstrapOption,
  homeDir,
  integer,
  jsonOption,
  resolveRpc,
  upnpOption,
  withUi,
  type JsonOption,
} from "../options.ts";
import type { Ui } from "../ui.ts";
import { writeNote } from "../terminal.ts";

interface RelayFlags extends JsonOption {
  readonly config?: string;
  readonly printConfig?: true;
  readonly keystore?: string;
  readonly passphraseFile?: string;
  readonly listen?: string[];
  readonly announce?: string[];
  readonly relay?: string[];
  readonly data?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly metrics?: RelayConfig["metrics"] | "off";
  readonly maxConnections?: number;
  readonly storeAge?: number;
  readonly storeSize?: number;
  readonly logTo?: "file" | "stderr";
  readonly logLevel?: "debug" | "info" | "warn" | "error";
  readonly shutdown?: number;
  readonly upnp: boolean;
  readonly bootstrap?: string;
  readonly register?: true;
  readonly sponsor?: true;
  readonly rpc?: string;
  readonly sponsorJob?: Hex[];
  readonly sponsorBudget?: number;
  readonly sponsorWorkerBudget?: number;
}

const MILLION = 1_000_000n;
const DEFAULT_SHUTDOWN_MS = 10_000;

function jobId(text: string, before: Hex[] = []): Hex[] {
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError("the id of a job is needed: 0x and 64 digits");
  return [...before, text.toLowerCase() as Hex];
}

function multiaddrs(text: string, before: string[] = []): string[] {
  try {
    checkMultiaddrs([text]);
  } catch {
    throw new InvalidArgumentError("a multiaddr is needed, such as /ip4/0.0.0.0/tcp/60000");
  }
  return [...before, text];
}

/** Value of a flag that a key of the configuration file has, too. */
const parsedBy =
  <Value>(schema: {
    safeParse(text: string): { success: boolean; data?: Value; error?: { issues: { message: string }[] } };
  }) =>
  (text: string): Value => {
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data!;
    throw new InvalidArgumentError(parsed.error!.issues[0]!.message);
  };

/** `skynet relay`: a node that carries the others' messages; it cannot read those of a job. */
export function addRelay(program: Command): void {
  const command = program
    .command("relay")
    .description("run a relay node: it carries messages between nodes and reads none of a job's")
    .option("--config <file>", "configuration file; flags win over it (docs/relay.md)")
    .option("--print-config", "write a configuration file with every key and its default, and end")
    .option("--listen <multiaddr>", "address to listen on, may be repeated (default: a free loopback port)", multiaddrs)
    .option("--announce <multiaddr>", "address to tell others instead, may be repeated", multiaddrs)
    .addOption(upnpOption())
    .option("--relay <multiaddr>", "another relay to stay connected to, may be repeated", multiaddrs)
    .option("--keystore <file>", "key of the relay (default: wallet.json in the home folder)")
    .option("--passphrase-file <file>", "file with the key's passphrase (default: SKYNET_PASSPHRASE, else asked for)")
    .option("--data <folder>", "folder for history and log (default: relay in the home folder)")
    .option("--tls-cert <file>", "certificate chain of secure WebSockets (/wss), PEM")
    .option("--tls-key <file>", "its private key, PEM")
    .option("--metrics <host:port>", "serve metrics and health there, such as 127.0.0.1:9464 (default: off)", metrics)
    .option("--max-connections <n>", "most open connections", integer(1, 1_000_000))
    .option("--store-age <time>", "how long messages are kept, such as 7d", parsedBy<number>(duration))
    .option("--store-size <size>", "most bytes of kept messages, such as 1GiB", parsedBy<number>(size))
    .addOption(new Option("--log-to <place>", "where the log goes (default: file)").choices(["file", "stderr"]))
    .addOption(
      new Option("--log-level <level>", "least important lines to log").choices(["debug", "info", "warn", "error"]),
    )
    .option("--shutdown <time>", "longest time that a stop may take (default: 10s)", parsedBy<number>(duration));
  addChainOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExamples:\n  $ npx skynet relay --listen /ip4/127.0.0.1/tcp/60000 --keystore relay.json\n  $ npx skynet relay --print-config > relay.yaml\n  $ npx skynet relay --config relay.yaml",
    )
    .action((flags: RelayFlags) => withUi(flags, (ui) => (flags.printConfig ? printConfig() : run(ui, flags))));
}

const metrics = (text: string) => parsedBy<RelayConfig["metrics"]>(endpoint)(text) ?? "off";

function addChainOptions(command: Command): Command {
  return command
    .addOption(bootstrapOption())
    .option(
      "--register",
      "be on the chain's list of relays while this one runs, so that nodes find it; locks 0.01 ether; needs --rpc",
    )
    .option("--sponsor", "pay the gas of workers without ether, from this relay's wallet; needs --rpc")
    .addOption(
      new Option(
        "--rpc <url>",
        "chain whose list of relays is read, and to pay and to register on (default of these two: SKYNET_RPC, else the devnet that runs here)",
      ),
    )
    .addOption(
      new Option("--sponsor-job <id>", "pay only for this job, may be repeated (default: all)").argParser(jobId),
    )
    .option("--sponsor-budget <Mgas>", "most gas to pay in a day, in millions (200)", integer(1, 1_000_000))
    .option(
      "--sponsor-worker-budget <Mgas>",
      "most gas to pay for one worker in one job and day (40)",
      integer(1, 1_000_000),
    );
}

async function printConfig(): Promise<void> {
  process.stdout.write(DEFAULT_CONFIG);
}

async function run(ui: Ui, flags: RelayFlags): Promise<void> {
  const config = flags.config === undefined ? {} : await readRelayConfig(flags.config);
  let reload: () => void = () => undefined;
  const signal = shutdownSignal(() => reload());
  const relay = await start(config, flags);
  reload = () =>
    void relay.reload().catch((error: unknown) => {
      writeNote(`error: ${(error as Error).message}; the old certificate stays in use`);
    });
  const addresses = relay.host.multiaddrs();
  ui.event("listening", { multiaddrs: addresses, ...(relay.monitorUrl ? { metrics: relay.monitorUrl } : {}) });
  ui.line(`relay ready; connect other nodes with\n${addresses.map((address) => `  --relay ${address}`).join("\n")}`);
  if (relay.monitorUrl) ui.line(`metrics: ${relay.monitorUrl}/metrics`);
  if (flags.register ?? config.register) ui.line("it is on the chain's list of relays until it stops");
  if (relay.sponsor) ui.line(`it pays gas for workers, from ${relay.host.identity.address}`);
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  const late = await stopWithin(relay, flags.shutdown ?? config.shutdown ?? DEFAULT_SHUTDOWN_MS);
  ui.line(late ? "relay stopped without waiting for everything that was going on" : "relay stopped");
}

async function start(config: RelayConfig, flags: RelayFlags): Promise<Relay> {
  const passphraseFile = flags.passphraseFile ?? config.passphraseFile;
  const keystore = flags.keystore ?? config.keystore ?? path.join(homeDir(), "wallet.json");
  const privateKey = await openKeystore(
    keystore,
    await readPassphrase({ passphraseFile }, "Passphrase of the relay's wallet"),
  );
  const bootstrap = flags.bootstrap ?? config.bootstrap;
  const { storeAge, storeSize, maxConnections, logTo, logLevel } = flags;
  const place = flags.metrics === "off" ? undefined : (flags.metrics ?? config.metrics);
  if (place !== undefined && !/^(127\.|localhost$|::1$)/.test(place.host))
    warnOnStderr(`metrics are served on ${place.host}: whoever reaches that address can read them`);
  return startRelay({
    privateKey,
    listen: flags.listen ?? config.listen ?? ["/ip4/127.0.0.1/tcp/0"],
    announce: flags.announce ?? config.announce,
    upnp: flags.upnp && (config.upnp ?? true),
    relays: flags.relay ?? config.relays,
    bootstrap: bootstrap === undefined ? undefined : parseBootstrap(bootstrap),
    rpc: flags.rpc ?? config.rpc,
    register: (flags.register ?? config.register) ? chainOf(config, flags) : undefined,
    network: config.network,
    dataDir: path.resolve(flags.data ?? config.data ?? path.join(homeDir(), "relay")),
    tls: tlsOf(config, flags),
    metrics: place,
    log: { ...config.log, ...(logTo ? { to: logTo } : {}), ...(logLevel ? { level: logLevel } : {}) },
    store: {
      ...config.store,
      ...(storeAge === undefined ? {} : { maxAge: storeAge }),
      ...(storeSize === undefined ? {} : { maxSize: storeSize }),
    },
    limits: { ...config.limits, ...(maxConnections === undefined ? {} : { connections: maxConnections }) },
    services: config.services,
    circuits: config.circuits,
    stun: config.stun,
    sponsor: sponsoringOf(config, flags),
  });
}

/** @throws InvalidInputError `HalfCertificate` when one of the two files is missing */
function tlsOf({ tls }: RelayConfig, { tlsCert, tlsKey }: RelayFlags) {
  const cert = tlsCert ?? tls?.cert;
  const key = tlsKey ?? tls?.key;
  if (cert === undefined && key === undefined) return undefined;
  if (cert !== undefined && key !== undefined) return { cert: path.resolve(cert), key: path.resolve(key) };
  throw new InvalidInputError("HalfCertificate", "--tls-cert and --tls-key belong together", {
    hint: "give both, or neither",
  });
}

/** @throws SkyNetError `NoConnection` */
function sponsoringOf(config: RelayConfig, flags: RelayFlags): RelaySponsoring | undefined {
  const { sponsor } = config;
  if (!flags.sponsor && sponsor === undefined) return undefined;
  const dayGas = BigInt(flags.sponsorBudget ?? sponsor?.dayMgas ?? 200) * MILLION;
  const workerGas = BigInt(flags.sponsorWorkerBudget ?? sponsor?.workerMgas ?? 40) * MILLION;
  return {
    rpcUrl: chainOf(config, flags),
    jobs: flags.sponsorJob ?? sponsor?.jobs ?? [],
    limits: { dayGas, jobGas: dayGas, workerGas },
  };
}

/** @throws SkyNetError `NoConnection` */
function chainOf(config: RelayConfig, flags: RelayFlags): string {
  const rpc = flags.rpc ?? config.rpc ?? process.env.SKYNET_RPC;
  return resolveRpc(rpc === undefined ? {} : { rpc });
}

/** Stops the relay; after that time it is left as it is. @returns whether it was too late */
async function stopWithin(relay: Relay, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), ms);
  });
  try {
    return await Promise.race([relay.stop().then(() => false), late]);
  } finally {
    clearTimeout(timer);
  }
}
