import path from "node:path";
import {
  BLOCK_PROTOCOL,
  createDelivery,
  createGroupKey,
  createHost,
  createIdentity,
  createMemoryStore,
  fetchBlock,
  type Host,
  hostChannel,
  MAX_BLOCK_BYTES,
  receiveUpdates,
  serveBlocks,
  verifyDeliveryReceipt,
} from "@skynet/network";
import { cidOf, type Hex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BundleServer, serveBundle } from "./support/bundle-server.ts";
import { type Browser, findChromium, type Page, startChromium } from "./support/chromium.ts";
import { type RelayProcess, startRelayProcess } from "./support/relay-process.ts";

const chromium = findChromium();
const PAGE_MS = 90_000;

describe.skipIf(chromium === undefined)("the network in a tab (needs Chromium)", () => {
  const key = createGroupKey();
  const groupKey = [...key];
  const fromMs = Date.now() - 1000;
  let relays: RelayProcess[];
  let host: Host;
  let server: BundleServer;
  let browser: Browser;
  let page: Page;
  let address: Hex;
  let hidden: Host | undefined;
  const inNode: unknown[] = [];

  const call = <T>(name: string, options: object = {}, where = page) =>
    where.evaluate<T>(`node.${name}(${JSON.stringify(options)})`, PAGE_MS);
  const start = async (number: number): Promise<[Page, Hex]> => {
    const opened = await browser.open(`${server.origin}/`);
    return [opened, await call<Hex>("start", { number, relays: relays.map(({ ws }) => ws), groupKey }, opened)];
  };
  const say = (body: string) =>
    host.publish("tab", { kind: "tab", job: null, body }, { groupKey: key, ephemeral: false });

  beforeAll(async () => {
    const first = await startRelayProcess(99);
    relays = [first, await startRelayProcess(98, [first.tcp])];
    host = await createHost({
      identity: createIdentity(new Uint8Array(32).fill(1)),
      listen: ["/ip4/127.0.0.1/tcp/0/ws"],
      relays: relays.map(({ tcp }) => tcp),
    });
    host.subscribe("tab", ({ body }) => void inNode.push(body), { groupKey: () => [key] });
    await host.connected({ signal: AbortSignal.timeout(30_000) });
    server = await serveBundle(path.join(import.meta.dirname, "support", "page-node.ts"));
    browser = await startChromium(chromium!);
    [page, address] = await start(2);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await Promise.all([host?.stop(), hidden?.stop()]);
    await Promise.all(relays.map((relay) => relay.kill()));
  });

  it("sends and receives encrypted messages of a group", async () => {
    expect(await call("publish", { body: "from the tab", groupKey })).toBeGreaterThan(0);
    await expect.poll(() => inNode, { timeout: 30_000 }).toContain("from the tab");
    await say("from a node");
    expect(await call("received", { body: "from a node" })).toBe(1);
    expect(await call("dropped")).toEqual({});
  });

  it("fetches a block from a node, and sends it an update for a receipt", async () => {
    const block = new Uint8Array(1_500_000).fill(7);
    const cid = await cidOf(block);
    await serveBlocks(host, { allow: (peer) => peer === address, get: async () => block });
    const from = host.identity.address;
    expect(await call("fetchBlock", { from, cid })).toEqual({ length: block.length, first: 7 });
    const updates: number[] = [];
    await receiveUpdates(host, {
      admit: (peer) => peer === address,
      maxBytes: 2 ** 24,
      onUpdate: (_header, _from, bytes) => ({ ok: updates.push(bytes.length) > 0 }) as { ok: true },
    });
    expect(await call("sendUpdate", { to: from, bytes: 1_200_000 })).toEqual({ job: "0x0a", round: 1 });
    expect(updates).toEqual([1_200_000]);
  });

  it("delivers messages for signed receipts, both ways", async () => {
    const delivery = await createDelivery({
      channel: hostChannel(host),
      identity: host.identity,
      store: createMemoryStore(),
    });
    const heard: unknown[] = [];
    delivery.listen(({ body, from }) => void heard.push([from, body]));
    const { address: to } = host.identity;
    expect(await call("deliver", { to, body: "confirm this" })).toBe(to);
    expect(heard).toEqual([[address, "confirm this"]]);
    const { publicKey } = createIdentity(new Uint8Array(32).fill(2));
    const receipt = await delivery.send(address, "tab", "and this", { publicKey, timeoutMs: 60_000 });
    expect(verifyDeliveryReceipt(receipt)).toMatchObject({ receiver: address, job: null });
    await call("received", { body: "and this" });
    await delivery.stop();
  });

  it("is closed before the receipt, opened again, and its message is handled exactly once", async () => {
    const identity = createIdentity(new Uint8Array(32).fill(6));
    const recipient = await createHost({ identity, relays: relays.map(({ tcp }) => tcp) });
    await recipient.connected({ signal: AbortSignal.timeout(30_000) });
    const delivery = await createDelivery({
      channel: hostChannel(recipient),
      identity,
      store: createMemoryStore(),
    });
    const handled: unknown[] = [];
    const gate = Promise.withResolvers<void>();
    delivery.listen(async ({ body }) => {
      handled.push(body);
      await gate.promise;
    });
    const [before] = await start(5);
    expect(await call("openDelivery", {}, before)).toBe(0);
    call("deliverKept", { to: identity.address, body: "once" }, before).catch(() => "the tab is closed meanwhile");
    await expect.poll(() => handled, { timeout: 30_000 }).toEqual(["once"]);
    await before.close();
    gate.resolve();
    const [after] = await start(5);
    expect(await call("openDelivery", {}, after)).toBe(1);
    await expect
      .poll(() => call("keptMessages", {}, after), { timeout: 30_000 })
      .toEqual({ waiting: 0, by: [identity.address] });
    expect(await call("deliverKept", { to: identity.address, body: "and this" }, after)).toBe(identity.address);
    expect(handled).toEqual(["once", "and this"]);
    await delivery.stop();
    await recipient.stop();
  });

  it("exchanges blocks both ways over WebRTC with a node that nobody can dial, though the tab has no address", async () => {
    hidden = await createHost({
      identity: createIdentity(new Uint8Array(32).fill(4)),
      listen: [],
      reservations: 1,
      relays: relays.map(({ tcp }) => tcp),
    });
    await expect
      .poll(() => hidden!.multiaddrs().filter((it) => it.includes("/webrtc/")), { timeout: 30_000 })
      .not.toEqual([]);
    expect(hidden.multiaddrs().filter((it) => !it.includes("/p2p-circuit"))).toEqual([]);
    const [first, second] = [8, 6].map((value) => new Uint8Array(MAX_BLOCK_BYTES).fill(value)) as [
      Uint8Array,
      Uint8Array,
    ];
    const from = hidden.identity.address;
    await serveBlocks(hidden, { allow: (peer) => peer === address, get: async () => first });
    const cid = await cidOf(first);
    const trying = { peer: from, protocol: BLOCK_PROTOCOL, times: 8 };
    expect(await call("connectOverWebRtc", trying)).toEqual(Array(8).fill(true));
    expect(await call("fetchBlock", { from, cid })).toEqual({ length: first.length, first: 8 });
    expect(await call("announced")).toEqual([]);
    expect(await call("kindsOf", { peer: from, protocol: BLOCK_PROTOCOL })).toEqual(["webrtc"]);

    await call("serveBlock", { to: from, bytes: second.length, value: 6 });
    expect(Buffer.compare(await fetchBlock(hidden, address, await cidOf(second)), second)).toBe(0);
    const used = hidden
      .connections()
      .filter(({ peer, streams }) => peer === address && streams.includes(BLOCK_PROTOCOL));
    expect(used.map(({ kind }) => kind)).toEqual(["webrtc"]);
  });

  it("catches up after it was closed", async () => {
    const [other] = await start(3);
    expect(await call("history", { fromMs }, other)).toEqual({ messages: 2, accepted: 2 });
  });

  it("goes on when one of its relays dies", async () => {
    await relays[0]!.kill();
    await call("reconnected", { without: createIdentity(new Uint8Array(32).fill(99)).address });
    await expect
      .poll(
        async () => {
          await say("after the death");
          await call("publish", { body: "the tab lives", groupKey });
          return inNode.includes("the tab lives");
        },
        { timeout: 60_000, interval: 300 },
      )
      .toBe(true);
    expect(await call<number>("received", { body: "after the death" })).toBeGreaterThan(1);
  });
});
