import { createRandom } from "@skynet/protocol";
import type { FuzzOptions, Hex } from "@skynet/protocol";
import { createTestClient, encodeFunctionData, http, parseEventLogs, zeroHash } from "viem";
import type { TransactionReceipt } from "viem";
import { catalogAbi, inferenceBoardAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import type { Connection } from "./chain/connection.ts";
import type { OfferTerms } from "./chain/market-types.ts";
import { toChainError } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import { deliveryPoint } from "./key-delivery.ts";
import { MarketModel, MarketRuleError } from "./market-model.ts";
import type { MarketEvent } from "./market-model.ts";
import { drawEvent, drawTime } from "./market-random.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import {
  answerOf,
  answerProof,
  buyerSecret,
  hash,
  listingTerms,
  offerTerms,
  rightDelivery,
  wrongDelivery,
} from "./test-market.ts";

const PARTIES = 3;
const EVENTS = 40;
const MONEY = 2_000n;
const GAS = 1_000_000n;
const GAS_PRICE = 2_000_000_000n;

/** The contracts and the model of the market disagree. */
export class MarketDivergenceError extends Error {
  constructor(detail: unknown) {
    super(
      `the market differs from its model\n${JSON.stringify(detail, (_, v) => (typeof v === "bigint" ? `${v}` : v), 1)}`,
    );
    this.name = "MarketDivergenceError";
  }
}

interface Call {
  readonly to: Hex;
  readonly data: Hex;
}

const unknown: Hex = `0x${"99".repeat(32)}`;
const badPoint = { x: 1n, y: 3n };
const buyerPoint = deliveryPoint(buyerSecret);
const deliveries = { right: rightDelivery(), wrong: wrongDelivery() };
const z = answerOf([1n, 2n]);
const xId = hash("input");

/** One trace: the ids that the chain gave to the positions of the model. */
class MarketRun {
  readonly model = new MarketModel(Array.from({ length: PARTIES }, () => MONEY));
  readonly #ids = { listings: [] as Hex[], orders: [] as Hex[], offers: [] as Hex[], requests: [] as Hex[] };
  readonly #parties: readonly Chain[];
  readonly #wallets: readonly Connection[];
  readonly #offer: OfferTerms;
  readonly #nonces: number[];

  constructor(parties: readonly Chain[], wallets: readonly Connection[], offer: OfferTerms, nonces: readonly number[]) {
    this.#parties = parties;
    this.#wallets = wallets;
    this.#offer = offer;
    this.#nonces = [...nonces];
  }

  /** Plays an event on both sides. @throws MarketDivergenceError */
  async play(event: MarketEvent): Promise<string | undefined> {
    const call = this.#callOf(event);
    const { walletClient, publicClient } = this.#wallets[event.by]!;
    const nonce = this.#nonces[event.by]!++;
    const request = { ...call, gas: GAS, nonce, gasPrice: GAS_PRICE, type: "legacy" } as const;
    const receipt = await walletClient.sendTransactionSync({ ...request, throwOnReceiptRevert: false });
    const { timestamp } = await publicClient.getBlock({ blockNumber: receipt.blockNumber });
    const actual = receipt.status === "success" ? undefined : await this.#reason(event, call, receipt);
    const expected = this.#expect(event, Number(timestamp));
    if (actual !== expected) throw new MarketDivergenceError({ event, actual, expected, model: this.model });
    if (actual !== undefined) return actual;
    this.#note(receipt);
    await this.#compare(event);
    return undefined;
  }

