import {
  deliveryPoint,
  keyCommitOf,
  ListingKind,
  sealKey,
  type Chain,
  type ListingTerms,
  type OfferTerms,
} from "@skynet/contracts";
import { encode, keccak256, toHex, type Hex } from "@skynet/protocol";
import { zeroHash } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestChain, type TestChain } from "../../contracts/src/test-chain.ts";
import { fundParties } from "../../contracts/src/test-job.ts";
import { startTestIndex, temporaryFolder, type TestIndex } from "./testing.ts";

let chain: TestChain;
let index: TestIndex;
let seller: Chain;
let buyer: Chain;

beforeAll(async () => {
  chain = await startTestChain(3);
  [seller, buyer] = chain.parties as [Chain, Chain];
  await fundParties(chain.parties, 1_000_000n);
  index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir: temporaryFolder() });
});

afterAll(async () => {
  await index.stop();
  await chain.stop();
});

const synced = async () => index.reaches(await seller.blockNumber());
const hash = (text: string): Hex => toHex(keccak256(new TextEncoder().encode(text)));
const key = new Uint8Array(32).fill(7);
const [buyerSecret, sellerSecret] = [12_345n, 67_890n];
const B = deliveryPoint(buyerSecret);

const terms = (change: Partial<ListingTerms> = {}): ListingTerms => ({
  kind: ListingKind.DATA,
  licence: 3,
  token: seller.addresses.testToken,
  price: 100n,
  bond: 250n,
  contentRoot: hash("content"),
  keyCommit: keyCommitOf(key),
  aux: hash("shape"),
  cid: "bafylisting",
  meta: toHex(encode({ name: "Digits of many hands", description: "60,000 handwritten digits", card: "bafycard" })),
  ...change,
});

/** Compares an indexed listing with the contract. */
async function expectAsOnChain(listingId: Hex): Promise<void> {
  await synced();
  const {
    seller: owner,
    price,
    bond,
    active,
    cidHash,
    contentRoot,
    keyCommit,
    aux,
    licence,
  } = await seller.catalog.listing(listingId);
  const same = { seller: owner, price, bond, active, cidHash, contentRoot, keyCommit, aux, licence };
  expect(await index.client.listing(listingId)).toMatchObject(same);
}

const ordersOf = async (listingId: Hex) => (await index.client.listing(listingId))?.orders;

describe("listings", () => {
  it("price, bond and orders are those of the contract, whatever becomes of a purchase", async () => {
    const { listingId } = await seller.catalog.list(terms());
    await expectAsOnChain(listingId);
    expect(await index.client.listing(listingId)).toMatchObject({
      kind: "data",
      name: "Digits of many hands",
      cid: "bafylisting",
      card: "bafycard",
      token: { address: seller.addresses.testToken, decimals: 6 },
      orders: { open: 0, paid: 0, refunded: 0, wrongKeys: 0 },
    });

    const paid = await buyer.catalog.buy(listingId, 100n, B);
    await expectAsOnChain(listingId);
    await seller.catalog.deliver(paid.orderId, sealKey(key, B, sellerSecret));
    await chain.advance(86_400);
    await buyer.catalog.tick(paid.orderId);
    await expectAsOnChain(listingId);
    expect(await ordersOf(listingId)).toEqual({ open: 0, paid: 1, refunded: 0, wrongKeys: 0 });

    await seller.catalog.setPrice(listingId, 80n);
    const cheated = await buyer.catalog.buy(listingId, 100n, B);
    await seller.catalog.deliver(cheated.orderId, sealKey(new Uint8Array(32), B, sellerSecret));
    await buyer.catalog.complain(cheated.orderId, buyerSecret);
    await expectAsOnChain(listingId);
    expect(await ordersOf(listingId)).toEqual({ open: 0, paid: 1, refunded: 1, wrongKeys: 1 });

    const waiting = await buyer.catalog.buy(listingId, 100n, B);
    await seller.catalog.deactivate(listingId);
    await expectAsOnChain(listingId);
    expect(await ordersOf(listingId)).toMatchObject({ open: 1 });
    await chain.advance(86_400);
    await buyer.catalog.tick(waiting.orderId);
    await expectAsOnChain(listingId);
    expect(await ordersOf(listingId)).toEqual({ open: 0, paid: 1, refunded: 2, wrongKeys: 1 });
  });

  it("search and filters", async () => {
    const model = terms({
      kind: ListingKind.MODEL,
      meta: toHex(encode({ name: "Ziffernmodell", architecture: { layers: ["dense"] } })),
      contentRoot: hash("weights"),
    });
    const { listingId } = await buyer.catalog.list({
      ...model,
      price: 0n,
      bond: 0n,
      keyCommit: zeroHash,
    });
    await synced();
    const ids = async (query: Parameters<TestIndex["client"]["listings"]>[0]) =>
      (await index.client.listings(query)).items.map(({ id }) => id);
    for (const query of [
      { q: "ziffern" },
      { q: "dense" },
      { kind: "model" },
      { active: true },
      { seller: buyer.address },
      { content: hash("weights") },
      { prefix: listingId.slice(0, 12) },
      { q: listingId.slice(0, 12) },
    ] as const)
      expect(await ids(query), JSON.stringify(query)).toEqual([listingId]);
    expect(await ids({ q: "handwritten" })).not.toContain(listingId);
    expect(await ids({ active: false })).toHaveLength(1);
  });

  it("metadata and CIDs of strangers hide nothing and steer nothing", async () => {
    const { listingId } = await seller.catalog.list(terms({ bond: 0n, meta: "0xff00", cid: "\u001b[2J\u202Egnp" }));
    const long = await seller.catalog.list(terms({ bond: 0n, meta: toHex(new Uint8Array(4_096).fill(0x81)) }));
    await expectAsOnChain(listingId);
    await expectAsOnChain(long.listingId);
    expect(await index.client.listing(listingId)).toMatchObject({
      name: null,
      description: "",
      cid: "[2Jgnp",
      meta: "0xff00",
    });
  });

  it("a reorganisation takes purchases and prices back", async () => {
    const { listingId } = await seller.catalog.list(terms());
    await synced();
    const undo = await chain.checkpoint();
    await seller.catalog.setPrice(listingId, 55n);
    const { orderId } = await buyer.catalog.buy(listingId, 100n, B);
    await seller.catalog.deliver(orderId, sealKey(key, B, sellerSecret));
    await expectAsOnChain(listingId);
    expect(await ordersOf(listingId)).toMatchObject({ open: 1 });
    await undo();
    await chain.advance(5);
    await chain.advance(5);
    await chain.advance(5);
    await chain.advance(5);
    await expectAsOnChain(listingId);
    expect(await ordersOf(listingId)).toMatchObject({ open: 0 });
    expect((await index.client.listing(listingId))?.price).toBe(100n);
  });
});

