import { toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { encodeEventTopics, zeroAddress } from "viem";
import { ChainError } from "../errors.ts";
import { inferenceBoardAbi } from "./abi.ts";
import { lowerAddresses, placeOf } from "./events.ts";
import { createEventReader, eventOf, eventsNamed } from "./market-events.ts";
import type { Topics } from "./market-events.ts";
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

type InferenceWrites = Pick<InferenceBoard, "offer" | "setPrice" | "close" | "request" | "answer" | "tick">;

function createInferenceWrites({ addresses }: ReadContext, send: Send): InferenceWrites {
  const contract = { address: addresses.inferenceBoard, abi: inferenceBoardAbi };
  const write = (functionName: string, args: readonly unknown[], options?: WriteOptions) =>
    send({ ...contract, functionName, args }, options);
  return {
    offer: async (terms, options) => {
      const receipt = await write("offer", [terms], options);
      return { offerId: eventOf(receipt, "Offered", contract).args.offerId, receipt };
    },
    setPrice: (offerId, price, options) => write("setPrice", [offerId, price], options),
    close: (offerId, options) => write("close", [offerId], options),
    request: async (offerId, maxPrice, { xId, xRef }, options) => {
      const receipt = await write("request", [offerId, maxPrice, xId, toHex(xRef)], options);
      const { orderId, price } = eventOf(receipt, "Requested", contract).args;
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
  const { connection, addresses } = context;
  const blockNumber = () => connection.reach(() => connection.publicClient.getBlockNumber());

  const read = createEventReader<InferenceEvent>(context, {
    address: addresses.inferenceBoard,
    abi: inferenceBoardAbi,
  });
  const published = async (topics: Topics, range: MarketRange): Promise<PublishedOffer[]> =>
    eventsNamed(await read(topics, range), "Offered").map((event) => {
      const { offerId, host, terms } = event.args;
      return { offerId, host, terms, ...placeOf(event) };
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
