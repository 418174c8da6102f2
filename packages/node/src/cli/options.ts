import fs from "node:fs";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { SkyNetError, type Hex } from "@skynet/protocol";
import { z } from "zod";
import type { JobFile } from "../job-file.ts";
import { failureOf, summaryJson, type Summary } from "../report/summary.ts";
import { parseBootstrap, type Bootstrap } from "../runtime/bootstrap.ts";
import { writeFileAtomic } from "../runtime/files.ts";
import { homeDir } from "../runtime/home.ts";
import { byteSize, rate } from "./rate.ts";
import { writeNote } from "./terminal.ts";
import { createUi, toJson, type Ui } from "./ui.ts";

export { homeDir };

export interface ConnectionOptions {
  readonly rpc?: string;
  readonly relay?: string[];
  readonly bootstrap?: string;
  /** Bytes per second. */
  readonly maxUp?: number;
  readonly maxDown?: number;
  /** Bytes; Infinity: no limit. */
  readonly storageQuota?: number;
  readonly keystore?: string;
  readonly passphraseFile?: string;
}

export interface JsonOption {
  /** true: JSON lines on standard output; a text: the result goes to this file as well. */
  readonly json?: true | string;
}

export const devnetDir = (): string => path.join(homeDir(), "devnet");

export const jsonOption = (): Option =>
  new Option("--json [file]", "print JSON lines instead of text; with a file, write the result there as JSON");

export const rpcOption = (): Option =>
  new Option("--rpc <url>", "chain to use (default: the devnet that runs here)").env("SKYNET_RPC");

/** Options of commands that only read the chain. */
export function addChainOptions(command: Command): Command {
  return command.addOption(rpcOption()).addOption(jsonOption());
}

/** Options of nodes that make proofs. */
export interface ProofOptions {
  readonly threads?: number;
  readonly srs?: string;
}

export function addProofOptions(command: Command): Command {
  return command
    .option("--threads <n>", "threads for commitments and proofs", integer(1, 64))
    .option("--srs <file>", "reference string of the proofs, see skynet srs (default: the one of development chains)");
}

/** Of commands that post a job. */
export const noZkOption = (): Option =>
  new Option("--no-zk", "do without zero knowledge: proofs and commitments show the data; development chains only");

/** The job, without zero knowledge if the command line says so. */
export const withZk = (job: JobFile, zk: boolean): JobFile =>
  zk ? job : { ...job, verification: { ...job.verification, zeroKnowledge: false } };

/** Of commands that ask before they spend. */
export const yesOption = (): Option => new Option("--yes", "do not ask; without a terminal nothing is ever asked");

const several = (value: string, before: string[] = []): string[] => [...before, value];

export function addWalletOptions(command: Command): Command {
  return command
    .option("--keystore <file>", "wallet of this node")
    .option(
      "--passphrase-file <file>",
      "file with the wallet's passphrase (default: SKYNET_PASSPHRASE, else asked for)",
    );
}

export const bootstrapOption = (): Option =>
  new Option(
    "--bootstrap <list>",
    "signed list of relays: a file or an https URL, then # and the address of its publisher",
  ).env("SKYNET_BOOTSTRAP");

/** Of every command that keeps blocks. */
export const quotaOption = (): Option =>
  new Option("--storage-quota <size>", "most disk space for blocks, such as 50GB, or unlimited (default: 20 GiB)")
    .env("SKYNET_STORAGE_QUOTA")
    .argParser(byteSize);

export const relayOption = (): Option =>
  new Option(
    "--relay <multiaddr>",
    "relay node to stay connected to, may be repeated (default: the devnet's; others are found)",
  )
    .env("SKYNET_RELAY")
    .argParser(several);

/** Of commands that take data by their CID. */
export const fromOption = (): Option =>
  new Option(
    "--from <address>",
    "node to ask for data that are named by a CID, may be repeated (default: those online)",
  ).argParser((text: string, before: Hex[] = []) => [...before, addressOf(text)]);

/** An address in lower case. */
export function addressOf(text: string): Hex {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new InvalidArgumentError("an address is needed: 0x and 40 digits");
  return text.toLowerCase() as Hex;
}

export function addConnectionOptions(command: Command): Command {
  return addWalletOptions(command)
    .addOption(rpcOption())
    .addOption(relayOption())
    .addOption(bootstrapOption())
    .option("--max-up <rate>", "most to send of data, models and updates, such as 5MB or 20Mbit per second", rate)
    .option("--max-down <rate>", "most to receive of them (default: no limit); messages always pass", rate)
    .addOption(quotaOption())
    .addOption(jsonOption());
}

/** Of commands that open a node for others to reach. */
export interface ListenOptions {
  readonly listen: string;
  readonly upnp: boolean;
}

export const upnpOption = (): Option =>
  new Option("--no-upnp", "leave the router alone: do not have it forward the ports that this node listens on");

export function addListenOptions(command: Command): Command {
  return command.option("--listen <multiaddr>", "address to listen on", "/ip4/127.0.0.1/tcp/0").addOption(upnpOption());
}

