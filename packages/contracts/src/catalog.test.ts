import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Hex } from "@skynet/protocol";
import { zeroAddress, zeroHash } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startAnvil } from "./anvil.ts";
import { createChain } from "./chain/create.ts";
import { ListingKind, PurchaseState } from "./chain/market-types.ts";
import type { CatalogEvent } from "./chain/market-types.ts";
import type { Chain } from "./chain/types.ts";
import { createDeliverySecret, deliveryPoint, keyCommitOf, openKey, sealKey } from "./key-delivery.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { CURVE_ORDER } from "./test-curve.ts";
import { fundParties } from "./test-job.ts";
import {
  badPoints,
  buyerSecret,
  buyListing,
  listingKey,
  listingTerms,
  rightDelivery,
  sellerSecret,
  wrongDelivery,
} from "./test-market.ts";

let chain: TestChain;
let seller: Chain;
let buyer: Chain;
let stranger: Chain;
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(3);
  [seller, buyer, stranger] = chain.parties as [Chain, Chain, Chain];
  await fundParties(chain.parties);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const ledgerOf = async (party: Chain) => (await party.balances(party.addresses.testToken)).ledger;
/** What happened to the Ledger balances of seller and buyer. */
async function changes(action: () => Promise<unknown>): Promise<[bigint, bigint]> {
  const before = [await ledgerOf(seller), await ledgerOf(buyer)] as const;
  await action();
  return [(await ledgerOf(seller)) - before[0], (await ledgerOf(buyer)) - before[1]];
}

const B = deliveryPoint(buyerSecret);
const unknown: Hex = `0x${"77".repeat(32)}`;
describe("listings", () => {
  test("are stored, and published with CID and metadata", async () => {
    const terms = listingTerms(seller);
    const [spent] = await changes(() => seller.catalog.list(terms));
    expect(spent).toBe(-250n);
    const [published] = await buyer.catalog.listings({ seller: seller.address, kind: ListingKind.DATA });
    expect(published).toMatchObject({ seller: seller.address, terms });
    expect(await buyer.catalog.published(published!.listingId)).toEqual(published);
    const { cid: _cid, meta: _meta, ...stored } = terms;
    expect(await buyer.catalog.listing(published!.listingId)).toMatchObject({ ...stored, active: true });
    expect(await buyer.catalog.listings({ seller: buyer.address })).toEqual([]);
    expect(await buyer.catalog.listings({ kind: ListingKind.MODEL })).toEqual([]);
  });

  test("with equal terms have different ids", async () => {
    const first = await seller.catalog.list(listingTerms(seller));
    const second = await seller.catalog.list(listingTerms(seller));
    const foreign = await buyer.catalog.list(listingTerms(buyer));
    expect(new Set([first.listingId, second.listingId, foreign.listingId]).size).toBe(3);
  });

  test.each([
    ["BadListingKind", { kind: 0 }],
    ["BadListingKind", { kind: 3 }],
    ["BadContent", { contentRoot: zeroHash }],
    ["BadCid", { cid: "" }],
    ["BadCid", { cid: "b".repeat(129) }],
    ["MetaTooLong", { meta: `0x${"00".repeat(4097)}` as Hex }],
    ["BadListingPrice", { price: 0n, bond: 0n }],
    ["BadListingPrice", { keyCommit: zeroHash, bond: 0n }],
    ["BadBond", { price: 0n, keyCommit: zeroHash }],
    ["NotToken", { token: zeroAddress }],
    ["NotToken", { token: "0x00000000000000000000000000000000000000aa" as Hex }],
    ["InsufficientBalance", { bond: 10n ** 9n }],
  ])("are refused with %s for %o", async (code, change) => {
    const spent = await changes(() =>
      expect(seller.catalog.list(listingTerms(seller, change))).rejects.toMatchObject({ code }),
    );
    expect(spent).toEqual([0n, 0n]);
  });

  test("take the longest CID and metadata, and the dearest price", async () => {
    const largest = { cid: "b".repeat(128), meta: `0x${"ab".repeat(4096)}` as Hex, price: 2n ** 96n - 1n };
    const { listingId } = await seller.catalog.list(listingTerms(seller, largest));
    expect((await buyer.catalog.published(listingId)).terms).toMatchObject(largest);
    await expect(buyer.catalog.buy(listingId, 2n ** 96n - 1n, B)).rejects.toMatchObject({
      code: "InsufficientBalance",
    });
  });

  test("that are free have nothing to buy and no price to set", async () => {
    const free = { price: 0n, keyCommit: zeroHash, bond: 0n, token: zeroAddress };
    const { listingId } = await seller.catalog.list(listingTerms(seller, free));
    await expect(buyer.catalog.buy(listingId, 0n, B)).rejects.toMatchObject({ code: "FreeListing" });
    await expect(seller.catalog.setPrice(listingId, 5n)).rejects.toMatchObject({ code: "BadListingPrice" });
    await seller.catalog.deactivate(listingId);
  });

  test("belong to their seller", async () => {
    const { listingId } = await seller.catalog.list(listingTerms(seller));
    await expect(stranger.catalog.setPrice(listingId, 1n)).rejects.toMatchObject({ code: "NotSeller" });
    await expect(stranger.catalog.deactivate(listingId)).rejects.toMatchObject({ code: "NotSeller" });
    await expect(seller.catalog.setPrice(listingId, 0n)).rejects.toMatchObject({ code: "BadListingPrice" });
    await seller.catalog.setPrice(listingId, 60n);
    expect((await buyer.catalog.listing(listingId)).price).toBe(60n);
    expect((await buyer.catalog.published(listingId)).terms.price).toBe(100n);
  });

  test("end for ever, and the bond returns", async () => {
    const { listingId } = await seller.catalog.list(listingTerms(seller));
    expect(await changes(() => seller.catalog.deactivate(listingId))).toEqual([250n, 0n]);
    await expect(seller.catalog.deactivate(listingId)).rejects.toMatchObject({ code: "NotActive" });
    await expect(seller.catalog.setPrice(listingId, 5n)).rejects.toMatchObject({ code: "NotActive" });
    await expect(buyer.catalog.buy(listingId, 100n, B)).rejects.toMatchObject({ code: "NotActive" });
  });

  test("that nobody made are unknown", async () => {
    await expect(buyer.catalog.listing(unknown)).rejects.toMatchObject({ code: "UnknownListing" });
    await expect(buyer.catalog.published(unknown)).rejects.toMatchObject({ code: "UnknownListing" });
    await expect(buyer.catalog.order(unknown)).rejects.toMatchObject({ code: "UnknownOrder" });
    await expect(buyer.catalog.buy(unknown, 100n, B)).rejects.toMatchObject({ code: "NotActive" });
    await expect(buyer.catalog.tick(unknown)).rejects.toMatchObject({ code: "WrongState", details: [0] });
  });
});

