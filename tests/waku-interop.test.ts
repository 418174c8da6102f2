import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createHost, createIdentity, type Host, type RelayMessage } from "@skynet/network";
import { openSqliteMessageStore } from "@skynet/network/node";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { sealEnvelope } from "../packages/network/src/messages/envelope.ts";
import { type BundleServer, serveBundle } from "./support/bundle-server.ts";
import { type Browser, findChromium, startChromium } from "./support/chromium.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";
import { installWakuClient, startWakuClient, type WakuClient, wakuClientPage } from "./support/waku-client.ts";

const CLUSTER = 1729;
const FOREIGN = "/toy-chat/2/luzhou/proto";
const OURS = "/skynet/1/interop/cbor";
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const identityOf = (n: number) => createIdentity(new Uint8Array(32).fill(n));
const signal = () => AbortSignal.timeout(20_000);

const missing = await installWakuClient();
if (missing !== undefined) console.warn(`SKIPPED, nothing is proven with the official Waku client: ${missing}`);
const chromium = findChromium();
if (chromium === undefined) console.warn("SKIPPED, the official Waku client is not tried in a page: no Chromium");

const clients: WakuClient[] = [];
afterEach(async () => void (await Promise.all(clients.splice(0).map((client) => client.stop()))));

function track(client: WakuClient): WakuClient {
  clients.push(client);
  return client;
}

type Start = (contentTopic: string, options?: { peerExchange: boolean }) => Promise<WakuClient>;

/** Starts a stock client in a page. */
async function startInPage(browser: Browser, { origin }: BundleServer, options: object): Promise<WakuClient> {
  const page = await browser.open(`${origin}/`);
  const call = <T>(name: string, callOptions: object = {}) =>
    page.evaluate<T>(`globalThis.client.${name}(${JSON.stringify(callOptions)})`, 30_000);
  await page.evaluate(
    `startLightNode(${JSON.stringify(options)}).then((client) => void (globalThis.client = client))`,
    30_000,
  );
  return { call, stop: async () => void (await call("stop")) };
}

describe.skipIf(missing !== undefined)("stock js-waku light nodes", () => {
  let relay: RelayProcess;
  let other: RelayProcess;
  let host: Host;
  let folder: string;
  const historyOf = (number: number) => path.join(folder, `${number}.sqlite`);
  beforeAll(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-interop-"));
    relay = await startRelayProcess(99, [], historyOf(99));
    other = await startRelayProcess(98, [relay.tcp], historyOf(98));
    host = await createHost({ identity: identityOf(1), relays: [relay.tcp], relayCount: 1 });
    await host.connected({ signal: signal() });
    // The relays know each other.
    await vi.waitFor(() => expect(host.relays()).toHaveLength(2), { timeout: 30_000 });
  });
  afterAll(async () => {
    await host?.stop();
    await Promise.all([relay?.kill(), other?.kill()]);
    await fs.rm(folder, { recursive: true, force: true });
  });

  const place = (contentTopic: string) => ({ relays: [relay.ws], clusterId: CLUSTER, contentTopic });

  /** Everything that a client does, whatever it runs in. */
  async function useServices(start: Start, name: string): Promise<void> {
    const contentTopic = `${FOREIGN}-${name}`;
    const [alice, bob] = await Promise.all([start(contentTopic), start(contentTopic)]);
    expect(await alice.call("ready")).toEqual({ pubsubTopic: `/waku/2/rs/${CLUSTER}/0` });
    await bob.call("ready");
    expect(await bob.call("subscribe")).toBe(true);

    const pushed = { successes: 1, failures: [] };
    expect(await alice.call("push", { text: "one" })).toEqual(pushed);
    expect(await alice.call("push", { text: "two", useLegacy: true })).toEqual(pushed);
    expect(await alice.call("push", { text: "gone", ephemeral: true })).toEqual(pushed);
    expect(await alice.call("push", { text: "three" })).toEqual(pushed);
    expect(await bob.call("received", { count: 4 })).toEqual(["one", "two", "gone", "three"]);
    const tooLarge = { successes: 0, failures: ["Remote peer rejected"] };
    expect(await alice.call("push", { bytes: [...new Uint8Array(65_536)] })).toEqual(tooLarge);

    expect(await bob.call("query", { pageSize: 2 })).toEqual([["one", "two"], ["three"]]);
    expect(await bob.call("query", { pageSize: 2, forward: false })).toEqual([["two", "three"], ["one"]]);
    expect(await bob.call("metadata")).toEqual({ clusterId: CLUSTER, shards: [0] });
    await expectOnDisk(contentTopic);
  }

  /** What was queried is in the files of both relays; the ephemeral message is in none. */
  async function expectOnDisk(contentTopic: string): Promise<void> {
    for (const number of [99, 98]) {
      const store = openSqliteMessageStore(historyOf(number));
      const place = { pubsubTopic: `/waku/2/rs/${CLUSTER}/0`, contentTopics: [contentTopic], hashes: [] };
      const query = { ...place, forward: true, limit: 10, maxBytes: 2 ** 20 };
      const kept = async () => (await store.query(query)).messages.length;
      await expect.poll(kept, { timeout: 30_000 }).toBe(3);
      store.close();
    }
  }

  async function findOthers(start: Start): Promise<void> {
    const client = await start(FOREIGN, { peerExchange: true });
    const peers = await client.call<string[]>("connectedTo", { count: 2 });
    expect(peers.toSorted()).toEqual([relay, other].map(({ ws }) => ws.split("/p2p/")[1]!).toSorted());
  }

  /** Our signed messages, through a client that cannot read them. */
  async function exchangeWithUs(start: Start): Promise<void> {
    const client = await start(OURS);
    await client.call("ready");
    await client.call("subscribe");
    const got: RelayMessage[] = [];
    const end = host.subscribe("interop", (message) => void got.push(message));
    const message = { kind: "greeting", job: null, body: "hello from us" };
    await host.publish("interop", message);
    const [received] = await client.call<string[]>("received", { count: 1 });
    expect(received).toContain("hello from us");
    const sealing = { identity: identityOf(7), contentTopic: OURS, seq: Date.now(), random };
    const bytes = [...sealEnvelope({ ...message, body: "carried by a stock client" }, sealing)];
    expect(await client.call("push", { bytes })).toMatchObject({ successes: 1 });
    await expect.poll(() => got.length, { timeout: 30_000 }).toBe(1);
    expect(got[0]).toMatchObject({ from: identityOf(7).address, body: "carried by a stock client" });
    end();
  }

  describe("in a Node process of their own", () => {
    const start: Start = async (contentTopic, options) =>
      track(await startWakuClient({ ...place(contentTopic), ...options }));

    it("push, filter, query, and ask for metadata", () => useServices(start, "node"));
    it("learn a second relay by peer exchange", () => findOthers(start));
    it("exchange messages with our nodes in both directions", () => exchangeWithUs(start));
  });

  describe.skipIf(chromium === undefined)("in headless Chromium (needs Chromium)", () => {
    let browser: Browser;
    let server: BundleServer;
    beforeAll(async () => {
      server = await serveBundle(wakuClientPage);
      browser = await startChromium(chromium!);
    });
    afterAll(async () => {
      await browser?.close();
      await server?.close();
    });
    const start: Start = async (contentTopic, options) =>
      track(await startInPage(browser, server, { ...place(contentTopic), ...options }));

    it("push, filter, query, and ask for metadata", () => useServices(start, "page"));
    it("learn a second relay by peer exchange", () => findOthers(start));
    it("exchange messages with our nodes in both directions", () => exchangeWithUs(start));
  });
});
