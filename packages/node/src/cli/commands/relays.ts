import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Option, type Command } from "commander";
import {
  checkRelayList,
  CLUSTER_ID,
  createHost,
  createIdentity,
  readRelayList,
  signRelayList,
  type Host,
  type RelaySource,
  type RelayStatus,
} from "@skynet/network";
import { loadList } from "@skynet/network/node";
import { checkOutput, writeOutput } from "@skynet/storage";
import { parseBootstrap } from "../../runtime/bootstrap.ts";
import { openDiscovery } from "../../runtime/discovery.ts";
import { openReader, openWallet } from "../account.ts";
import {
  addConnectionOptions,
  addWalletOptions,
  homeDir,
  integer,
  forceOption,
  jsonOption,
  runningDevnet,
  withUi,
  type ConnectionOptions,
  type ForceOption,
  type JsonOption,
} from "../options.ts";
import { tableText } from "../table.ts";
import { writeNote } from "../terminal.ts";

const DAY_MS = 86_400_000;
const PROBE_MS = 12_000;
const QUIET_MS = 1500;
/** Relays that are tried at the same time. */
const PROBED = 32;

/** `skynet relays`: what this node knows about relays, and lists of relays for publishers. */
export function addRelays(program: Command): void {
  const command = program.command("relays").description("relays that this node knows; make and check lists of relays");
  addList(command);
  addSign(command);
  addVerify(command);
}

interface ListOptions extends ConnectionOptions, JsonOption {
  readonly data: string;
}

function addList(command: Command): void {
  addConnectionOptions(
    command.command("list").description("try every relay that is known, and show where it is known from"),
  )
    .option("--data <folder>", "folder of the node whose book of peers is read", path.join(homeDir(), "worker"))
    .addHelpText("after", "\nExample:\n  $ npx skynet relays list --rpc http://127.0.0.1:8545")
    .action((options: ListOptions) =>
      withUi(options, async (ui) => {
        const relays = await probe(options);
        if (relays.length === 0)
          ui.line("no relay is known: name one with --relay, a list with --bootstrap, or a chain with --rpc");
        else ui.line(tableText(["relay", "known from", ">latency", "state"], relays.map(rowOf)));
        return { relays };
      }),
    );
}

function rowOf({ multiaddrs, sources, latencyMs, state, reason }: RelayStatus): string[] {
  const latency = latencyMs === undefined ? "" : `${latencyMs.toFixed(0)} ms`;
  return [multiaddrs.join("\n"), sources.join(", "), latency, state === "live" ? "live" : (reason ?? "not tried")];
}

/** Connects to everything that is known, for a few seconds at most; the book of peers is read and not changed. */
async function probe(options: ListOptions): Promise<RelayStatus[]> {
  const devnet = runningDevnet();
  const rpc = options.rpc ?? devnet?.rpcUrl;
  const log = { debug: () => undefined, info: () => undefined, warn: (fields: object) => void warn(fields) };
  const { relaySources, peerBook } = await openDiscovery({
    dataDir: path.resolve(options.data),
    log,
    bootstrap: options.bootstrap === undefined ? undefined : parseBootstrap(options.bootstrap),
    chain: rpc === undefined ? undefined : await openReader({ rpc }),
  });
  let waiting = 0;
  const sources = [...relaySources, peerBook.relays()].map((source) => {
    waiting += 1;
    let answered = () => void (waiting -= 1);
    const relays: RelaySource["relays"] = async (signal, live) => {
      try {
        return await source.relays(signal, live);
      } finally {
        answered();
        answered = () => undefined;
      }
    };
    return { ...source, relays };
  });
  const host = await createHost({
    identity: createIdentity(crypto.getRandomValues(new Uint8Array(32))),
    listen: [],
    relays: options.relay ?? (devnet ? [devnet.relay] : []),
    relaySources: sources,
    relayCount: PROBED,
    log,
  });
  try {
    await untilTried(host, () => waiting === 0);
    return host.relays();
  } finally {
    await host.stop();
  }
}

