import type { Hex } from "@skynet/protocol";
import { TransactionNotFoundError, TransactionReceiptNotFoundError } from "viem";
import { lower } from "../deployment/addresses.ts";
import type { ReadContext } from "./reads.ts";
import { toChainError, type Forward } from "./transactions.ts";
import type { Chain, MinedTransaction } from "./types.ts";

type Forwarding = Pick<Chain, "simulate" | "estimateGas" | "forward" | "minedTransaction" | "pendingTransactions">;

/** What is needed to send other accounts' calls, and to see what became of them. */
export function createForwarding({ connection, address }: ReadContext, forward: Forward): Forwarding {
  const { publicClient, reach } = connection;

  const mined = async (hash: Hex): Promise<MinedTransaction | undefined> => {
    try {
      const [{ to, input }, { status }] = await Promise.all([
        publicClient.getTransaction({ hash }),
        publicClient.getTransactionReceipt({ hash }),
      ]);
      return to === null ? undefined : { to: lower(to), data: input, success: status === "success" };
    } catch (error) {
      if (error instanceof TransactionNotFoundError || error instanceof TransactionReceiptNotFoundError)
        return undefined;
      throw error;
    }
  };
  const refusable = <Value>(request: () => Promise<Value>): Promise<Value> =>
    reach(async () => {
      try {
        return await request();
      } catch (error) {
        throw toChainError(error);
      }
    });
  return {
    // the bare address: a local account would fill in fees, and an account without ether cannot pay them
    simulate: ({ to, data }, from = address) =>
      refusable(async () => void (await publicClient.call({ account: from, to, data }))),
    estimateGas: ({ to, data }) => refusable(() => publicClient.estimateGas({ account: address, to, data })),
    forward,
    minedTransaction: (hash) => reach(() => mined(hash)),
    pendingTransactions: () =>
      reach(async () => {
        const [all, inBlocks] = await Promise.all([
          publicClient.getTransactionCount({ address, blockTag: "pending" }),
          publicClient.getTransactionCount({ address, blockTag: "latest" }),
        ]);
        return all - inBlocks;
      }),
  };
}
