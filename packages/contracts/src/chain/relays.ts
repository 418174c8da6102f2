import type { Hex } from "@skynet/protocol";
import { concat } from "viem";
import { lower } from "../deployment/addresses.ts";
import { relayRegistryAbi } from "./abi.ts";
import type { ReadContext } from "./reads.ts";
import type { Send, WriteOptions } from "./transactions.ts";
import type { ChainRelay, RelayRegistry } from "./relay-types.ts";

/** Entries of one request. */
const PAGE = 64;

interface RawRelay {
  readonly relay: Hex;
  readonly expiry: number;
  readonly odd: boolean;
  readonly x: Hex;
  readonly multiaddrs: string;
}

const toRelay = ({ relay, expiry, odd, x, multiaddrs }: RawRelay): ChainRelay => ({
  relay: lower(relay),
  publicKey: concat([odd ? "0x03" : "0x02", x]),
  multiaddrs: multiaddrs.split(" ").filter((text) => text !== ""),
  expiry,
});

/** Relays that anybody may use, and the entry of one account. */
export function createRelayRegistry({ connection, addresses, address }: ReadContext, send: Send): RelayRegistry {
  const { publicClient, reach, account } = connection;
  const contract = { address: addresses.relayRegistry, abi: relayRegistryAbi } as const;
  const write = (functionName: string, args: readonly unknown[], value?: bigint, options?: WriteOptions) =>
    send({ ...contract, functionName, args, ...(value ? { value } : {}) }, options);
  const deposit = (relay: Hex) =>
    reach(() => publicClient.readContract({ ...contract, functionName: "deposits", args: [relay] }));
  const read = async ({ from = 0, most = 256 }: { from?: number; most?: number } = {}) => {
    const { timestamp } = await reach(() => publicClient.getBlock());
    const entries: ChainRelay[] = [];
    for (let place = from; place < from + most; place += PAGE) {
      const args = [BigInt(place), BigInt(Math.min(PAGE, from + most - place))] as const;
      const page = await reach(() => publicClient.readContract({ ...contract, functionName: "page", args }));
      entries.push(...page.map(toRelay));
      if (page.length < PAGE) break;
    }
    return { entries, now: Number(timestamp) };
  };
  return {
    announce: async (multiaddrs, lifetime, options) => {
      const [needed, held] = await Promise.all([
        reach(() => publicClient.readContract({ ...contract, functionName: "DEPOSIT" })),
        deposit(address),
      ]);
      const publicKey: Hex = `0x${account.publicKey.slice(4)}`;
      return write("announce", [publicKey, multiaddrs.join(" "), BigInt(lifetime)], needed - held, options);
    },
    renew: (lifetime, options) => write("renew", [BigInt(lifetime)], undefined, options),
    withdraw: (options) => write("withdraw", [], undefined, options),
    prune: (relay, options) => write("prune", [relay], undefined, options),
    deposit: (relay = address) => deposit(relay),
    entry: async (relay = address) => {
      const found = await reach(() => publicClient.readContract({ ...contract, functionName: "entry", args: [relay] }));
      return found.expiry === 0 ? undefined : toRelay(found);
    },
    count: async () => Number(await reach(() => publicClient.readContract({ ...contract, functionName: "count" }))),
    list: async (range) => {
      const { entries, now } = await read(range);
      return entries.filter(({ expiry }) => expiry > now);
    },
    expired: async (range) => {
      const { entries, now } = await read(range);
      return entries.filter(({ expiry }) => expiry <= now);
    },
  };
}