function warn(fields: { error?: unknown; hint?: unknown }): void {
  if (fields.error !== undefined) writeNote(`warning: ${String(fields.error)}`);
  if (fields.hint !== undefined) writeNote(`  ${String(fields.hint)}`);
}

/** Resolves when all sources have answered, each relay is live or has failed, and relays had a moment to tell of others. */
async function untilTried(host: Host, answered: () => boolean): Promise<void> {
  const endMs = Date.now() + PROBE_MS;
  let quietMs = Date.now();
  const busy = () =>
    !answered() ||
    host.relays().some(({ state, failures }) => state === "dialling" || (state === "idle" && failures === 0));
  while (Date.now() < endMs && Date.now() - quietMs < QUIET_MS) {
    if (busy()) quietMs = Date.now();
    await sleep(50);
  }
}

interface SignOptions extends ConnectionOptions, ForceOption, JsonOption {
  readonly out: string;
  readonly days: number;
  readonly cluster: number;
  readonly sequence?: number;
}

const clusterOption = () =>
  new Option("--cluster <n>", "Waku cluster of the relays (network.cluster of their configuration)")
    .argParser(integer(1, 65_535))
    .default(CLUSTER_ID);

function addSign(command: Command): void {
  addWalletOptions(command.command("sign").description("sign a list of relays, which others name with --bootstrap"))
    .argument("<multiaddr...>", "relays, each with its PeerId at the end")
    .option("--out <file>", "where to write the list", "relays.json")
    .addOption(forceOption())
    .option("--days <n>", "days until the list expires", integer(1, 400), 90)
    .addOption(clusterOption())
    .addOption(
      new Option(
        "--sequence <n>",
        "number of the list, larger than that of the one before (default: the seconds since 1970)",
      ).argParser(integer(1, Number.MAX_SAFE_INTEGER)),
    )
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet relays sign /dns4/relay.example/tcp/443/wss/p2p/16Uiu2... --keystore publisher.json",
    )
    .action((relays: string[], options: SignOptions) =>
      withUi(options, async (ui) => {
        const file = path.resolve(options.out);
        const inputs = [options.keystore, options.passphraseFile].filter((each) => each !== undefined);
        const output = { overwrite: options.force, inputs };
        await checkOutput(file, output);
        const publisher = createIdentity(await openWallet(options, "Passphrase of the publisher's wallet"));
        const issuedMs = Date.now();
        const expiresMs = issuedMs + options.days * DAY_MS;
        const sequence = options.sequence ?? Math.floor(issuedMs / 1000);
        const text = signRelayList({ network: options.cluster, sequence, issuedMs, expiresMs, relays }, publisher);
        await writeOutput(file, text, output);
        ui.line(`${options.out}: list ${sequence}, ${relays.length} relays, until ${day(expiresMs)}`);
        ui.line(
          `put it on a server; nodes use it with\n  --bootstrap https://YOUR.SERVER/relays.json#${publisher.address}`,
        );
        return { file: options.out, sequence, expiresMs, publisher: publisher.address };
      }),
    );
}

function addVerify(command: Command): void {
  command
    .command("verify")
    .description("show who signed a list of relays, and whether it is valid now")
    .argument("<list>", "file or https URL; with #0xADDRESS at its end, that key must have signed it")
    .addOption(clusterOption())
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  $ npx skynet relays verify relays.json#0x12ab...")
    .action((text: string, options: JsonOption & { readonly cluster: number }) =>
      withUi(options, async (ui) => {
        const named = text.includes("#") ? parseBootstrap(text) : undefined;
        const list = readRelayList(await loadList(named?.source ?? text, AbortSignal.timeout(20_000)));
        const publishers = named?.publishers ?? [list.publisher];
        checkRelayList(list, { publishers, network: options.cluster, nowMs: Date.now() });
        ui.line(`list ${list.sequence} of ${list.publisher}, valid until ${day(list.expiresMs)}`);
        for (const relay of list.relays) ui.line(`  ${relay}`);
        if (named === undefined) ui.line("whether that is the publisher you trust, only you can say");
        return list;
      }),
    );
}

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