describe("offers", () => {
  /** Runtime code that says yes to every proof, padded to the shortest code that may be registered. */
  const yes = `600160005260206000f3${"00".repeat(14)}`;
  const initcode: Hex = `0x6018600c60003960186000f3${yes}`;

  async function offerOf(host: Chain, change: Partial<OfferTerms> = {}) {
    const tag = hash("inference");
    const description = { kind: 2, circuitHash: tag, srsHash: tag, weightsTag: tag, weightBlocks: 1 };
    const { verifierId } = await host.deployVerifier(description, initcode);
    return host.inference.offer({
      modelId: hash("model"),
      verifierId,
      outputTag: hash("output"),
      token: host.addresses.testToken,
      price: 40n,
      maxLatency: 100,
      meta: toHex(encode({ name: "Answers about digits" })),
      ...change,
    });
  }

  it("price, activity and orders are those of the contract", async () => {
    const { offerId } = await offerOf(seller);
    const input = { xId: hash("input"), xRef: new Uint8Array([1]) };
    const answered = await buyer.inference.request(offerId, 40n, input);
    const late = await buyer.inference.request(offerId, 40n, input);
    await synced();
    expect((await index.client.offer(offerId))?.orders).toEqual({ open: 2, answered: 0, refunded: 0 });
    await seller.inference.answer(answered.orderId, new Uint8Array(32), "0x01");
    await chain.advance(101);
    await buyer.inference.tick(late.orderId);
    await seller.inference.setPrice(offerId, 50n);
    await synced();
    const { host, price, active, modelId, verifierId, outputTag, maxLatency } = await seller.inference.offerOf(offerId);
    expect(await index.client.offer(offerId)).toMatchObject({
      id: offerId,
      host,
      price,
      active,
      modelId,
      verifierId,
      outputTag,
      maxLatency,
      name: "Answers about digits",
      orders: { open: 0, answered: 1, refunded: 1 },
    });
    expect((await index.client.offers({ q: "answers", model: modelId, active: true, host })).items).toHaveLength(1);
    expect((await index.client.verifiers({ kind: "inference" })).items).toMatchObject([{ id: verifierId }]);
    await seller.inference.close(offerId);
    await synced();
    expect((await index.client.offer(offerId))?.active).toBe(false);
    expect((await index.client.offers({ active: true })).items).toEqual([]);
  });

  it("a malformed description hides nothing", async () => {
    const { offerId } = await offerOf(buyer, { meta: "0xa1", price: 0n });
    await synced();
    expect(await index.client.offer(offerId)).toMatchObject({ name: null, price: 0n, meta: "0xa1" });
  });
});
