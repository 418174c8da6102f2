// The marketplace as its users meet it: commands as processes, a real chain, real sockets, real proofs.
import fs from "node:fs/promises";
import path from "node:path";
import type { SkyNetChild } from "@skynet/node";
import type { Hex } from "@skynet/protocol";
import { datasetFileSchema, openReader, prepareDataset } from "@skynet/storage";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { idxBytes } from "./support/idx.ts";
import { startTestMarket, tinyModel, writeImages, type Account, type TestMarket } from "./support/market.ts";

const UNIT = 1_000_000n;
const MINUTES = 240_000;
let market: TestMarket;
let seller: Account;
let buyer: Account;
let host: SkyNetChild;
let index: string;

beforeAll(async () => {
  market = await startTestMarket();
  [seller, buyer] = [await market.account("seller"), await market.account("buyer")];
  host = seller.start("host");
  const indexing = seller.start("index", "--port", "0");
  await host.event("ready", MINUTES);
  index = (await indexing.event("ready", MINUTES)).url as string;
}, MINUTES);
afterAll(() => market.close(), MINUTES);

const file = (account: Account, name: string) => path.join(account.home, name);
const ok = async (run: ReturnType<Account["run"]>) => {
  const done = await run;
  expect(done.stderr).toBe("");
  expect(done.code).toBe(0);
  return done.result;
};

/** Rows of the samples, each with its class, in a fixed order: listings shuffle. */
async function rowsOf(images: string, labels: string): Promise<string[]> {
  const [x, y] = [await idxBytes(images), await idxBytes(labels)];
  const size = x.length / y.length;
  return Array.from(y, (label, i) => `${x.subarray(i * size, (i + 1) * size).join(",")}:${label}`).toSorted();
}

/** A table of 30 leaves, one of them twice. @returns its dataset.yaml */
async function writeTable(folder: string): Promise<string> {
  const rows = Array.from({ length: 29 }, (_, i) => [
    (i * 37) % 29,
    ((i * 11) % 7) / 8,
    ["red", "green", "brown"][i % 3],
    ["oak", "elm"][i % 2],
  ]);
  const lines = [["length", "width", "colour", "tree"], ...rows, rows[0]!].map((row) => row.join(","));
  await fs.mkdir(folder, { recursive: true });
  await fs.writeFile(path.join(folder, "leaves.csv"), lines.join("\n"));
  const yaml = path.join(folder, "dataset.yaml");
  await fs.writeFile(yaml, "name: Leaves\ndescription: From a garden\nlicence: cc0-1.0\ntrain: leaves.csv\n");
  return yaml;
}

/** All samples of a dataset.yaml as a job reads them, sorted: listings shuffle. */
async function inputsOf(yaml: string): Promise<string[]> {
  const folder = path.dirname(yaml);
  const dataset = datasetFileSchema.parse(parse(await fs.readFile(yaml, "utf8")));
  const prepared = await prepareDataset({
    dataset,
    name: "data",
    folder: path.join(folder, "prepared"),
    resolve: async (name) => path.join(folder, name),
    open: (name) => openReader(name),
    whole: true,
    seed: new Uint8Array(32),
  });
  const { x, y } = await prepared.train.read(0, prepared.train.rows);
  const size = prepared.features;
  return Array.from(y, (label, i) => `${x.subarray(i * size, (i + 1) * size).join(",")}:${label}`).toSorted();
}