describe("purchases", () => {
  test("deliver the key, and pay the seller when nobody complains", async () => {
    const secret = createDeliverySecret(randomBytes);
    const { listingId } = await seller.catalog.list(listingTerms(seller));
    const spent = await changes(() => buyer.catalog.buy(listingId, 100n, deliveryPoint(secret)));
    expect(spent).toEqual([0n, -100n]);
    const [orderId] = await seller.catalog.orderIds({ listingId });
    const order = await seller.catalog.order(orderId!);
    expect(order).toMatchObject({ buyer: buyer.address, state: PurchaseState.NEW, price: 100n, share: 100n });
    expect([order.R, order.sealedKey]).toEqual([undefined, undefined]);
    await seller.catalog.deliver(orderId!, sealKey(listingKey, order.B, createDeliverySecret(randomBytes)));
    const { R, sealedKey } = await buyer.catalog.order(orderId!);
    const opened = openKey({ R: R!, sealedKey: sealedKey! }, secret);
    expect(Buffer.from(opened).equals(listingKey)).toBe(true);
    await expect(buyer.catalog.complain(orderId!, secret)).rejects.toMatchObject({ code: "KeyIsRight" });
    await chain.advance(10);
    expect(await changes(() => stranger.catalog.tick(orderId!))).toEqual([100n, 0n]);
    expect((await buyer.catalog.order(orderId!)).state).toBe(PurchaseState.PAID);
    expect((await buyer.catalog.listing(listingId)).bond).toBe(250n);
    const names = (await stranger.catalog.events({ listingId })).map(({ name }) => name);
    expect(names).toEqual(["Listed", "Bought", "Delivered", "Paid"]);
  });

  test("end with the price and a part of the bond when the key is wrong", async () => {
    const { listingId, orderId } = await buyListing(seller, buyer);
    await seller.catalog.deliver(orderId, wrongDelivery());
    const { R, sealedKey } = await buyer.catalog.order(orderId);
    const opened = openKey({ R: R!, sealedKey: sealedKey! }, buyerSecret);
    expect(keyCommitOf(opened)).not.toBe((await buyer.catalog.listing(listingId)).keyCommit);
    expect(await changes(() => buyer.catalog.complain(orderId, buyerSecret))).toEqual([0n, 200n]);
    expect((await buyer.catalog.order(orderId)).state).toBe(PurchaseState.REFUNDED);
    expect((await buyer.catalog.listing(listingId)).bond).toBe(150n);
    expect(await changes(() => seller.catalog.deactivate(listingId))).toEqual([150n, 0n]);
  });

  test.each([
    ["a key of a purchase by somebody else", () => rightDelivery(buyerSecret + 1n)],
    ["the key as it is", () => ({ ...rightDelivery(), sealedKey: `0x${listingKey.toString("hex")}` as Hex })],
    ["nothing", () => ({ ...rightDelivery(), sealedKey: zeroHash as Hex })],
    ["a point that does not fit", () => ({ ...rightDelivery(), R: deliveryPoint(sellerSecret + 1n) })],
  ])("a complaint shows a delivery of %s", async (_name, delivery) => {
    const { orderId } = await buyListing(seller, buyer);
    await seller.catalog.deliver(orderId, delivery());
    expect(await changes(() => buyer.catalog.complain(orderId, buyerSecret))).toEqual([0n, 200n]);
  });

  test("nobody complains falsely, for somebody, with another secret, or twice", async () => {
    const right = await buyListing(seller, buyer);
    await seller.catalog.deliver(right.orderId, rightDelivery());
    const complain = (party: Chain, orderId: Hex, secret: bigint) => party.catalog.complain(orderId, secret);
    await expect(complain(buyer, right.orderId, buyerSecret)).rejects.toMatchObject({ code: "KeyIsRight" });
    // the same secret in other words is the same point
    await expect(complain(buyer, right.orderId, buyerSecret + CURVE_ORDER)).rejects.toMatchObject({
      code: "KeyIsRight",
    });
    for (const secret of [0n, 1n, buyerSecret + 1n, CURVE_ORDER - buyerSecret, 2n ** 256n - 1n])
      await expect(complain(buyer, right.orderId, secret)).rejects.toMatchObject({ code: "WrongSecret" });
    const wrong = await buyListing(seller, buyer);
    await expect(complain(buyer, wrong.orderId, buyerSecret)).rejects.toMatchObject({ code: "WrongState" });
    await seller.catalog.deliver(wrong.orderId, wrongDelivery());
    await expect(complain(stranger, wrong.orderId, buyerSecret)).rejects.toMatchObject({ code: "NotBuyer" });
    await expect(complain(seller, wrong.orderId, buyerSecret)).rejects.toMatchObject({ code: "NotBuyer" });
    await complain(buyer, wrong.orderId, buyerSecret);
    await expect(complain(buyer, wrong.orderId, buyerSecret)).rejects.toMatchObject({
      code: "WrongState",
      details: [PurchaseState.REFUNDED],
    });
  });

  test("a raised price does not surprise the buyer, a lowered one helps", async () => {
    const { listingId } = await seller.catalog.list(listingTerms(seller));
    await seller.catalog.setPrice(listingId, 101n);
    const surprised = changes(() =>
      expect(buyer.catalog.buy(listingId, 100n, B)).rejects.toMatchObject({ code: "PriceChanged", details: [101n] }),
    );
    expect(await surprised).toEqual([0n, 0n]);
    await seller.catalog.setPrice(listingId, 30n);
    const { orderId, price } = await buyer.catalog.buy(listingId, 100n, B);
    expect(price).toBe(30n);
    // and a later price changes nothing for the order
    await seller.catalog.setPrice(listingId, 500n);
    await seller.catalog.deliver(orderId, rightDelivery());
    await chain.advance(10);
    expect(await changes(() => seller.catalog.tick(orderId))).toEqual([30n, 0n]);
  });

  test.each(Object.entries(badPoints))("neither side may name %s", async (_name, point) => {
    const { listingId, orderId } = await buyListing(seller, buyer);
    await expect(buyer.catalog.buy(listingId, 100n, point)).rejects.toMatchObject({ code: "BadPoint" });
    const { sealedKey } = rightDelivery();
    await expect(seller.catalog.deliver(orderId, { R: point, sealedKey })).rejects.toMatchObject({ code: "BadPoint" });
  });

  test("only the seller delivers, and once", async () => {
    const { orderId } = await buyListing(seller, buyer);
    await expect(buyer.catalog.deliver(orderId, rightDelivery())).rejects.toMatchObject({ code: "NotSeller" });
    await expect(stranger.catalog.deliver(orderId, rightDelivery())).rejects.toMatchObject({ code: "NotSeller" });
    await seller.catalog.deliver(orderId, wrongDelivery());
    await expect(seller.catalog.deliver(orderId, rightDelivery())).rejects.toMatchObject({ code: "WrongState" });
  });

  test("the ids of purchases bind buyer, listing and point", async () => {
    const { listingId } = await seller.catalog.list(listingTerms(seller));
    const back = await chain.checkpoint();
    const first = await buyer.catalog.buy(listingId, 100n, B);
    await back();
    // the block that held the order is gone, and the buyer chooses another point: a delivery for the old order fails
    const other = await buyer.catalog.buy(listingId, 100n, deliveryPoint(buyerSecret + 1n));
    expect(other.orderId).not.toBe(first.orderId);
    await expect(seller.catalog.deliver(first.orderId, rightDelivery())).rejects.toMatchObject({ code: "WrongState" });
  });

  test("the ids of listings bind their terms", async () => {
    const ids: Hex[] = [];
    const other = { token: seller.addresses.ledger, bond: 0n };
    const free = { keyCommit: zeroHash, price: 0n, bond: 0n };
    // each list is the seller's next one; only the price may differ under the same id
    for (const change of [{}, { price: 99n }, { bond: 1n }, free, { licence: 8 }, { bond: 0n }, other]) {
      const back = await chain.checkpoint();
      ids.push((await seller.catalog.list(listingTerms(seller, change))).listingId);
      await back();
    }
    expect(ids[1]).toBe(ids[0]);
    expect(new Set(ids).size).toBe(ids.length - 1);
  });
});

