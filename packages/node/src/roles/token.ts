import type { Hex } from "@skynet/protocol";
import { SkyNetError } from "@skynet/protocol";
import { createPublicClient, erc20Abi, http } from "viem";

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
