import { afterEach, beforeEach, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import type { RelayMessage } from "../messages/inbox.ts";
import { delay } from "../timing/delay.ts";
import { identityOf, startNetwork, until, type TestNetwork } from "../testing.ts";

let network: TestNetwork;
let alice: Host;
beforeEach(async () => {
  network = await startNetwork();
  alice = await network.node(1);
});
afterEach(() => network.stop());

const say = (host: Host, body: unknown, ephemeral = false, groupKey?: Uint8Array) =>
  host.publish("news", { kind: "news", job: null, body }, { ephemeral, ...(groupKey ? { groupKey } : {}) });

function listen(host: Host, options: Parameters<Host["subscribe"]>[2] = {}): RelayMessage[] {
  const got: RelayMessage[] = [];
  host.subscribe("news", (message) => void got.push(message), options);
  return got;
}

test("a node that comes later gets what was said, in order and once, but not what was ephemeral", async () => {
  const groupKey = new Uint8Array(32).fill(7);
  const fromMs = Date.now();
  for (let i = 0; i < 150; i++) await say(alice, i, i % 10 === 9, groupKey);
  const heard = listen(network.relay);
  await say(alice, "last");
  await until(() => heard.length === 1);
  const bob = await network.node(2);
  const got = listen(bob, { groupKey: () => [groupKey] });
  expect(await bob.history("news", { fromMs })).toEqual({ messages: 136, accepted: 135 });
  expect(got.map(({ body }) => body)).toEqual(Array.from({ length: 150 }, (_, i) => i).filter((i) => i % 10 !== 9));
  expect(await bob.history("news", { fromMs })).toEqual({ messages: 136, accepted: 0 });
  expect(got).toHaveLength(135);
  expect(bob.traffic().dropped).toMatchObject({ unencrypted: 2 });
  expect(bob.traffic().dropped.replayed).toBeUndefined();
  expect(await bob.history("news", { fromMs, toMs: fromMs })).toEqual({ messages: 0, accepted: 0 });
  expect(await bob.history("other", { fromMs })).toEqual({ messages: 0, accepted: 0 });
});

test("a message that was heard live is not heard again, and old ones are heard after newer ones", async () => {
  const sender = (clock: () => number, n = 5) => network.node(n, { clock });
  let nowMs = Date.now() - 60_000;
  const fromMs = nowMs;
  const clocked = await sender(() => nowMs);
  const relayed = listen(network.relay);
  await say(clocked, "old");
  await until(() => relayed.length === 1);
  await clocked.stop();
  nowMs = Date.now();
  const again = await sender(() => nowMs);
  const bob = await network.node(2);
  const got = listen(bob);
  await say(again, "new");
  await until(() => got.length === 1);
  expect(await bob.history("news", { fromMs })).toEqual({ messages: 2, accepted: 1 });
  expect(got.map(({ body }) => body)).toEqual(["new", "old"]);
});

test("when a relay fails, the next one gives the history; without a relay it is a clear error", async () => {
  const second = await createHost({ identity: identityOf(98), relayService: true, relays: network.relay.multiaddrs() });
  const third = await network.node(3, { relays: [...network.relay.multiaddrs(), ...second.multiaddrs()] });
  await until(() => third.peers().length === 2 && second.peers().length === 2);
  const heard = [network.relay, second, third].map((host) => listen(host));
  const heardBy = (length: number) => () => heard.every((got) => got.some(({ body }) => body === length));
  while (!heardBy(0)()) await say(alice, 0, true).then(() => delay(20));
  const fromMs = Date.now();
  await say(alice, 1);
  await until(heardBy(1));
  await network.relay.stop();
  expect(await third.history("news", { fromMs })).toEqual({ messages: 1, accepted: 0 });
  await second.stop();
  await until(() => third.peers().length === 0);
  const asked = third.history("news", { fromMs, signal: AbortSignal.timeout(300) });
  await expect(asked).rejects.toMatchObject({ name: "TimeoutError" });
});