describe("times of a purchase", () => {
  const start = async () => {
    const bought = await buyListing(seller, buyer);
    const { at } = await buyer.catalog.order(bought.orderId);
    return { ...bought, at };
  };

  test("windows are short on a development chain", async () => {
    expect(await buyer.catalog.windows()).toEqual({ delivery: 60, cancel: 30, complaint: 10 });
  });

  test("windows are those of the specification on every other chain", async () => {
    const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-catalog-"));
    const anvil = await startAnvil({ dataDir, chainId: 534351, blockTimeSeconds: 0 });
    try {
      const party = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: testKey(0) });
      await anvil.setBalance(party.address, 10n ** 21n);
      await party.deploy();
      expect(await party.catalog.windows()).toEqual({ delivery: 86_400, cancel: 3_600, complaint: 86_400 });
    } finally {
      await anvil.stop();
      fs.rmSync(dataDir, { recursive: true, force: true });
    }
  });

  test("the seller delivers until the last second, then only the refund is left", async () => {
    const { orderId, at } = await start();
    await chain.jumpTo(at + 59);
    await expect(stranger.catalog.tick(orderId)).rejects.toMatchObject({ code: "TooEarly" });
    const back = await chain.checkpoint();
    await chain.jumpTo(at + 59);
    await seller.catalog.deliver(orderId, rightDelivery());
    expect((await buyer.catalog.order(orderId)).at).toBe(at + 59);
    await back();
    await chain.jumpTo(at + 60);
    await expect(seller.catalog.deliver(orderId, rightDelivery())).rejects.toMatchObject({ code: "TooLate" });
    await expect(buyer.catalog.cancel(orderId)).rejects.toMatchObject({ code: "TooLate" });
    expect(await changes(() => stranger.catalog.tick(orderId))).toEqual([0n, 100n]);
    await expect(stranger.catalog.tick(orderId)).rejects.toMatchObject({ code: "WrongState" });
  });

  test("the buyer cancels from the thirtieth second until delivery", async () => {
    const { listingId, orderId, at } = await start();
    await chain.jumpTo(at + 29);
    await expect(buyer.catalog.cancel(orderId)).rejects.toMatchObject({ code: "TooEarly" });
    await chain.jumpTo(at + 30);
    await expect(seller.catalog.cancel(orderId)).rejects.toMatchObject({ code: "NotBuyer" });
    const back = await chain.checkpoint();
    await chain.jumpTo(at + 30);
    expect(await changes(() => buyer.catalog.cancel(orderId))).toEqual([0n, 100n]);
    expect((await buyer.catalog.listing(listingId)).bond).toBe(250n);
    await expect(seller.catalog.deliver(orderId, rightDelivery())).rejects.toMatchObject({ code: "WrongState" });
    await back();
    await chain.jumpTo(at + 31);
    await seller.catalog.deliver(orderId, rightDelivery());
    await expect(buyer.catalog.cancel(orderId)).rejects.toMatchObject({ code: "WrongState" });
  });

  test("the buyer complains until the last second, then the seller is paid", async () => {
    const { orderId, at } = await start();
    await chain.jumpTo(at + 40);
    await seller.catalog.deliver(orderId, wrongDelivery());
    await chain.jumpTo(at + 49);
    await expect(seller.catalog.tick(orderId)).rejects.toMatchObject({ code: "TooEarly" });
    const back = await chain.checkpoint();
    await chain.jumpTo(at + 49);
    await buyer.catalog.complain(orderId, buyerSecret);
    await back();
    await chain.jumpTo(at + 50);
    await expect(buyer.catalog.complain(orderId, buyerSecret)).rejects.toMatchObject({ code: "TooLate" });
    expect(await changes(() => stranger.catalog.tick(orderId))).toEqual([100n, 0n]);
  });
});

