// Nobody loses money by a crash or by a cheat: nodes are killed in the middle of purchases, sellers deliver garbage.
import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { createDeliverySecret, ListingKind, keyCommitOf, sealKey } from "@skynet/contracts";
import { createHost, createIdentity, serveBlocks, type Host } from "@skynet/network";
import type { SkyNetChild } from "@skynet/node";
import { cidOf, dataAux, encodeMarketMetadata, keccak256, toHex, type Hex } from "@skynet/protocol";
import { dataKeyOf, encryptBlock } from "@skynet/storage";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startTestMarket, tinyModel, writeImages, type Account, type TestMarket } from "./support/market.ts";

const UNIT = 1_000_000n;
const MINUTES = 240_000;
let market: TestMarket;
let seller: Account;
const hosts: SkyNetChild[] = [];

beforeAll(async () => {
  market = await startTestMarket();
  seller = await market.account("seller");
}, MINUTES);
// No case finds the seller at work that another one has left.
afterEach(async () => {
  const left = hosts
    .splice(0)
    .filter(({ process: { exitCode, signalCode } }) => exitCode === null && signalCode === null);
  await Promise.all(left.map(kill));
}, MINUTES);
afterAll(() => market.close(), MINUTES);

/** As a power cut: nothing is said or saved. */
async function kill(child: SkyNetChild): Promise<void> {
  const gone = new Promise((resolve) => child.process.once("exit", resolve));
  child.process.kill("SIGKILL");
  await gone;
}

/** A busy machine may need longer than the half minute after which buyers may cancel. */
async function startSeller(): Promise<SkyNetChild> {
  const host = seller.start("host", "--deliver-late");
  hosts.push(host);
  await host.event("ready", MINUTES);
  return host;
}

const add = async (...args: string[]) => (await seller.run(...args)).result;

/** A buyer that has seen the first block already: it orders although the seller is away. */
async function preparedBuyer(name: string, listingId: Hex): Promise<Account> {
  const buyer = await market.account(name, { funded: false });
  const poor = await buyer.run("data", "buy", listingId);
  expect(poor.result.code).toBe("InsufficientBalance");
  await fundTokens(buyer);
  return buyer;
}

async function fundTokens({ address }: Account): Promise<void> {
  const { fundAccount } = await import("@skynet/node");
  await fundAccount(market.rpcUrl, address);
}

let listingId: Hex;

describe("a purchase", () => {
  let first: Account;
  let second: Account;

  it(
    "begins only when the seller serves the content; then everybody may crash, once at every step",
    async () => {
      const { images, labels } = await writeImages(seller.home, 64);
      const sale = ["data", "add", images, "--targets", labels, "--batch", "16", "--price", "5"];
      listingId = (await add(...sale)).listingId as Hex;
      first = await market.account("first");
      const offline = await first.run("data", "buy", listingId);
      expect(offline.result.code).toBe("SellerOffline");

      let host = await startSeller();
      second = await preparedBuyer("second", listingId);
      const before = { first: await first.money(), second: await second.money(), seller: await seller.money() };
      await kill(host);

      // the seller is away; the buyer is killed with its money in escrow
      const ordering = second.start("data", "buy", listingId, "--out", path.join(second.home, "out"));
      const { orderId } = await ordering.event("ordered", MINUTES);
      await kill(ordering);
      expect(await second.money()).toBe(before.second - 5n * UNIT);

      // the seller comes back, delivers, and is killed before it is paid
      host = await startSeller();
      expect(await host.event("delivered", MINUTES)).toMatchObject({ orderId });
      // the buyer comes back, and buys nothing twice
      const bought = await second.run("data", "buy", listingId, "--out", path.join(second.home, "out"));
      expect(bought.result).toMatchObject({ orderId, paid: "5000000" });
      await kill(host);
      await market.pass(11);
      host = await startSeller();
      expect(await host.event("paid", MINUTES)).toMatchObject({ orderId });
      expect(await second.money()).toBe(before.second - 5n * UNIT);
      expect(await seller.money()).toBe(before.seller + 5n * UNIT);
      await kill(host);
    },
    MINUTES,
  );

  it(
    "of a seller that never comes back is cancelled, and the money returns",
    async () => {
      const host = await startSeller();
      const third = await preparedBuyer("third", listingId);
      const before = await third.money();
      await kill(host);
      const waiting = third.start("data", "buy", listingId);
      await waiting.event("ordered", MINUTES);
      await kill(waiting);
      await market.pass(61);
      const resumed = await third.run("data", "buy", listingId);
      expect(resumed.result.code).toBe("NotDelivered");
      expect(await third.money()).toBe(before);
    },
    MINUTES,
  );

  it(
    "says what a damaged file of a purchase means, and buys nothing",
    async () => {
      const file = path.join(second.home, "buyer", "purchases", `${listingId}.json`);
      await fs.writeFile(file, "{}");
      const before = await second.money();
      const broken = await second.run("data", "buy", listingId);
      expect(broken.result.code).toBe("BrokenPurchaseFile");
      expect(await second.money()).toBe(before);
    },
    MINUTES,
  );
});

