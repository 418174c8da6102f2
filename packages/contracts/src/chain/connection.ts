import type { Hex } from "@skynet/protocol";
import type { Account, Chain as ViemChain, LocalAccount, PublicClient, Transport, WalletClient } from "viem";
import {
  BaseError,
  createPublicClient,
  createWalletClient,
  defineChain,
  http,
  HttpRequestError,
  TimeoutError,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { ChainUnreachable } from "../errors.ts";

export interface Connection {
  readonly rpcUrl: string;
  readonly account: LocalAccount;
  readonly publicClient: PublicClient<Transport, ViemChain>;
  readonly walletClient: WalletClient<Transport, ViemChain, Account>;
  /** Runs a request and turns a dead endpoint into {@link ChainUnreachable}. */
  reach<Value>(request: () => Promise<Value>): Promise<Value>;
}

const POLLING_MS = 200;

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof BaseError)) return false;
  return error.walk((cause) => cause instanceof HttpRequestError || cause instanceof TimeoutError) !== null;
}

/**
 * Connects an account to a chain.
 * @throws ChainUnreachable when nothing answers at the URL
 */
export async function connect(rpcUrl: string, privateKey: Hex): Promise<Connection> {
  const account = privateKeyToAccount(privateKey);
  const transport = http(rpcUrl, { timeout: 15_000, retryCount: 2, retryDelay: 100 });
  const reach = async <Value>(request: () => Promise<Value>): Promise<Value> => {
    try {
      return await request();
    } catch (error) {
      if (isUnreachable(error)) throw new ChainUnreachable(rpcUrl, error);
      throw error;
    }
  };
  const chainId = await reach(() => createPublicClient({ transport }).getChainId());
  // a bare definition: contract addresses of known networks must not leak into a development chain
  const chain = defineChain({
    id: chainId,
    name: `chain ${chainId}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const options = { chain, transport, pollingInterval: POLLING_MS, cacheTime: 0 };
  return {
    rpcUrl,
    account,
    publicClient: createPublicClient(options),
    walletClient: createWalletClient({ ...options, account }),
    reach,
  };
}
