import type { Hex } from "@skynet/protocol";
import type { ReadContractReturnType } from "viem";
import { encodeEventTopics, zeroAddress } from "viem";
import { ChainError } from "../errors.ts";
import { catalogAbi } from "./abi.ts";
import { lowerAddresses, placeOf } from "./events.ts";
import { createEventReader, eventOf, eventsNamed } from "./market-events.ts";
import type { Topics } from "./market-events.ts";
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

type CatalogWrites = Pick<
  Catalog,
  "list" | "setPrice" | "deactivate" | "buy" | "deliver" | "complain" | "cancel" | "tick"
>;

function createCatalogWrites({ addresses }: ReadContext, send: Send): CatalogWrites {
  const contract = { address: addresses.catalog, abi: catalogAbi };
  const write = (functionName: string, args: readonly unknown[], options?: WriteOptions) =>
    send({ ...contract, functionName, args }, options);
  return {
    list: async (terms, options) => {
      const receipt = await write("list", [terms], options);
      return { listingId: eventOf(receipt, "Listed", contract).args.listingId, receipt };
    },
    setPrice: (listingId, price, options) => write("setPrice", [listingId, price], options),
    deactivate: (listingId, options) => write("deactivate", [listingId], options),
    buy: async (listingId, maxPrice, B, options) => {
      const receipt = await write("buy", [listingId, maxPrice, B.x, B.y], options);
      const { orderId, price } = eventOf(receipt, "Bought", contract).args;
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
  const { connection, addresses } = context;
  const { publicClient, reach } = connection;
  const contract = { address: addresses.catalog, abi: catalogAbi } as const;
  const blockNumber = () => reach(() => publicClient.getBlockNumber());

  const read = createEventReader<CatalogEvent>(context, contract);
  const published = async (topics: Topics, range: MarketRange): Promise<PublishedListing[]> =>
    eventsNamed(await read(topics, range), "Listed").map((event) => {
      const { listingId, seller, terms } = event.args;
      return { listingId, seller, terms, ...placeOf(event) };
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
      return eventsNamed(await read(topics, range), "Bought").map(({ args: { orderId } }) => orderId);
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