export const listening = ({ listen, upnp }: ListenOptions) => ({ listen: [listen], upnp });

/** Shows the end of a job; a job that failed makes the command fail, too. */
export function showEnd(ui: Ui, summary: Summary): Record<string, unknown> {
  ui.summary(summary);
  const failure = failureOf(summary);
  if (failure !== undefined) {
    writeNote(`error: ${failure}`);
    process.exitCode = 1;
  }
  return summaryJson(summary);
}

export interface UrlOptions {
  readonly allowPrivate?: true;
  readonly refresh?: true;
}

/** Options of commands that download data. */
export const addUrlOptions = (command: Command): Command =>
  command
    .option("--allow-private", "let URLs lead to this machine and private networks")
    .option("--refresh", "download URLs again, whose files may have changed since");

export interface ForceOption {
  readonly force?: true;
}

/** For commands that write files: without it what is there stays. */
export const forceOption = (): Option => new Option("--force", "replace files that are there");

/** Decimal number of tokens. */
export function tokens(text: string): string {
  if (!/^\d{1,15}(\.\d{1,18})?$/.test(text))
    throw new InvalidArgumentError("a number of tokens is needed, such as 10 or 0.5");
  return text;
}

/** Whole number option between two bounds. */
export const integer =
  (low: number, high: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`a whole number from ${low} to ${high} is needed`);
    return value;
  };

/** Runs a command's action with its user interface, and writes the result where --json says. */
export async function withUi(options: JsonOption, action: (ui: Ui) => Promise<unknown>): Promise<void> {
  const ui = createUi({ json: options.json === true });
  try {
    const result = await action(ui);
    if (typeof options.json === "string" && result !== undefined)
      await writeFileAtomic(path.resolve(options.json), `${toJson(result, 2)}\n`);
    else if (options.json === true && result !== undefined) ui.event("result", result as Record<string, unknown>);
  } finally {
    ui.close();
  }
}

const devnetSchema = z.object({
  pid: z.number().int(),
  rpcUrl: z.string(),
  relay: z.string(),
  index: z.string().optional(),
  requester: z.object({ keystore: z.string(), passphraseFile: z.string() }),
});
export type DevnetInfo = z.output<typeof devnetSchema>;

/** The devnet that runs on this machine, if one does. */
export function runningDevnet(): DevnetInfo | undefined {
  try {
    const info = devnetSchema.parse(JSON.parse(fs.readFileSync(path.join(devnetDir(), "devnet.json"), "utf8")));
    process.kill(info.pid, 0);
    return info;
  } catch {
    return undefined;
  }
}

const START_DEVNET = "start one in another terminal: npx skynet devnet";

/** @throws SkyNetError `NoConnection` when neither --rpc nor a running devnet says which chain */
export function resolveRpc(options: Pick<ConnectionOptions, "rpc">): string {
  const rpcUrl = options.rpc ?? runningDevnet()?.rpcUrl;
  if (rpcUrl !== undefined) return rpcUrl;
  throw new SkyNetError("NoConnection", "no --rpc is given and no devnet runs here", { hint: START_DEVNET });
}

export interface WalletFiles {
  readonly keystore: string;
  readonly passphraseFile: string | undefined;
}

/** The wallet that was named, else the devnet's requester, else the one in the home folder. */
export function resolveWallet(options: ConnectionOptions): WalletFiles {
  const own = options.keystore !== undefined;
  const requester = own ? undefined : runningDevnet()?.requester;
  return {
    keystore: path.resolve(options.keystore ?? requester?.keystore ?? path.join(homeDir(), "wallet.json")),
    passphraseFile: options.passphraseFile ?? requester?.passphraseFile,
  };
}

/** Relays that were named, else that of the devnet: it serves its own chain, on another one it would be a stranger. */
export function relaysOf(rpcUrl: string | undefined, named: string[] | undefined): string[] {
  const devnet = runningDevnet();
  return named ?? (devnet !== undefined && devnet.rpcUrl === (rpcUrl ?? devnet.rpcUrl) ? [devnet.relay] : []);
}

export interface Connection extends WalletFiles {
  readonly rpcUrl: string;
  /** May be empty: the chain's list, a signed list and the node's book know relays, too. */
  readonly relays: string[];
  readonly bootstrap: Bootstrap | undefined;
  readonly maxUpBytesPerSecond: number | undefined;
  readonly maxDownBytesPerSecond: number | undefined;
  readonly quotaBytes: number | undefined;
}

/** @throws SkyNetError `NoConnection` when neither flags nor a running devnet say which chain, `BadBootstrap` */
export function resolveConnection(options: ConnectionOptions): Connection {
  const rpcUrl = resolveRpc(options);
  const relays = relaysOf(rpcUrl, options.relay);
  const bootstrap = options.bootstrap === undefined ? undefined : parseBootstrap(options.bootstrap);
  const limits = { maxUpBytesPerSecond: options.maxUp, maxDownBytesPerSecond: options.maxDown };
  const quotaBytes = options.storageQuota;
  return { rpcUrl, relays, bootstrap, ...limits, quotaBytes, ...resolveWallet(options) };
}