describe("a seller that cheats", () => {
  let node: Host;
  let cheat: Account;
  let buyer: Account;
  const served = new Map<string, Uint8Array>();

  beforeAll(async () => {
    [cheat, buyer] = [await market.account("cheat"), await market.account("careful")];
    node = await createHost({ identity: createIdentity(cheat.privateKey), relays: [market.relay] });
    serveBlocks(node, { allow: () => true, get: async (cid) => served.get(cid) });
  }, MINUTES);
  afterAll(() => node.stop());

  async function list(key: Uint8Array, content: Uint8Array): Promise<Hex> {
    const { recipient } = await dataKeyOf(key);
    const block = await encryptBlock(content, [recipient]);
    const cid = await cidOf(block);
    served.set(cid, block);
    const size = { samples: 4, shape: [2, 2], classes: 2, batchSize: 4 };
    const metadata = { version: 1, kind: "data", name: "bait", description: "", bytes: 10_000, ...size } as const;
    const { catalog, addresses } = cheat.chain;
    const { listingId } = await catalog.list({
      kind: ListingKind.DATA,
      licence: 0,
      token: addresses.testToken,
      price: 5n * UNIT,
      bond: 0n,
      contentRoot: toHex(keccak256(randomBytes(8))),
      keyCommit: keyCommitOf(key),
      aux: dataAux(1, 4, [2, 2], 2),
      cid,
      meta: toHex(encodeMarketMetadata(metadata)),
    });
    return listingId;
  }

  async function deliver(buying: SkyNetChild, key: Uint8Array): Promise<void> {
    const { orderId } = await buying.event("ordered", MINUTES);
    const { B } = await cheat.chain.catalog.order(orderId as Hex);
    await cheat.chain.catalog.deliver(orderId as Hex, sealKey(key, B, createDeliverySecret(randomBytes)));
  }

  it(
    "with a wrong key gets a complaint instead of the money",
    async () => {
      const listingId = await list(randomBytes(32), randomBytes(100));
      const before = await buyer.money();
      const buying = buyer.start("data", "buy", listingId);
      await deliver(buying, randomBytes(32));
      expect(await buying.event("error", MINUTES)).toMatchObject({ code: "WrongKey" });
      expect(await buyer.money()).toBe(before);
    },
    MINUTES,
  );

  it(
    "with the right key and other content is found out before anything is written",
    async () => {
      const key = randomBytes(32);
      const listingId = await list(key, randomBytes(100));
      const out = path.join(buyer.home, "bait");
      const buying = buyer.start("data", "buy", listingId, "--out", out);
      await deliver(buying, key);
      expect(await buying.event("error", MINUTES)).toMatchObject({ code: "WrongContent" });
      await expect(fs.stat(out)).rejects.toThrow("ENOENT");
    },
    MINUTES,
  );
});

