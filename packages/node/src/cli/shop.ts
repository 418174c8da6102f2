// What the commands of sellers and buyers share.
import path from "node:path";
import { type Command, Option } from "commander";
import { LICENCES, type Hex, type Licence } from "@skynet/protocol";
import { confirm } from "./confirm.ts";
import { addressArgument, openConnection, openWallet } from "./account.ts";
import { openShop, type Shop } from "../roles/selling.ts";
import { tokenInfo, type TokenInfo } from "../roles/token.ts";
import { openChain } from "../runtime/chain.ts";
import { shutdownSignal } from "../runtime/shutdown.ts";
import {
  addChainOptions,
  addConnectionOptions,
  addListenOptions,
  addProofOptions,
  addWalletOptions,
  homeDir,
  listening,
  quotaOption,
  resolveRpc,
  tokens,
  yesOption,
  type ConnectionOptions,
  type JsonOption,
  type ListenOptions,
  type ProofOptions,
} from "./options.ts";
import type { Ui } from "./ui.ts";

export interface ShopOptions extends ConnectionOptions, JsonOption, ProofOptions {
  readonly data: string;
}

export const hostFolder = (): string => path.join(homeDir(), "host");
const DEFAULT_THREADS = 2;

const hostDataOption = (): Option =>
  new Option("--data <folder>", "folder that skynet host serves from").default(hostFolder());

/** Options of commands that publish something. */
export function addShopOptions(command: Command): Command {
  return addProofOptions(addWalletOptions(addChainOptions(command)))
    .addOption(hostDataOption())
    .addOption(quotaOption());
}

/** Options of commands that only change what is published. */
export const addOwnerOptions = (command: Command): Command => addWalletOptions(addChainOptions(command));

export interface BuyerOptions extends ConnectionOptions, JsonOption, ListenOptions, ProofOptions {
  readonly data: string;
  readonly maxPrice?: string;
}

export function addBuyerOptions(command: Command): Command {
  return addListenOptions(addProofOptions(addConnectionOptions(command)))
    .option("--max-price <tokens>", "pay at most this; default: the price that is listed now", tokens)
    .option("--data <folder>", "folder for blocks, keys and orders", path.join(homeDir(), "buyer"));
}

export interface SaleOptions {
  readonly yes?: true;
  readonly name?: string;
  readonly description?: string;
  readonly licence?: Licence;
  readonly price: string;
  readonly bond: string;
  readonly token?: Hex;
}

export const tokenOption = (): Option =>
  new Option("--token <address>", "ERC-20 to be paid in (default: the test token of development chains)").argParser(
    addressArgument,
  );

export function addSaleOptions(command: Command): Command {
  return command
    .option("--name <text>", "name in the marketplace (default: the file's name)")
    .option("--description <text>", "what buyers should know")
    .addOption(new Option("--licence <name>", "licence of the content (default: unspecified)").choices(LICENCES))
    .requiredOption("--price <tokens>", "price; 0 makes the key public, for ever", tokens)
    .option("--bond <tokens>", "deposit that a buyer gets a share of if a delivered key is wrong", tokens, "0")
    .addOption(tokenOption())
    .addOption(yesOption());
}

/** What is given away cannot be taken back. */
export async function confirmFree(what: string, { price, yes, json }: SaleOptions & JsonOption): Promise<void> {
  if (Number(price) === 0) await confirm(`${what}, for ever?`, { ...(yes ? { yes } : {}), ...(json ? { json } : {}) });
}

export async function openOwnShop(options: ShopOptions, ui: Ui): Promise<Shop> {
  const privateKey = await openWallet(options);
  return openShop({
    chain: await openChain(resolveRpc(options), privateKey),
    privateKey,
    dataDir: path.resolve(options.data),
    threads: options.threads ?? DEFAULT_THREADS,
    referenceString: options.srs,
    quotaBytes: options.storageQuota,
    ui,
    signal: shutdownSignal(),
  });
}

/** Options of a node that buys. */
export async function buyerNode(options: BuyerOptions) {
  return {
    ...(await openConnection(options, "Passphrase of the buyer's wallet")),
    dataDir: path.resolve(options.data),
    ...listening(options),
    threads: options.threads,
    referenceString: options.srs,
    maxPrice: options.maxPrice,
    signal: shutdownSignal(),
  };
}

/** Symbols and decimals of tokens; a token that answers nonsense is shown in its units. */
export function createTokens(rpcUrl: string): (token: Hex) => Promise<TokenInfo> {
  const known = new Map<Hex, Promise<TokenInfo>>();
  return (token) => {
    let info = known.get(token);
    if (info === undefined) {
      info = tokenInfo(rpcUrl, token).catch(() => ({ decimals: 0, symbol: `units of ${token}` }));
      known.set(token, info);
    }
    return info;
  };
}
