import { expect, test } from "vitest";
import { createDirectory } from "./directory.ts";
import { createDrops } from "../host/drops.ts";
import { identityOf } from "../testing.ts";

function setUp(options: { maxEntries?: number; newPerSecond?: number } = {}) {
  const drops = createDrops();
  let nowMs = 1_000_000;
  const directory = createDirectory({ clock: () => 1_000_000, monotonic: () => nowMs, drops, ...options });
  const hear = (n: number, body?: unknown) => {
    const { address, peerId } = identityOf(n);
    const presence = body ?? { multiaddrs: [`/ip4/127.0.0.1/tcp/40${n}/p2p/${peerId.toString()}`], role: "worker" };
    directory.hear({ kind: "presence", job: null, from: address, seq: 1, body: presence });
  };
  return { directory, drops, hear, pass: (ms: number) => (nowMs += ms) };
}

test("a presence is found at once or when it arrives", async () => {
  const { directory, hear } = setUp();
  const later = directory.find(identityOf(2).address);
  hear(1);
  hear(2);
  expect(await directory.find(identityOf(1).address)).toMatchObject({ role: "worker", heardMs: 1_000_000 });
  expect((await later).multiaddrs[0]).toContain(identityOf(2).peerId.toString());
});

test("an unknown node is unreachable after the time limit, and a signal ends the wait", async () => {
  const { directory } = setUp();
  const { address } = identityOf(1);
  await expect(directory.find(address, { timeoutMs: 10 })).rejects.toMatchObject({ code: "Unreachable" });
  const waiting = directory.find(address, { signal: AbortSignal.timeout(5) });
  await expect(waiting).rejects.toMatchObject({ name: "TimeoutError" });
});

test("a node can only announce addresses that end in its own PeerId", () => {
  const { directory, drops, hear } = setUp();
  const other = identityOf(2).peerId.toString();
  hear(1, { multiaddrs: [`/ip4/127.0.0.1/tcp/4000/p2p/${other}`], role: "" });
  hear(1, { multiaddrs: ["/ip4/127.0.0.1/tcp/4000"], role: "" });
  hear(1, { multiaddrs: ["nonsense"], role: "" });
  hear(1, { multiaddrs: Array.from({ length: 9 }, () => ""), role: "" });
  hear(1, { role: "" });
  expect(drops.snapshot()).toEqual({ undecodable: 5 });
  expect(directory.entries()).toEqual([]);
});

test("memory is bounded: the longest silent makes room, but not one that is wanted", async () => {
  const { directory, hear, pass } = setUp({ maxEntries: 3 });
  hear(1);
  hear(2);
  await directory.find(identityOf(1).address);
  for (let n = 3; n < 10; n++) {
    pass(1000);
    hear(n);
  }
  const addresses = directory.entries().map(({ address }) => address);
  expect(addresses).toEqual([1, 8, 9].map((n) => identityOf(n).address));
});

test("floods of new nodes and of one node are limited; wanted nodes are heard all the same", async () => {
  const { directory, drops, hear, pass } = setUp({ newPerSecond: 3 });
  for (let n = 1; n <= 10; n++) hear(n);
  expect(directory.entries()).toHaveLength(3);
  expect(drops.snapshot()).toEqual({ rateLimited: 7 });
  const wanted = directory.find(identityOf(20).address);
  hear(20);
  expect(await wanted).toMatchObject({ role: "worker" });
  for (let i = 0; i < 5; i++) hear(20);
  expect(drops.snapshot()).toEqual({ rateLimited: 12 });
  pass(1000);
  hear(4);
  expect(directory.entries()).toHaveLength(5);
});

test("a node that is silent now is answered from what was remembered, one that is heard is not", async () => {
  const { directory, hear } = setUp();
  const at = (n: number) => ({ address: identityOf(n).address, multiaddrs: [], role: "before", heardMs: 1 });
  directory.remember([at(1), at(2)]);
  hear(2);
  expect(await directory.find(identityOf(1).address, { timeoutMs: 10 })).toMatchObject({ role: "before" });
  expect(await directory.find(identityOf(2).address, { timeoutMs: 10 })).toMatchObject({ role: "worker" });
  expect(directory.get(identityOf(1).address)).toBeUndefined();
  const stopped = directory.find(identityOf(1).address, { signal: AbortSignal.abort(new Error("stopped")) });
  await expect(stopped).rejects.toThrow("stopped");
});
