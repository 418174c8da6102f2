import { cidOf } from "@skynet/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fetchBlock, serveBlocks } from "../bulk/blocks.ts";
import { createHost } from "../host/host.ts";
import type { Host, HostOptions } from "../host/types.ts";
import { createGroupKey } from "../identity/group-key.ts";
import type { RelayMessage } from "../messages/inbox.ts";
import { identityOf, until } from "../testing.ts";

const hosts: Host[] = [];
afterEach(async () => void (await Promise.all(hosts.splice(0).map((host) => host.stop()))));

async function start(n: number, options: Partial<HostOptions> = {}): Promise<Host> {
  const host = await createHost({ identity: identityOf(n), ...options });
  hosts.push(host);
  return host;
}
const connected = (host: Host) => host.connected({ signal: AbortSignal.timeout(20_000) });
const listen = (host: Host, options: Parameters<Host["subscribe"]>[2] = {}): unknown[] => {
  const got: unknown[] = [];
  host.subscribe("news", ({ body }: RelayMessage) => void got.push(body), options);
  return got;
};
const say = (host: Host, body: unknown, options: Parameters<Host["publish"]>[2] = {}) =>
  host.publish("news", { kind: "news", job: null, body }, options);

let first: Host;
let second: Host;
let node: Host;
let relays: string[];
beforeEach(async () => {
  first = await start(99, { relayService: true });
  second = await start(98, { relayService: true, relays: first.multiaddrs() });
  relays = [first, second].flatMap((relay) => relay.multiaddrs());
  node = await start(1, { relays });
  await connected(node);
});

test("a light node sends and hears group messages, history and blocks, and never relays", async () => {
  const groupKey = createGroupKey();
  const light = await start(2, { relays, mode: "light", listen: [] });
  const inNode = listen(node, { groupKey: () => [groupKey] });
  const inLight = listen(light, { groupKey: () => [groupKey] });
  await connected(light);
  const fromMs = Date.now();
  expect((await say(light, "from light", { groupKey, ephemeral: false })).recipients).toBeGreaterThan(0);
  await say(node, "from node", { groupKey, ephemeral: false });
  await until(() => inNode.length === 1 && inLight.length === 1);
  expect([inNode, inLight]).toEqual([["from light"], ["from node"]]);

  const late = await start(3, { relays, mode: "light", listen: [] });
  const old = listen(late, { groupKey: () => [groupKey] });
  expect(await late.history("news", { fromMs })).toEqual({ messages: 2, accepted: 2 });
  expect(old.toSorted()).toEqual(["from light", "from node"]);

  const block = new Uint8Array(200_000).fill(5);
  const cid = await cidOf(block);
  await serveBlocks(node, { allow: (peer) => peer === light.identity.address, get: async () => block });
  expect(await fetchBlock(light, node.identity.address, cid)).toEqual(block);
  expect(Object.keys(light.traffic().protocols)).not.toContain("/vac/waku/relay/2.0.0");
  expect(light.traffic().dropped).toEqual({});
});

test("a light node goes on when a relay dies, and gets no topic that it did not ask for", async () => {
  const light = await start(2, { relays, mode: "light", listen: [] });
  const inLight = listen(light);
  await connected(light);
  await until(() => light.peers().length >= 2);
  const wire: Uint8Array[] = [];
  light.tap((bytes) => void wire.push(bytes));
  await first.stop();
  await until(() => !light.peers().includes(first.identity.address) && node.peers().includes(second.identity.address));
  await connected(light);
  const inNode = listen(node);
  await until(() => node.relays().some(({ state }) => state === "live"));
  await node.publish("other", { kind: "other", job: null, body: "not asked for" });
  await expect
    .poll(async () => (await say(node, "still there")) && inLight.includes("still there"), { timeout: 30_000 })
    .toBe(true);
  expect((await say(light, "me too")).recipients).toBeGreaterThan(0);
  await until(() => inNode.includes("me too"));
  expect(wire.some((bytes) => Buffer.from(bytes).includes("/skynet/1/other/cbor"))).toBe(false);
});

test("two hundred messages at once from a light node all arrive", async () => {
  const light = await start(2, { relays, mode: "light", listen: [] });
  const inNode = listen(node);
  await connected(light);
  await Promise.all(Array.from({ length: 200 }, (_, i) => say(light, i)));
  await until(() => inNode.length === 200, 60_000);
  expect(new Set(inNode).size).toBe(200);
});

test("without a relay nobody gets a light node's message, and it says so", async () => {
  const light = await start(2, { mode: "light", listen: [] });
  expect(await say(light, "into the void")).toEqual({ recipients: 0 });
  await expect(createHost({ identity: identityOf(3), mode: "light", relayService: true })).rejects.toMatchObject({
    code: "BadOption",
  });
});