  /** Compares all states and all money. @throws MarketDivergenceError */
  async #compare(event: MarketEvent): Promise<void> {
    const [reader] = this.#parties as [Chain];
    const { catalog, inference } = reader;
    const { listings, orders, offers, requests } = this.#ids;
    const actual = {
      balances: await Promise.all(
        this.#parties.map(async ({ address }) => (await reader.balances(this.#offer.token, address)).ledger),
      ),
      listings: await Promise.all(listings.map((id) => catalog.listing(id))),
      orders: await Promise.all(orders.map((id) => catalog.order(id))),
      offers: await Promise.all(offers.map((id) => inference.offerOf(id))),
      requests: await Promise.all(requests.map((id) => inference.order(id))),
    };
    const { model } = this;
    const same =
      model.balances.every((balance, i) => actual.balances[i] === balance) &&
      model.listings.every((own, i) => agrees(own, actual.listings[i]!, ["active", "price", "bond"])) &&
      model.orders.every((own, i) => agrees(own, actual.orders[i]!, ["state", "price", "share", "at"])) &&
      model.offers.every((own, i) => agrees(own, actual.offers[i]!, ["active", "price"])) &&
      model.requests.every((own, i) => agrees(own, actual.requests[i]!, ["state", "price", "at"]));
    if (!same) throw new MarketDivergenceError({ event, actual, model });
    if (model.total() !== MONEY * BigInt(PARTIES)) throw new MarketDivergenceError({ event, total: model.total() });
  }

  #expect(event: MarketEvent, at: number): string | undefined {
    try {
      this.model.apply(event, at);
      return undefined;
    } catch (error) {
      if (error instanceof MarketRuleError) return error.code;
      throw error;
    }
  }

  /** Asks again in the state in which the transaction failed. */
  async #reason(event: MarketEvent, call: Call, { blockNumber }: TransactionReceipt): Promise<string> {
    const { publicClient, account } = this.#wallets[event.by]!;
    try {
      await publicClient.call({ account, ...call, gas: GAS, blockNumber });
    } catch (error) {
      const known = toChainError(error);
      if (known instanceof Error && "code" in known) return String(known.code);
      throw error;
    }
    throw new MarketDivergenceError({ event, reason: "the transaction failed, the call did not" });
  }

  #note({ logs }: TransactionReceipt): void {
    for (const { eventName, args } of parseEventLogs({ abi: catalogAbi, logs })) {
      if (eventName === "Listed") this.#ids.listings.push(args.listingId);
      if (eventName === "Bought") this.#ids.orders.push(args.orderId);
    }
    for (const { eventName, args } of parseEventLogs({ abi: inferenceBoardAbi, logs })) {
      if (eventName === "Offered") this.#ids.offers.push(args.offerId);
      if (eventName === "Requested") this.#ids.requests.push(args.orderId);
    }
  }

  #callOf(event: MarketEvent): Call {
    const { catalog, inferenceBoard } = this.#parties[0]!.addresses;
    const inference = ["offer", "setOfferPrice", "close", "request", "answer", "expire"].includes(event.type);
    return inference
      ? { to: inferenceBoard, data: this.#inferenceData(event) }
      : { to: catalog, data: this.#catalogData(event) };
  }

  #catalogData(event: MarketEvent): Hex {
    const encode = (functionName: string, args: readonly unknown[]) =>
      encodeFunctionData({ abi: catalogAbi, functionName, args } as never);
    const listing = "of" in event ? (this.#ids.listings[event.of] ?? unknown) : unknown;
    const order = "of" in event ? (this.#ids.orders[event.of] ?? unknown) : unknown;
    switch (event.type) {
      case "list": {
        const { price, bond, keyed } = event;
        const key = keyed ? {} : { keyCommit: zeroHash };
        return encode("list", [listingTerms(this.#parties[event.by]!, { price, bond, ...key })]);
      }
      case "setPrice":
        return encode("setPrice", [listing, event.price]);
      case "deactivate":
        return encode("deactivate", [listing]);
      case "buy": {
        const B = event.point ? buyerPoint : badPoint;
        return encode("buy", [listing, event.max, B.x, B.y]);
      }
      case "deliver": {
        const { R, sealedKey } = event.right ? deliveries.right : deliveries.wrong;
        const point = event.point ? R : badPoint;
        return encode("deliver", [order, point.x, point.y, sealedKey]);
      }
      case "complain":
        return encode("complain", [order, event.secret ? buyerSecret : buyerSecret + 1n]);
      default:
        return encode(event.type, [order]);
    }
  }

  #inferenceData(event: MarketEvent): Hex {
    const encode = (functionName: string, args: readonly unknown[]) =>
      encodeFunctionData({ abi: inferenceBoardAbi, functionName, args } as never);
    const offer = "of" in event ? (this.#ids.offers[event.of] ?? unknown) : unknown;
    const order = "of" in event ? (this.#ids.requests[event.of] ?? unknown) : unknown;
    switch (event.type) {
      case "offer":
        return encode("offer", [{ ...this.#offer, price: event.price, maxLatency: event.latency }]);
      case "setOfferPrice":
        return encode("setPrice", [offer, event.price]);
      case "close":
        return encode("close", [offer]);
      case "request":
        return encode("request", [offer, event.max, xId, "0x"]);
      case "answer":
        return encode("answer", [order, `0x${Buffer.from(z).toString("hex")}`, this.#proof(event, order)]);
      default:
        return encode("tick", [order]);
    }
  }

  #proof({ of, proof }: Extract<MarketEvent, { type: "answer" }>, orderId: Hex): Hex {
    const request = this.model.requests[of];
    if (!proof || request === undefined) return "0x";
    const host = this.#parties[this.model.offers[request.offer]!.host]!.address;
    return answerProof(this.#parties[0]!, { orderId, host, terms: this.#offer, xId }, z);
  }
}

/** Whether two states agree in these fields. */
function agrees<Name extends string>(
  a: Readonly<Record<Name, unknown>>,
  b: Readonly<Record<Name, unknown>>,
  names: readonly Name[],
): boolean {
  return names.every((name) => a[name] === b[name]);
}

/** Random traces through the contracts and through the model, on a chain of its own. */
export async function fuzzMarket({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const chain = await startTestChain(PARTIES);
  let [events, refused] = [0, 0];
  const errors: Record<string, number> = {};
  try {
    const { parties, anvil } = chain;
    const wallets = await Promise.all(parties.map((_, index) => connect(anvil.rpcUrl, testKey(index))));
    for (const party of parties) {
      await party.mint(MONEY);
      await party.deposit(party.addresses.testToken, MONEY);
    }
    const offer = await offerTerms(parties[0]!);
    const nonces = await Promise.all(
      wallets.map(({ publicClient, account }) => publicClient.getTransactionCount({ address: account.address })),
    );
    const rpc = createTestClient({ mode: "anvil", transport: http(anvil.rpcUrl) });
    for (let index = 0; index < count; index++) {
      const undo = await chain.checkpoint();
      const random = createRandom(seed * 1_000_003 + index);
      const run = new MarketRun(parties, wallets, offer, nonces);
      let now = await parties[0]!.now();
      for (let step = 0; step < EVENTS; step++) {
        now = drawTime(random, run.model, now);
        await rpc.setNextBlockTimestamp({ timestamp: BigInt(now) });
        const event = drawEvent(random, run.model, now);
        const error = await run.play(event);
        events++;
        if (error !== undefined) refused++;
        if (error !== undefined) errors[error] = (errors[error] ?? 0) + 1;
      }
      await undo();
      onProgress?.(index + 1);
    }
  } finally {
    await chain.stop();
  }
  return { traces: count, events, refused, errors };
}
