// Requests for answers that want to keep a host from answering others.
import fs from "node:fs/promises";
import path from "node:path";
import { createHost, createIdentity, serveBlocks, type Host } from "@skynet/network";
import type { SkyNetChild } from "@skynet/node";
import { cidOf, toHex, type Hex } from "@skynet/protocol";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestMarket, tinyModel, type Account, type TestMarket } from "./support/market.ts";

const UNIT = 1_000_000n;
const MINUTES = 240_000;
let market: TestMarket;
let seller: Account;
let host: SkyNetChild;
/** Why the host dropped an order, in the order of events. */
const drops: [orderId: unknown, reason: string][] = [];

beforeAll(async () => {
  market = await startTestMarket();
  seller = await market.account("seller");
  host = seller.start("host");
  host.onEvent(({ event, orderId, reason }) => event === "dropped" && drops.push([orderId, reason as string]));
  await host.event("ready", MINUTES);
}, MINUTES);
afterAll(() => market.close(), MINUTES);

async function offer(name: string, model: Uint8Array): Promise<Hex> {
  const file = path.join(seller.home, `${name}.onnx`);
  await fs.writeFile(file, model);
  const { result } = await seller.run("model", "offer", file, "--price", "1", "--max-latency", "120");
  return result.offerId as Hex;
}

async function sampleOf({ home }: Account): Promise<string> {
  const file = path.join(home, "sample.json");
  await fs.writeFile(file, JSON.stringify([0.5, -0.25, 1, 0, 0.75, -1]));
  return file;
}

/** Orders answers and takes the host's requests for their inputs, but never answers one. */
async function silentRequester(name: string, offerId: Hex, orders: number) {
  const { chain, privateKey } = await market.account(name);
  const node: Host = await createHost({ identity: createIdentity(privateKey), relays: [market.relay] });
  /** When the host asked for which input, milliseconds. */
  const asked: { cid: string; atMs: number }[] = [];
  serveBlocks(node, {
    allow: () => true,
    get: (cid) => {
      asked.push({ cid, atMs: performance.now() });
      return new Promise(() => undefined);
    },
  });
  await node.connected({ signal: AbortSignal.timeout(30_000) });
  await chain.deposit(chain.addresses.testToken, BigInt(orders) * UNIT);
  for (let i = 0; i < orders; i++) {
    const xRef = new TextEncoder().encode(await cidOf(randomBytes(8)));
    await chain.inference.request(offerId, UNIT, { xId: toHex(randomBytes(32)), xRef });
  }
  return { asked, stop: () => node.stop() };
}

it(
  "of silent peers do not delay the answers of others",
  async () => {
    const offerId = await offer("secret", tinyModel());
    const buyer = await market.account("buyer");
    const silent = await Promise.all([
      silentRequester("silent", offerId, 6),
      silentRequester("quiet", offerId, 4),
      silentRequester("mute", offerId, 1),
    ]);
    const asking = buyer.start("infer", offerId, "--input", await sampleOf(buyer));
    const { orderId } = await asking.event("requested", MINUTES);
    const startedMs = performance.now();
    expect(await host.event("answered", MINUTES)).toMatchObject({ orderId });
    // one attempt with one silent peer takes 8 s, and there are eleven
    expect(performance.now() - startedMs).toBeLessThan(30_000);
    expect(await asking.event("result", MINUTES)).toMatchObject({ orderId });
    await expect.poll(() => silent[2]!.asked.length, { timeout: 30_000 }).toBeGreaterThan(1);
    for (const { asked, stop } of silent) {
      expect(asked.length).toBeGreaterThan(0);
      // one input at a time: the next one is asked for when the attempt with the last one is over
      const waits = asked.slice(1).map(({ atMs }, i) => atMs - asked[i]!.atMs);
      for (const waited of waits) expect(waited).toBeGreaterThan(2000);
      await stop();
    }
  },
  MINUTES,
);

it(
  "with inputs that have no answer, or are none, are dropped at once",
  async () => {
    const buyer = await market.account("overflowing");
    const offerId = await offer("steep", tinyModel(1, 100));
    const asking = buyer.start("infer", offerId, "--input", await sampleOf(buyer));
    const { orderId } = await asking.event("requested", MINUTES);
    const dropped = (count: number) => expect.poll(() => drops.length, { timeout: MINUTES }).toBe(count);
    await dropped(1);
    await asking.stop();
    const { chain } = await market.account("rude");
    await chain.deposit(chain.addresses.testToken, UNIT);
    const xRef = new TextEncoder().encode("no cid");
    const rude = await chain.inference.request(offerId, UNIT, { xId: toHex(randomBytes(32)), xRef });
    await dropped(2);
    // an order that is tried again would be told of again by now
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(drops).toEqual([
      [orderId, expect.stringMatching("has no answer: outputs of")],
      [rude.orderId, expect.stringMatching("no cid")],
    ]);
  },
  MINUTES,
);
