import { InvalidArgumentError, Option, type Command } from "commander";
import type { HttpOptions } from "@skynet/storage";
import { createDataKeys, readAccount, titleOf, type DataKeys, type ServiceName } from "../../remote/service-keys.ts";
import { openLighthouse, openPinning, tellRetries } from "../../remote/services.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { addWalletOptions, jsonOption, withUi, type JsonOption } from "../options.ts";
import type { Ui } from "../ui.ts";
import { addAccountCommands } from "./storage-account.ts";
import { addTransferCommands } from "./storage-transfer.ts";

export interface RemoteOptions extends JsonOption {
  readonly keystore?: string;
  readonly passphraseFile?: string;
  readonly service: ServiceName;
  readonly url?: string;
}

/** What a command works with. */
export interface RemoteContext {
  readonly ui: Ui;
  readonly keys: DataKeys;
  readonly http: HttpOptions;
  readonly signal: AbortSignal;
}

/** `skynet storage upload|download|list|quota|deals|pin|remove|login`: files at Lighthouse and pinning services. */
export function addRemoteStorage(storage: Command): void {
  addTransferCommands(storage);
  addAccountCommands(storage);
}

/** A command about a service, with help and the options that all have. */
export function remoteCommand(storage: Command, name: string, description: string, examples: readonly string[]) {
  return addWalletOptions(storage.command(name).description(description))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `\nExample${examples.length > 1 ? "s" : ""}:\n${examples.map((line) => `  $ npx skynet storage ${line}`).join("\n")}`,
    );
}

export const serviceOption = (): Option =>
  new Option("--service <name>", "service that keeps the files")
    .choices(["lighthouse", "pinning"])
    .default("lighthouse");

export const urlOption = (): Option =>
  new Option("--url <address>", "address of the pinning service (default: SKYNET_PINNING_URL, else that of login)");

/** Runs a command about a service: tries that failed are told, Ctrl-C stops it. */
export const withRemote = (
  options: Omit<RemoteOptions, "service">,
  action: (context: RemoteContext) => Promise<unknown>,
): Promise<void> =>
  withUi(options, (ui) =>
    action({ ui, keys: createDataKeys(options), http: tellRetries(ui), signal: shutdownSignal() }),
  );

/** The service that the options name, with the user's key. */
export async function openService(
  { service, url }: Pick<RemoteOptions, "service" | "url">,
  { keys, http }: RemoteContext,
) {
  const account = await readAccount(service, keys);
  return service === "lighthouse" ? openLighthouse(account, http) : openPinning(account, http, url);
}

export const serviceTitle = ({ service }: Pick<RemoteOptions, "service">): string => titleOf(service);

/** A number of bytes such as 500MB or 64GB. */
export function byteCount(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)\s*([kMGT]?)B?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("a number of bytes is needed, such as 500MB or 64GB");
  return Math.floor(Number(match[1]) * 1000 ** " kMGT".indexOf(match[2] || " "));
}