describe("datasets", () => {
  let listingId: Hex;
  let sold: Awaited<ReturnType<typeof writeImages>>;

  it(
    "are listed, found, bought and checked: the same samples arrive, and the seller is paid",
    async () => {
      sold = await writeImages(seller.home, 100);
      const add = ["data", "add", sold.images, "--targets", sold.labels, "--batch", "16"];
      const listed = await ok(
        seller.run(...add, "--name", "Patterns", "--price", "5", "--bond", "3", "--licence", "MIT"),
      );
      listingId = listed.listingId as Hex;
      const shown = await ok(buyer.run("data", "show", listingId));
      expect(shown.metadata).toMatchObject({ card: listed.card });
      expect(shown.card).toContain("# Patterns");
      for (const part of ["| Licence | MIT |", "| 0 | 34 | 34.0 % |", "pictures-idx3-ubyte.gz (train)"])
        expect(shown.card).toContain(part);
      const { listings } = (await ok(buyer.run("data", "list"))) as { listings: Record<string, unknown>[] };
      expect(listings).toMatchObject([{ listingId, name: "Patterns", price: "5000000", licence: "MIT" }]);
      const before = { seller: await seller.money(), buyer: await buyer.money() };
      const bought = await ok(buyer.run("data", "buy", listingId.slice(0, 12), "--out", file(buyer, "bought")));
      expect(bought).toMatchObject({ listingId, paid: "5000000" });
      expect(await buyer.money()).toBe(before.buyer - 5n * UNIT);
      const [images, labels, , card] = bought.files as string[] as [string, string, string, string];
      expect(path.basename(card)).toBe("dataset.md");
      expect(await fs.readFile(card, "utf8")).toBe(shown.card);
      expect(await rowsOf(images, labels)).toEqual(await rowsOf(sold.images, sold.labels));
      await market.pass(11);
      expect(await host.event("paid", MINUTES)).toMatchObject({ orderId: bought.orderId, price: "5000000" });
      expect(await seller.money()).toBe(before.seller + 5n * UNIT);
    },
    MINUTES,
  );

  it(
    "bought once need not be paid again",
    async () => {
      const before = await buyer.money();
      const again = await ok(buyer.run("data", "buy", listingId, "--out", file(buyer, "again")));
      expect(again.paid).toBe("0");
      expect(await buyer.money()).toBe(before);
    },
    MINUTES,
  );

  it(
    "that are free need no purchase; from a table come the inputs that its seller has, and a card that names its faults",
    async () => {
      const yaml = await writeTable(path.join(seller.home, "free"));
      const listed = await ok(seller.run("data", "add", yaml, "--price", "0"));
      const sold = await seller.run("data", "add", yaml, "--price", "3");
      expect(sold.result).toMatchObject({ event: "error", code: "KeyIsPublic" });
      const other = await market.account("reader");
      const before = await other.money();
      const got = await ok(other.run("data", "buy", listed.listingId as string, "--out", file(other, "free")));
      expect(await other.money()).toBe(before);
      const copy = (got.files as string[]).find((name) => name.endsWith("dataset.yaml"))!;
      expect(await inputsOf(copy)).toEqual(await inputsOf(yaml));
      expect(parse(await fs.readFile(copy, "utf8"))).toMatchObject({
        description: "From a garden",
        licence: "CC0-1.0",
      });
      const { listings } = await ok(buyer.run("data", "list", "--index", index));
      expect(listings).toContainEqual(
        expect.objectContaining({ name: "Leaves", description: "From a garden", licence: "CC0-1.0" }),
      );
      const card = await fs.readFile(file(other, "free/dataset.md"), "utf8");
      for (const part of ["From a garden", "1 of 30 rows", "| 2 to 4 | colour | one of brown, green, red |"])
        expect(card).toContain(part);
    },
    MINUTES,
  );

  it(
    "cannot be listed twice, change their price, and end",
    async () => {
      const same = [sold.images, "--targets", sold.labels, "--batch", "16"];
      const again = await seller.run("data", "add", ...same, "--price", "1");
      expect(again.result).toMatchObject({ event: "error", code: "AlreadyListed" });
      await ok(seller.run("data", "price", listingId, "7.5"));
      const stranger = await buyer.run("data", "price", listingId, "1");
      expect(stranger.result.code).toBe("NotSeller");
      const late = await market.account("late");
      const dear = await late.run("data", "buy", listingId, "--max-price", "7");
      expect(dear.result.code).toBe("PriceTooHigh");
      expect(dear.stderr).toContain("7.5");
      await ok(seller.run("data", "remove", listingId));
      expect((await late.run("data", "buy", listingId)).result.code).toBe("NotForSale");
      expect((await ok(late.run("data", "list"))).listings).toMatchObject([{ price: "0" }]);
    },
    MINUTES,
  );
});

describe("models and their answers", () => {
  let offerId: Hex;

  it(
    "are bought, and are what the listing commits to",
    async () => {
      const model = file(seller, "tiny.onnx");
      await fs.writeFile(model, tinyModel());
      const listed = await ok(seller.run("model", "add", model, "--price", "2", "--description", "three classes"));
      const bought = await ok(buyer.run("model", "buy", listed.listingId as string, "--out", file(buyer, "model")));
      const [copy] = bought.files as [string];
      expect(await fs.readFile(copy)).toEqual(await fs.readFile(model));
    },
    MINUTES,
  );

  it(
    "are answered by their host with a proof, and the contract pays",
    async () => {
      const model = file(seller, "secret.onnx");
      await fs.writeFile(model, tinyModel(2));
      const offered = await ok(seller.run("model", "offer", model, "--price", "0.25"));
      offerId = offered.offerId as Hex;
      const sample = file(buyer, "sample.json");
      await fs.writeFile(sample, JSON.stringify([0.5, -0.25, 1, 0, 0.75, -1]));
      const before = await buyer.money();
      const answer = await ok(buyer.run("infer", offerId, "--input", sample));
      expect(await buyer.money()).toBe(before - UNIT / 4n);
      const answered = await host.event("answered", MINUTES);
      expect(answered).toMatchObject({ orderId: answer.orderId });
      // what the seller was told that an answer would cost
      const { gas, wei } = offered.cost as { gas: number; wei: string };
      expect(Math.abs(gas / (answered.gas as number) - 1)).toBeLessThan(0.1);
      expect(BigInt(wei)).toBeGreaterThan(0n);
      const own = await ok(seller.run("infer", model, "--input", sample));
      expect(answer.logits).toEqual(own.logits);
      expect(answer.class).toBe(own.class);
      const { offers } = (await ok(buyer.run("model", "list", "--answers"))) as { offers: { offerId: string }[] };
      expect(offers.map((offer) => offer.offerId)).toContain(offerId);
      expect((await ok(buyer.run("model", "list", "--answers", "--index", index))).offers).toEqual(offers);
    },
    MINUTES,
  );

  it(
    "say what is wrong with an input, a price and an id",
    async () => {
      const sample = file(buyer, "short.json");
      await fs.writeFile(sample, "[1, 2]");
      expect((await buyer.run("infer", offerId, "--input", sample)).stderr).toContain("not an array of 6 numbers");
      const right = file(buyer, "sample.json");
      const another = file(buyer, "another.json");
      await fs.writeFile(another, JSON.stringify([0, 0, 0, 0, 0, 1]));
      expect((await buyer.run("infer", offerId, "--input", another, "--max-price", "0.1")).result.code).toBe(
        "PriceTooHigh",
      );
      expect((await buyer.run("infer", "0xdeadbeef", "--input", right)).result.code).toBe("NoSuchListing");
      expect((await buyer.run("model", "buy", offerId)).stderr).toContain("sells answers");
      const poor = await market.account("poor", { funded: false });
      const none = await poor.run("infer", offerId, "--input", right);
      expect(none.result.code).toBe("InsufficientBalance");
      expect(none.stderr).toContain("0.25");
    },
    MINUTES,
  );
});
