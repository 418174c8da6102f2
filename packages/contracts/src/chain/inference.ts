import { toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import type { TransactionReceipt } from "viem";
import { encodeEventTopics, parseEventLogs, zeroAddress } from "viem";
import { lower } from "../deployment/addresses.ts";
import { ChainError } from "../errors.ts";
import { inferenceBoardAbi } from "./abi.ts";
import { lowerAddresses, placeOf, readLogs } from "./events.ts";
import type {
  ChainInferenceOrder,
  ChainOffer,
  InferenceBoard,
  InferenceEvent,
  MarketRange,
  PublishedOffer,
} from "./market-types.ts";
import type { ReadContext } from "./reads.ts";
import type { Send, WriteOptions } from "./transactions.ts";
import { watchEvents } from "./watch.ts";

type Topics = (Hex | readonly Hex[] | null)[];

/** The event of a receipt that the contract always emits there. */
function eventOf<Name extends "Offered" | "Requested">(receipt: TransactionReceipt, eventName: Name, address: Hex) {
  const logs = receipt.logs.filter((log) => lower(log.address) === address);
  const [found] = parseEventLogs({ abi: inferenceBoardAbi, eventName, logs, strict: true });
  if (found === undefined) throw new ChainError("Reverted", [receipt.transactionHash]);
  return found;
}

type InferenceWrites = Pick<InferenceBoard, "offer" | "setPrice" | "close" | "request" | "answer" | "tick">;

function createInferenceWrites({ addresses }: ReadContext, send: Send): InferenceWrites {
  const address = addresses.inferenceBoard;
  const write = (functionName: string, args: readonly unknown[], options?: WriteOptions) =>
    send({ address, abi: inferenceBoardAbi, functionName, args }, options);
  return {
    offer: async (terms, options) => {
      const receipt = await write("offer", [terms], options);
      return { offerId: eventOf(receipt, "Offered", address).args.offerId, receipt };
    },
    setPrice: (offerId, price, options) => write("setPrice", [offerId, price], options),
    close: (offerId, options) => write("close", [offerId], options),
    request: async (offerId, maxPrice, { xId, xRef }, options) => {
      const receipt = await write("request", [offerId, maxPrice, xId, toHex(xRef)], options);
      const { orderId, price } = eventOf(receipt, "Requested", address).args;
      return { orderId, price, receipt };
    },
    answer: (orderId, z, proof, options) => write("answer", [orderId, toHex(z), proof], options),
    tick: (orderId, options) => write("tick", [orderId], options),
  };
}

type InferenceReads = Pick<InferenceBoard, "offerOf" | "order" | "statement">;

function createInferenceReads({ connection, addresses }: ReadContext): InferenceReads {
  const { publicClient, reach } = connection;
  const contract = { address: addresses.inferenceBoard, abi: inferenceBoardAbi } as const;
  const order = async (orderId: Hex): Promise<ChainInferenceOrder> => {
    const raw = await reach(() => publicClient.readContract({ ...contract, functionName: "order", args: [orderId] }));
    if (raw.state === 0) throw new ChainError("UnknownOrder", [orderId]);
    return { ...lowerAddresses(raw), orderId };
  };
  return {
    offerOf: async (offerId): Promise<ChainOffer> => {
      const raw = await reach(() =>
        publicClient.readContract({ ...contract, functionName: "offerOf", args: [offerId] }),
      );
      if (raw.host === zeroAddress) throw new ChainError("UnknownOffer", [offerId]);
      return { ...lowerAddresses(raw), offerId, since: BigInt(raw.since) };
    },
    order,
    statement: async (orderId, z) => {
      await order(orderId);
      const args = [orderId, toHex(z)] as const;
      const [context, idOut] = await reach(() =>
        publicClient.readContract({ ...contract, functionName: "statement", args }),
      );
      return { context, idOut };
    },
  };
}

/** Offers and orders of answers of one account. */
export function createInferenceBoard(context: ReadContext, send: Send): InferenceBoard {
  const { connection, addresses, firstBlock } = context;
  const blockNumber = () => connection.reach(() => connection.publicClient.getBlockNumber());

  const read = async (topics: Topics, { fromBlock = firstBlock, toBlock }: MarketRange): Promise<InferenceEvent[]> => {
    const range = { fromBlock, toBlock: toBlock ?? (await blockNumber()) };
    const logs = await readLogs(connection, addresses.inferenceBoard, topics, range);
    const own = logs.filter((log) => lower(log.address) === addresses.inferenceBoard);
    return parseEventLogs({ abi: inferenceBoardAbi, logs: own, strict: true }).map(
      (log) => ({ name: log.eventName, args: lowerAddresses(log.args), ...placeOf(log) }) as InferenceEvent,
    );
  };
  const published = async (topics: Topics, range: MarketRange): Promise<PublishedOffer[]> =>
    (await read(topics, range)).flatMap((event) => {
      if (event.name !== "Offered") return [];
      const { name: _name, args, ...place } = event;
      return [{ offerId: args.offerId, host: args.host, terms: args.terms, ...place }];
    });
  const reads = createInferenceReads(context);
  const events: InferenceBoard["events"] = async ({ offerId, ...range } = {}) => {
    const all = await read([], range);
    return offerId === undefined ? all : all.filter(({ args }) => args.offerId === offerId);
  };

  return {
    ...createInferenceWrites(context, send),
    ...reads,
    published: async (offerId) => {
      const { since } = await reads.offerOf(offerId);
      const topics = encodeEventTopics({ abi: inferenceBoardAbi, eventName: "Offered", args: { offerId } }) as Topics;
      const [found] = await published(topics, { fromBlock: since, toBlock: since });
      if (found === undefined) throw new ChainError("UnknownOffer", [offerId]);
      return found;
    },
    offers: async ({ host, modelId, ...range } = {}) => {
      const args = { host: host ?? null, modelId: modelId ?? null };
      return published(encodeEventTopics({ abi: inferenceBoardAbi, eventName: "Offered", args }) as Topics, range);
    },
    events,
    watch: (options) => watchEvents({ blockNumber, events }, options),
  };
}
