// Disks that fail, hang or are damaged: nothing is handled twice for it.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, expect, test } from "vitest";
import type { RelayMessage } from "../messages/inbox.ts";
import { createRandom } from "../mutate.ts";
import { openSqliteDeliveryStore } from "../node/sqlite-delivery-store.ts";
import { createMemoryStore } from "./memory-store.ts";
import type { DeliveryStore } from "./store.ts";
import { LossyBus, VirtualTimers } from "./testing-bus.ts";
import { GROUP_KEY, JOB, startPeer, watch, type Peer, type World } from "./testing-peers.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const hangs = () => new Promise<never>(() => undefined);
const full = async () => {
  throw new Error("disk full");
};
let w: World;
let alice: Peer;
let bob: Peer;

beforeEach(async () => {
  const timers = new VirtualTimers();
  const below = createRandom(1);
  const random = () => below(2 ** 32) / 2 ** 32;
  w = { timers, random, bus: new LossyBus(timers, random, { loss: 0, duplicates: 0, delayMs: [5, 10] }) };
  [alice, bob] = [await startPeer(1, w), await startPeer(2, w)];
});

const run = (condition: () => boolean, mostMs = MINUTE) => w.timers.runUntil(condition, mostMs);
const bodies = () => bob.handled.map(({ body }) => body);
const send = (body: unknown, timeoutMs?: number) => watch(alice.channel.send(bob.address, "m", body, { timeoutMs }));

async function delivered(body: unknown): Promise<void> {
  const sent = send(body);
  await run(() => sent.done);
  expect(sent.error).toBeUndefined();
}

async function restart(peer: Peer, disk: Partial<DeliveryStore> = {}): Promise<void> {
  peer.kill();
  Object.assign(peer.disk, disk);
  await peer.start();
}

/** Alice forgets everything, and Bob knows a session of hers that is later than her clock. */
async function outlivedByBob(): Promise<void> {
  await restart(alice);
  alice.kill();
  alice.disk = createMemoryStore();
  await alice.start({ clockMs: HOUR });
  await delivered("before");
  alice.kill();
  alice.disk = createMemoryStore();
  await alice.start();
}

test("a later session: nothing is sent in it before the disk knows it, so a restart sends nothing twice", async () => {
  await outlivedByBob();
  const { renewOutgoing } = alice.disk;
  alice.disk.renewOutgoing = hangs;
  void send("pay");
  await run(() => bodies().includes("pay"));
  await restart(alice, { renewOutgoing });
  await run(() => alice.delivery.counters().waiting === 0);
  expect(bodies()).toEqual(["before", "pay"]);
});

test("what is accepted while a later session is written goes out in it, and the disk ends with that session", async () => {
  await outlivedByBob();
  const { renewOutgoing } = alice.disk;
  let written = () => undefined as void;
  alice.disk.renewOutgoing = async (...args) => {
    await renewOutgoing(...args);
    await new Promise<void>((resolve) => (written = resolve));
  };
  const sent = [send(1)];
  await run(() => false, 5000);
  sent.push(send(2));
  await run(() => false, 5000);
  expect(bodies(), "held back").toEqual(["before"]);
  alice.disk.renewOutgoing = renewOutgoing;
  written();
  await run(() => sent.every(({ done }) => done));
  expect(bodies()).toEqual(["before", 1, 2]);
  const [stream] = (await alice.disk.load()).outgoingStreams;
  expect(stream).toMatchObject({ session: sent[1]!.value!.session, next: 3 });
});

test("a later session and what must not be sent in it are on disk together", async () => {
  const old = send("pay", DAY);
  await run(() => bodies().length === 1);
  // Handled, and the answer does not arrive.
  w.bus.faults = { ...w.bus.faults, cut: true };
  await run(() => false, 40 * MINUTE);
  bob.kill();
  const { session } = (await bob.disk.load()).incomingStreams[0]!;
  // Bob forgets her as he would after an hour.
  await bob.disk.removeIncomingStream(JOB, alice.address, session + 1);
  await bob.start();
  const { settle } = alice.disk;
  alice.disk.settle = hangs;
  w.bus.faults = { ...w.bus.faults, cut: false };
  await run(() => false, MINUTE);
  await restart(alice, { settle });
  await run(() => alice.delivery.counters().waiting === 0);
  expect(bodies()).toEqual(["pay"]);
  expect(old.error).toMatchObject({ code: "Forgotten" });
  await delivered("next");
});

test("a result that could not be written in time does not hide messages of a sender that began anew", async () => {
  const { addHandled } = bob.disk;
  for (const body of [1, 2]) await delivered(body);
  bob.disk.addHandled = full;
  void send(3);
  await run(() => bodies().length === 3);
  alice.kill();
  alice.disk = createMemoryStore();
  await alice.start();
  const sent = ["a", "b", "c"].map((body) => send(body));
  await run(() => false, 200);
  // The disk writes once more, and then Bob dies.
  let writes = 0;
  bob.disk.addHandled = async (...args) => (writes++ === 0 ? addHandled(...args) : hangs());
  await run(() => writes > 0);
  await restart(bob, { addHandled });
  await run(() => sent.every(({ done }) => done));
  expect([...new Set(bodies())]).toEqual([1, 2, 3, "a", "b", "c"]);
});

test("messages whose numbers are damaged on the disk are given up: the recipient could not know them again", async () => {
  await delivered("before");
  bob.disk.addHandled = async () => undefined;
  const { settle, load } = alice.disk;
  alice.disk.settle = full;
  void send("pay");
  await run(() => bodies().length === 2);
  await restart(alice, { settle, load: async () => ({ ...(await load()), outgoingStreams: [] }) });
  await delivered("next");
  await restart(alice, { load });
  await delivered("last");
  expect(bodies()).toEqual(["before", "pay", "next", "last"]);
});

test("a receiver whose position is damaged on the disk handles nothing again that a relay repeats", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-delivery-"));
  const file = path.join(folder, "delivery.sqlite");
  let store = openSqliteDeliveryStore(file);
  bob.kill();
  bob.disk = store;
  await bob.start();
  const said: RelayMessage[] = [];
  const relay = w.bus.join(alice.address);
  const end = relay.subscribe("job-0a", (message) => void said.push(message), { groupKey: () => [GROUP_KEY] });
  await delivered("pay");
  end();
  bob.kill();
  store.close();
  const damaged = new DatabaseSync(file);
  damaged.exec("UPDATE incoming_streams SET up_to = -1");
  damaged.close();
  store = openSqliteDeliveryStore(file);
  bob.disk = store;
  await bob.start();
  for (const { from, kind, job, body } of said)
    if (from === alice.address)
      await relay.publish("job-0a", { kind, job, body }, { groupKey: GROUP_KEY, ephemeral: true });
  await run(() => false, 1000);
  expect(bodies()).toEqual(["pay"]);
  await delivered("next");
  expect(bodies()).toEqual(["pay", "next"]);
  bob.kill();
  store.close();
  await fs.rm(folder, { recursive: true });
});

test("a message whose end cannot be written is given up when the disk writes again, and the disk has its rest", async () => {
  bob.kill();
  const { settle } = alice.disk;
  let tries = 0;
  alice.disk.settle = async () => {
    tries++;
    return full();
  };
  const sent = send("late", 5000);
  await run(() => false, 20_000);
  expect(sent.done).toBe(false);
  expect(tries).toBeGreaterThan(5);
  expect(tries).toBeLessThanOrEqual(16);
  alice.disk.settle = settle;
  await run(() => sent.done);
  expect(sent.error).toMatchObject({ code: "NotDelivered" });
});
