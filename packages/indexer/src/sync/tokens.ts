import { ChainUnreachable } from "@skynet/contracts";
import { cleanText, type Hex } from "@skynet/protocol";
import { erc20Abi } from "viem";
import type { Store } from "../store/store.ts";
import { isDead, type ChainReader } from "./chain.ts";

/** Tokens that are asked for at once; the others follow with the next blocks. */
const AT_ONCE = 20;
const MAX_SYMBOL = 16;
const MAX_DECIMALS = 36;

async function describe(chain: ChainReader, address: Hex): Promise<[string | null, number | null]> {
  const read = { address, abi: erc20Abi } as const;
  try {
    const [symbol, decimals] = await Promise.all([
      chain.client.readContract({ ...read, functionName: "symbol" }),
      chain.client.readContract({ ...read, functionName: "decimals" }),
    ]);
    return [cleanText(symbol, MAX_SYMBOL), decimals <= MAX_DECIMALS ? decimals : null];
  } catch (error) {
    if (isDead(error)) throw new ChainUnreachable(chain.rpcUrl, error);
    // a token that does not say what it is: amounts are shown in its units
    return [null, null];
  }
}

/** Asks new tokens what they are called. They are strangers, too: their names are cleaned. */
export async function describeTokens(chain: ChainReader, store: Store): Promise<void> {
  const rows = store.reader.all("SELECT address FROM tokens WHERE asked = 0 LIMIT ?", AT_ONCE);
  if (rows.length === 0) return;
  const addresses = rows.map(({ address }) => String(address) as Hex);
  const found = await Promise.all(addresses.map((address) => describe(chain, address)));
  store.annotate((writer) => {
    for (const [i, address] of addresses.entries())
      writer.run("UPDATE tokens SET asked = 1, symbol = ?, decimals = ? WHERE address = ?", ...found[i]!, address);
  });
}
