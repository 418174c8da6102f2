import type { Chain } from "@skynet/contracts";
import { fromHex, InvalidInputError, type Hex } from "@skynet/protocol";
import { parseAmount, tokenInfo, tokenOrDefault, type TokenInfo } from "../roles/token.ts";
import { openChain } from "../runtime/chain.ts";
import { openKeystore } from "../wallet/keystore.ts";
import { readPassphrase } from "../wallet/passphrase.ts";
import { isId } from "./format.ts";
import { addressOf, resolveConnection, resolveRpc, resolveWallet, type ConnectionOptions } from "./options.ts";

/** Any key can read; reading needs no wallet. */
export const READER_KEY: Hex = `0x${"01".repeat(32)}`;

/** The chain, for commands that only read. */
export async function openReader(options: Pick<ConnectionOptions, "rpc">): Promise<Chain> {
  return openChain(resolveRpc(options), fromHex(READER_KEY));
}

/** The chain, with the wallet that the options name. */
export async function openAccount(options: ConnectionOptions): Promise<Chain> {
  return openChain(resolveRpc(options), await openWallet(options));
}

/**
 * Chain, relays and key of a node; `prompt` asks for the passphrase.
 * @throws as `resolveConnection` and `openKeystore` do
 */
export async function openConnection(options: ConnectionOptions, prompt: string) {
  const connection = resolveConnection(options);
  const { rpcUrl, relays, bootstrap, maxUpBytesPerSecond, maxDownBytesPerSecond, quotaBytes, keystore } = connection;
  return {
    rpcUrl,
    relays,
    bootstrap,
    maxUpBytesPerSecond,
    maxDownBytesPerSecond,
    quotaBytes,
    privateKey: await openKeystore(keystore, await readPassphrase(connection, prompt)),
  };
}

/** The wallet's key. */
export async function openWallet(options: ConnectionOptions, prompt = "Passphrase"): Promise<Uint8Array> {
  const wallet = resolveWallet(options);
  return openKeystore(wallet.keystore, await readPassphrase(wallet, prompt));
}

/**
 * The job whose id begins so.
 * @throws InvalidInputError `NoSuchJob`
 */
export async function findJob(chain: Chain, prefix: string): Promise<Hex> {
  const matches = (await chain.jobIds()).filter((jobId) => isId(jobId, prefix));
  if (matches.length === 1) return matches[0]!;
  throw new InvalidInputError(
    "NoSuchJob",
    matches.length === 0 ? `there is no job ${prefix} on this chain` : `${matches.length} jobs begin with ${prefix}`,
    { hint: "npx skynet job list shows the ids" },
  );
}

/** Parser of options and arguments that are addresses. */
export const addressArgument = addressOf;

export interface Token extends TokenInfo {
  readonly address: Hex;
}

/**
 * The token that was named, else the test token of a development chain.
 * @throws InvalidInputError `NoToken`; SkyNetError `NotToken`
 */
export async function resolveToken(chain: Chain, named: Hex | undefined): Promise<Token> {
  const address = tokenOrDefault(chain, named);
  return { address, ...(await tokenInfo(chain.rpcUrl, address)) };
}

/**
 * Units of a decimal amount.
 * @throws InvalidInputError `BadAmount` for zero and for more digits than the token has
 */
export function unitsOf(text: string, info: TokenInfo): bigint {
  const value = parseAmount(text, info);
  if (value > 0n) return value;
  throw new InvalidInputError("BadAmount", "the amount is zero", { hint: "give an amount such as 10 or 0.5" });
}
