import { type Chain, DEVELOPMENT_CHAIN_ID, type RoutedChain } from "@skynet/contracts";
import { cleanText, InvalidInputError, SkyNetError, type Hex } from "@skynet/protocol";
import { createPublicClient, erc20Abi, http, parseUnits } from "viem";
import { formatAmount } from "../cli/format.ts";

export interface TokenInfo {
  readonly decimals: number;
  readonly symbol: string;
}

/** As the index bounds them. */
const MAX_SYMBOL = 16;
const MAX_DECIMALS = 36;
/** For jobs, listings, offers and wallets. */
const NOT_TOKEN_HINT =
  "check the token's address where it is named (--token, payment.token in a job file, a listing), and that --rpc is its chain";

/**
 * Decimals and symbol of an ERC-20. Anybody may have made it, so the symbol is cleaned for terminals.
 * @throws SkyNetError `NotToken` when the address is no token on this chain, or has more than 36 decimals
 */
export async function tokenInfo(rpcUrl: string, token: Hex): Promise<TokenInfo> {
  const client = createPublicClient({ transport: http(rpcUrl) });
  const failed = (message: string, cause?: unknown) =>
    new SkyNetError("NotToken", message, { cause, hint: NOT_TOKEN_HINT });
  try {
    const read = { address: token, abi: erc20Abi } as const;
    const [decimals, symbol] = await Promise.all([
      client.readContract({ ...read, functionName: "decimals" }),
      client.readContract({ ...read, functionName: "symbol" }),
    ]);
    if (decimals <= MAX_DECIMALS) return { decimals, symbol: cleanText(symbol, MAX_SYMBOL) };
    throw failed(`the token at ${token} has ${decimals} decimals; at most ${MAX_DECIMALS} are supported`);
  } catch (error) {
    if (error instanceof SkyNetError) throw error;
    throw failed(`there is no ERC-20 token at ${token} on this chain`, error);
  }
}

/** The token that was named, else the test token of a development chain. @throws InvalidInputError `NoToken` */
export function tokenOrDefault(
  { chainId, addresses }: Pick<Chain, "chainId" | "addresses">,
  token: Hex | undefined,
): Hex {
  if (token !== undefined) return token;
  if (chainId === DEVELOPMENT_CHAIN_ID) return addresses.testToken;
  throw new InvalidInputError("NoToken", "no token is named to pay with", {
    hint: "name an ERC-20 of this chain: --token 0x..., or payment.token in a job file",
  });
}

/**
 * Units of a decimal number of tokens; `name` is what errors call it.
 * @throws InvalidInputError `BadAmount` for more digits than the token has
 */
export function parseAmount(text: string, info: TokenInfo, name?: string): bigint {
  const digits = text.split(".")[1]?.length ?? 0;
  if (digits <= info.decimals) return parseUnits(text, info.decimals);
  const of = name === undefined ? "" : `${name}: `;
  throw new InvalidInputError("BadAmount", `${of}${text} has ${digits} decimals; ${info.symbol} has ${info.decimals}`, {
    hint: `give an amount with at most ${info.decimals} decimals`,
  });
}

type Funding = Pick<RoutedChain, "rpcUrl" | "address" | "balances" | "deposit">;

/**
 * Makes sure that the Ledger holds this much for the account; what is missing comes from its wallet.
 * @throws SkyNetError `InsufficientBalance` naming both sums; nothing has moved then
 */
export async function fundLedger(chain: Funding, token: Hex, amount: bigint, signal?: AbortSignal): Promise<void> {
  const { wallet, ledger } = await chain.balances(token);
  if (ledger >= amount) return;
  const missing = amount - ledger - wallet;
  if (missing > 0n) {
    const info = await tokenInfo(chain.rpcUrl, token);
    const text = (value: bigint) => formatAmount(value, info);
    throw new SkyNetError(
      "InsufficientBalance",
      `${text(amount)} are needed; ${chain.address} has ${text(wallet)} in its wallet and ${text(ledger)} in the Ledger`,
      { hint: `send ${text(missing)} to ${chain.address}; npx skynet wallet balance shows what it has` },
    );
  }
  await chain.deposit(token, amount - ledger, undefined, signal ? { signal } : {});
}
