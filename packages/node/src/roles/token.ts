import { type Chain, DEVELOPMENT_CHAIN_ID } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { InvalidInputError, SkyNetError } from "@skynet/protocol";
import { createPublicClient, erc20Abi, http, parseUnits } from "viem";
import { formatAmount } from "../cli/format.ts";

export interface TokenInfo {
  readonly decimals: number;
  readonly symbol: string;
}

/**
 * Decimals and symbol of an ERC-20.
 * @throws SkyNetError `NotToken` when the address is no token on this chain
 */
export async function tokenInfo(rpcUrl: string, token: Hex): Promise<TokenInfo> {
  const client = createPublicClient({ transport: http(rpcUrl) });
  try {
    const read = { address: token, abi: erc20Abi } as const;
    const [decimals, symbol] = await Promise.all([
      client.readContract({ ...read, functionName: "decimals" }),
      client.readContract({ ...read, functionName: "symbol" }),
    ]);
    return { decimals, symbol };
  } catch (cause) {
    throw new SkyNetError("NotToken", `there is no ERC-20 token at ${token} on this chain`, {
      cause,
      hint: "check payment.token in the job file, and --rpc",
    });
  }
}

/** The token that was named, else the test token of a development chain. @throws InvalidInputError `NoToken` */
export function tokenOrDefault({ chainId, addresses }: Chain, token: Hex | undefined): Hex {
  if (token !== undefined) return token;
  if (chainId === DEVELOPMENT_CHAIN_ID) return addresses.testToken;
  throw new InvalidInputError("NoToken", "no token is named to pay with", {
    hint: "name an ERC-20 of this chain with --token 0x...",
  });
}

/** Units of a decimal number of tokens. @throws InvalidInputError `BadAmount` for more digits than the token has */
export function parseAmount(text: string, info: TokenInfo): bigint {
  const digits = text.split(".")[1]?.length ?? 0;
  if (digits > info.decimals)
    throw new InvalidInputError("BadAmount", `${text} has ${digits} decimals; ${info.symbol} has ${info.decimals}`);
  return parseUnits(text, info.decimals);
}

/**
 * Makes sure that the Ledger holds this much for the account; what is missing comes from its wallet.
 * @throws SkyNetError `InsufficientBalance` naming both sums; nothing has moved then
 */
export async function fundLedger(chain: Chain, token: Hex, amount: bigint, signal?: AbortSignal): Promise<void> {
  const { wallet, ledger } = await chain.balances(token);
  if (ledger >= amount) return;
  if (wallet + ledger < amount) {
    const info = await tokenInfo(chain.rpcUrl, token);
    throw new SkyNetError(
      "InsufficientBalance",
      `${formatAmount(amount, info)} are needed, the wallet ${chain.address} has ${formatAmount(wallet + ledger, info)}`,
      { hint: "send tokens to the wallet; npx skynet wallet balance shows what it has" },
    );
  }
  await chain.deposit(token, amount - ledger, undefined, signal ? { signal } : {});
}
