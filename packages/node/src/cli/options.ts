import fs from "node:fs";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { SkyNetError } from "@skynet/protocol";
import { z } from "zod";
import { writeFileAtomic } from "../runtime/files.ts";
import { createUi, toJson, type Ui } from "./ui.ts";

export interface ConnectionOptions {
  readonly rpc?: string;
  readonly relay?: string[];
  readonly keystore?: string;
  readonly passphraseFile?: string;
}

export interface JsonOption {
  /** true: JSON lines on standard output; a text: the result goes to this file as well. */
  readonly json?: true | string;
}

/** Folder for everything that SkyNet keeps on this machine. */
export const homeDir = (): string => path.resolve(process.env.SKYNET_HOME ?? ".skynet");
export const devnetDir = (): string => path.join(homeDir(), "devnet");

export const jsonOption = (): Option =>
  new Option("--json [file]", "print JSON lines instead of text; with a file, write the result there as JSON");

export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(new Option("--rpc <url>", "chain to use (default: the devnet that runs here)").env("SKYNET_RPC"))
    .addOption(
      new Option("--relay <multiaddr...>", "relay nodes to connect to (default: the devnet's)").env("SKYNET_RELAY"),
    )
    .option("--keystore <file>", "wallet of this node")
    .option(
      "--passphrase-file <file>",
      "file with the wallet's passphrase (default: SKYNET_PASSPHRASE, else asked for)",
    )
    .addOption(jsonOption());
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

export interface Connection {
  readonly rpcUrl: string;
  readonly relays: string[];
  readonly keystore: string;
  readonly passphraseFile: string | undefined;
}

/** @throws SkyNetError `NoConnection` when neither flags nor a running devnet say where to connect */
export function resolveConnection(options: ConnectionOptions): Connection {
  const devnet = runningDevnet();
  const rpcUrl = options.rpc ?? devnet?.rpcUrl;
  const relays = options.relay ?? (devnet ? [devnet.relay] : undefined);
  if (rpcUrl === undefined || relays === undefined)
    throw new SkyNetError(
      "NoConnection",
      `no ${rpcUrl === undefined ? "--rpc" : "--relay"} is given and no devnet runs here`,
      {
        hint: "start one in another terminal: npx skynet devnet",
      },
    );
  const own = options.keystore !== undefined;
  return {
    rpcUrl,
    relays,
    keystore: path.resolve(options.keystore ?? devnet?.requester.keystore ?? path.join(homeDir(), "wallet.json")),
    passphraseFile: options.passphraseFile ?? (own ? undefined : devnet?.requester.passphraseFile),
  };
}