describe("an order of an answer", () => {
  it(
    "survives the crash of both sides; without an answer the money returns; garbage does not stop a host",
    async () => {
      const model = path.join(seller.home, "tiny.onnx");
      await fs.writeFile(model, tinyModel());
      const offer = ["model", "offer", model, "--price", "1", "--max-latency", "100"];
      const offerId = (await add(...offer)).offerId as Hex;
      const buyer = await market.account("asking");
      const sample = path.join(buyer.home, "sample.json");
      await fs.writeFile(sample, JSON.stringify([0.5, -0.25, 1, 0, 0.75, -1]));
      const before = await buyer.money();

      // garbage of another account comes first
      const rude = await market.account("rude");
      const { inference, addresses } = rude.chain;
      await rude.chain.deposit(addresses.testToken, 2n * UNIT);
      for (const xRef of [new TextEncoder().encode("no cid"), randomBytes(1024)])
        await inference.request(offerId, UNIT, { xId: toHex(randomBytes(32)), xRef });

      let host = await startSeller();
      const asking = buyer.start("infer", offerId, "--input", sample);
      const { orderId } = await asking.event("requested", MINUTES);
      await Promise.all([kill(asking), kill(host)]);
      host = await startSeller();
      const answer = await buyer.run("infer", offerId, "--input", sample);
      expect(answer.stderr).toBe("");
      expect(answer.result.orderId).toBe(orderId);
      expect(await buyer.money()).toBe(before - UNIT);

      // a host that cannot answer any more: it has lost its model
      await kill(host);
      await fs.rm(path.join(seller.home, "host", "models"), { recursive: true });
      await startSeller();
      const other = await market.account("patient");
      const money = await other.money();
      const waiting = other.start("infer", offerId, "--input", sample);
      await waiting.event("requested", MINUTES);
      await kill(waiting);
      expect(await other.money()).toBe(money - UNIT);
      await market.pass(101);
      const late = await other.run("infer", offerId, "--input", sample);
      expect(late.result.code).toBe("NotAnswered");
      expect(await other.money()).toBe(money);
      for (const id of await ordersOf(rude)) await rude.chain.inference.tick(id);
      expect(await rude.money()).toBe(10_000n * UNIT);
    },
    MINUTES,
  );
});

/** The last one: from here on blocks come with time alone. */
describe("a purchase whose buyer is", () => {
  it(
    "killed while its order is on the way to a block is not ordered twice",
    async () => {
      const host = await startSeller();
      const hasty = await preparedBuyer("hasty", listingId);
      const before = await hasty.money();
      await market.mine("off");
      const first = hasty.start("data", "buy", listingId, "--out", path.join(hasty.home, "out"));
      // first the money goes into the Ledger, then the order
      await expect.poll(() => market.pending(hasty.address), { timeout: MINUTES }).toBe(1);
      await market.mine("once");
      await expect.poll(() => market.pending(hasty.address), { timeout: MINUTES }).toBe(1);
      await kill(first);
      const second = hasty.start("data", "buy", listingId, "--out", path.join(hasty.home, "out"));
      await setTimeout(4000);
      expect(await market.pending(hasty.address)).toBe(1);
      await market.mine("on");
      expect(await second.event("result", MINUTES)).toMatchObject({ listingId, paid: "5000000" });
      expect(await hasty.money()).toBe(before - 5n * UNIT);
      expect(await hasty.chain.catalog.orderIds({ buyer: hasty.address })).toHaveLength(1);
      await kill(host);
    },
    MINUTES,
  );
});

async function ordersOf({ chain, address }: Account): Promise<Hex[]> {
  const events = await chain.inference.events();
  return events.flatMap((event) =>
    event.name === "Requested" && event.args.requester === address ? [event.args.orderId] : [],
  );
}