describe("the bond", () => {
  test("is reserved order by order, so that nobody takes another's part", async () => {
    const { listingId } = await seller.catalog.list(listingTerms(seller));
    const orders: Hex[] = [];
    for (let i = 0; i < 4; i++) orders.push((await buyer.catalog.buy(listingId, 100n, B)).orderId);
    const shares = await Promise.all(orders.map(async (id) => (await buyer.catalog.order(id)).share));
    expect(shares).toEqual([100n, 100n, 50n, 0n]);
    expect((await buyer.catalog.listing(listingId)).bond).toBe(0n);
    for (const id of orders) await seller.catalog.deliver(id, wrongDelivery());
    // the last one complains first, and gets what it had reserved: nothing
    const gains: bigint[] = [];
    for (const id of orders.toReversed()) gains.push((await changes(() => buyer.catalog.complain(id, buyerSecret)))[1]);
    expect(gains).toEqual([100n, 150n, 200n, 200n]);
    expect(await changes(() => seller.catalog.deactivate(listingId))).toEqual([0n, 0n]);
  });

  test("stays for open orders when the listing ends, and returns with them", async () => {
    const { listingId, orderId } = await buyListing(seller, buyer);
    const second = await buyer.catalog.buy(listingId, 100n, B);
    const third = await buyer.catalog.buy(listingId, 100n, B);
    expect(await changes(() => seller.catalog.deactivate(listingId))).toEqual([0n, 0n]);
    await seller.catalog.deliver(orderId, wrongDelivery());
    await seller.catalog.deliver(second.orderId, rightDelivery());
    expect(await changes(() => buyer.catalog.complain(orderId, buyerSecret))).toEqual([0n, 200n]);
    await chain.advance(10);
    expect(await changes(() => buyer.catalog.tick(second.orderId))).toEqual([200n, 0n]);
    await chain.advance(25);
    expect(await changes(() => buyer.catalog.cancel(third.orderId))).toEqual([50n, 100n]);
    const returned = (await buyer.catalog.events({ listingId })).filter(({ name }) => name === "BondReturned");
    expect(returned.map(({ args }) => "amount" in args && args.amount)).toEqual([100n, 50n]);
  });
});

describe("events", () => {
  test("are watched from any block", async () => {
    const from = await buyer.blockNumber();
    const { listingId, orderId } = await buyListing(seller, buyer);
    const seen: CatalogEvent[] = [];
    const stop = new AbortController();
    const watching = buyer.catalog.watch({
      fromBlock: from,
      intervalMs: 10,
      signal: stop.signal,
      onEvents: (events) => {
        seen.push(...events);
        if (seen.some(({ name }) => name === "Delivered")) stop.abort();
      },
    });
    await seller.catalog.deliver(orderId, rightDelivery());
    await watching;
    expect(seen.map(({ name }) => name)).toEqual(["Listed", "Bought", "Delivered"]);
    expect(seen.every(({ args }) => args.listingId === listingId)).toBe(true);
  });
});
