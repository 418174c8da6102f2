import type { Hex } from "@skynet/protocol";
import type { ReadContractReturnType, TransactionReceipt } from "viem";
import { encodeEventTopics, parseEventLogs, zeroAddress } from "viem";
import { lower } from "../deployment/addresses.ts";
import { ChainError } from "../errors.ts";
import { catalogAbi } from "./abi.ts";
import { lowerAddresses, placeOf, readLogs } from "./events.ts";
import type {
  Catalog,
  CatalogEvent,
  ChainListing,
  ChainPurchase,
  MarketRange,
  PublishedListing,
} from "./market-types.ts";
import type { ReadContext } from "./reads.ts";
import type { Send, WriteOptions } from "./transactions.ts";
import { watchEvents } from "./watch.ts";

type Topics = (Hex | readonly Hex[] | null)[];

/** The event of a receipt that the contract always emits there. */
function eventOf<Name extends "Listed" | "Bought">(receipt: TransactionReceipt, eventName: Name, address: Hex) {
  const logs = receipt.logs.filter((log) => lower(log.address) === address);
  const [found] = parseEventLogs({ abi: catalogAbi, eventName, logs, strict: true });
  if (found === undefined) throw new ChainError("Reverted", [receipt.transactionHash]);
  return found;
}

type CatalogWrites = Pick<
  Catalog,
  "list" | "setPrice" | "deactivate" | "buy" | "deliver" | "complain" | "cancel" | "tick"
>;

function createCatalogWrites({ addresses }: ReadContext, send: Send): CatalogWrites {
  const address = addresses.catalog;
  const write = (functionName: string, args: readonly unknown[], options?: WriteOptions) =>
    send({ address, abi: catalogAbi, functionName, args }, options);
  return {
    list: async (terms, options) => {
      const receipt = await write("list", [terms], options);
      return { listingId: eventOf(receipt, "Listed", address).args.listingId, receipt };
    },
    setPrice: (listingId, price, options) => write("setPrice", [listingId, price], options),
    deactivate: (listingId, options) => write("deactivate", [listingId], options),
    buy: async (listingId, maxPrice, B, options) => {
      const receipt = await write("buy", [listingId, maxPrice, B.x, B.y], options);
      const { orderId, price } = eventOf(receipt, "Bought", address).args;
      return { orderId, price, receipt };
    },
    deliver: (orderId, { R, sealedKey }, options) => write("deliver", [orderId, R.x, R.y, sealedKey], options),
    complain: (orderId, secret, options) => write("complain", [orderId, secret], options),
    cancel: (orderId, options) => write("cancel", [orderId], options),
    tick: (orderId, options) => write("tick", [orderId], options),
  };
}

type RawListing = ReadContractReturnType<typeof catalogAbi, "listing">;
type RawOrder = ReadContractReturnType<typeof catalogAbi, "order">;

function toListing(listingId: Hex, raw: RawListing): ChainListing {
  if (raw.seller === zeroAddress) throw new ChainError("UnknownListing", [listingId]);
  return { ...lowerAddresses(raw), listingId, since: BigInt(raw.since) };
}

function toPurchase(orderId: Hex, raw: RawOrder): ChainPurchase {
  const { Bx, By, Rx, Ry, sealedKey, ...rest } = lowerAddresses(raw);
  if (rest.state === 0) throw new ChainError("UnknownOrder", [orderId]);
  const delivered = Rx !== 0n || Ry !== 0n;
  return {
    ...rest,
    orderId,
    B: { x: Bx, y: By },
    R: delivered ? { x: Rx, y: Ry } : undefined,
    sealedKey: delivered ? sealedKey : undefined,
  };
}

/** Listings and purchases of one account. */
export function createCatalog(context: ReadContext, send: Send): Catalog {
  const { connection, addresses, firstBlock } = context;
  const { publicClient, reach } = connection;
  const contract = { address: addresses.catalog, abi: catalogAbi } as const;
  const blockNumber = () => reach(() => publicClient.getBlockNumber());

  const read = async (topics: Topics, { fromBlock = firstBlock, toBlock }: MarketRange): Promise<CatalogEvent[]> => {
    const range = { fromBlock, toBlock: toBlock ?? (await blockNumber()) };
    const logs = await readLogs(connection, addresses.catalog, topics, range);
    const own = logs.filter((log) => lower(log.address) === addresses.catalog);
    return parseEventLogs({ abi: catalogAbi, logs: own, strict: true }).map(
      (log) => ({ name: log.eventName, args: lowerAddresses(log.args), ...placeOf(log) }) as CatalogEvent,
    );
  };
  const published = async (topics: Topics, range: MarketRange): Promise<PublishedListing[]> =>
    (await read(topics, range)).flatMap((event) => {
      if (event.name !== "Listed") return [];
      const { name: _name, args, ...place } = event;
      return [{ listingId: args.listingId, seller: args.seller, terms: args.terms, ...place }];
    });
  const listing = async (listingId: Hex) =>
    toListing(
      listingId,
      await reach(() => publicClient.readContract({ ...contract, functionName: "listing", args: [listingId] })),
    );

  const events: Catalog["events"] = async ({ listingId, ...range } = {}) => {
    const all = await read([], range);
    // the id of the listing is in every event, but not always in the same topic
    return listingId === undefined ? all : all.filter(({ args }) => args.listingId === listingId);
  };

  return {
    ...createCatalogWrites(context, send),
    listing,
    published: async (listingId) => {
      const { since } = await listing(listingId);
      const topics = encodeEventTopics({ abi: catalogAbi, eventName: "Listed", args: { listingId } }) as Topics;
      const [found] = await published(topics, { fromBlock: since, toBlock: since });
      if (found === undefined) throw new ChainError("UnknownListing", [listingId]);
      return found;
    },
    listings: async ({ seller, kind, ...range } = {}) => {
      const args = { seller: seller ?? null, kind: kind ?? null };
      return published(encodeEventTopics({ abi: catalogAbi, eventName: "Listed", args }) as Topics, range);
    },
    order: async (orderId) =>
      toPurchase(
        orderId,
        await reach(() => publicClient.readContract({ ...contract, functionName: "order", args: [orderId] })),
      ),
    orderIds: async ({ listingId, buyer, ...range } = {}) => {
      const args = { listingId: listingId ?? null, buyer: buyer ?? null };
      const topics = encodeEventTopics({ abi: catalogAbi, eventName: "Bought", args }) as Topics;
      const bought = await read(topics, range);
      return bought.flatMap((event) => (event.name === "Bought" ? [event.args.orderId] : []));
    },
    windows: async () => {
      const names = ["deliveryWindow", "cancelDelay", "complaintWindow"] as const;
      const [delivery, cancel, complaint] = await reach(() =>
        Promise.all(names.map((functionName) => publicClient.readContract({ ...contract, functionName }))),
      );
      return { delivery: Number(delivery), cancel: Number(cancel), complaint: Number(complaint) };
    },
    events,
    watch: (options) => watchEvents({ blockNumber, events }, options),
  };
}
