// Senders that a receiver has forgotten: what they said before is not handled again, what they say next is.
import type { Hex } from "@skynet/protocol";
import { beforeEach, expect, test } from "vitest";
import type { RelayMessage } from "../messages/inbox.ts";
import { createRandom } from "../mutate.ts";
import { inboxTopic } from "./sealed-line.ts";
import { LossyBus, VirtualTimers } from "./testing-bus.ts";
import { startPeer, watch, type Peer, type World } from "./testing-peers.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
let w: World;
let [alice, bob, carol, dave]: Peer[] = [];
/** Everything that was said to Bob. */
let said: RelayMessage[];

beforeEach(async () => {
  const timers = new VirtualTimers();
  const below = createRandom(1);
  const random = () => below(2 ** 32) / 2 ** 32;
  w = { timers, random, bus: new LossyBus(timers, random, { loss: 0, duplicates: 0, delayMs: [5, 10] }) };
  const seldom = { delivery: { retry: { firstMs: 500, mostMs: 600_000 } } };
  [alice, carol, dave] = [await startPeer(1, w, seldom), await startPeer(3, w), await startPeer(4, w)];
  bob = await startPeer(2, w, { delivery: { maxSenders: 2 } });
  said = [];
  w.bus.join(alice.address).subscribe(inboxTopic(bob.address), (message) => void said.push(message));
});

const run = (condition: () => boolean, mostMs = MINUTE) => w.timers.runUntil(condition, mostMs);
const pass = (ms: number) => run(() => false, ms);
const bodies = () => bob!.handled.map(({ body }) => body);
const send = (from: Peer, body: unknown, timeoutMs?: number) =>
  watch(from.delivery.send(bob!.address, "m", body, { publicKey: bob!.identity.publicKey, timeoutMs }));

async function delivered(from: Peer, body: unknown): Promise<number> {
  const sent = send(from, body);
  await run(() => sent.done);
  expect(sent.error).toBeUndefined();
  return sent.value!.session;
}

/** A relay says again what a sender once said. */
async function replay(from: Hex, messages: readonly RelayMessage[]): Promise<void> {
  const channel = w.bus.join(from);
  for (const { kind, job, body, from: sender } of messages)
    if (sender === from) await channel.publish(inboxTopic(bob!.address), { kind, job, body }, { ephemeral: true });
  await pass(1000);
  channel.leave();
}

/** Two others speak after an hour: there is no room for who was silent. */
async function crowdOut(): Promise<void> {
  await pass(HOUR + MINUTE);
  await delivered(carol!, "carol");
  await delivered(dave!, "dave");
}

test("a sender that was crowded out: its old messages are not handled again, not after a restart either; it goes on", async () => {
  const first = await delivered(alice!, "pay");
  const old = [...said];
  expect(old.some(({ from }) => from === alice!.address)).toBe(true);
  await crowdOut();
  await pass(HOUR + MINUTE);
  await replay(alice!.address, old);
  expect(bodies()).toEqual(["pay", "carol", "dave"]);
  bob!.kill();
  await bob!.start();
  await crowdOut();
  await pass(HOUR + MINUTE);
  await replay(alice!.address, old);
  expect(bodies().filter((body) => body === "pay")).toHaveLength(1);
  const second = await delivered(alice!, "next");
  expect(second, "in a new session").toBeGreaterThan(first);
  await replay(alice!.address, [...said]);
  expect(bodies().filter((body) => body === "pay" || body === "next")).toEqual(["pay", "next"]);
});

test("a sender that was silent for months, on a node that was restarted since", async () => {
  await delivered(alice!, "pay");
  const old = [...said];
  await pass(91 * DAY);
  bob!.kill();
  await bob!.start();
  expect((await bob!.disk.load()).incomingStreams).toEqual([]);
  await replay(alice!.address, old);
  bob!.kill();
  await bob!.start();
  await replay(alice!.address, old);
  expect(bodies()).toEqual(["pay"]);
  await delivered(alice!, "next");
  expect(bodies()).toEqual(["pay", "next"]);
}, 60_000);

test.each([
  ["", 0],
  [", also when its clock was set back since", -2 * HOUR],
])("a message that a forgotten sender never got confirmed: it is told so, not handled twice%s", async (_, clockMs) => {
  const doubtful = send(alice!, "pay", DAY);
  await pass(6);
  send(dave!, "dave");
  await run(() => bob!.handled.length === 2);
  // Before it is acknowledged.
  w.bus.faults = { ...w.bus.faults, cut: true };
  dave!.kill();
  alice!.clockMs = clockMs;
  await pass(HOUR);
  const young = send(alice!, "young", DAY);
  await pass(MINUTE);
  expect([doubtful.done, young.done]).toEqual([false, false]);
  w.bus.faults = { ...w.bus.faults, cut: false };
  await delivered(carol!, "carol");
  await run(() => doubtful.done && young.done, HOUR);
  expect(doubtful.error).toMatchObject({ code: "Forgotten", hint: expect.any(String) as string });
  expect(young.value?.seq).toBe(2);
  expect(bodies().toSorted()).toEqual(["carol", "dave", "pay", "young"]);
});

test("who numbers from the far future is told so at once, raises nothing for others, and is heard with a right clock", async () => {
  alice!.kill();
  await alice!.start({ clockMs: 2 * DAY });
  const wrong = send(alice!, "wrong");
  await run(() => wrong.done, 1000);
  expect(wrong.error).toMatchObject({ code: "Rejected", message: expect.stringContaining("clock") as string });
  expect(bob!.drops.snapshot()).toHaveProperty("clockAhead");
  alice!.kill();
  await alice!.start();
  await delivered(alice!, "right");
  expect(bodies()).toEqual(["right"]);
});

test("who pushes the floor as far as it goes costs the others one answer, no message", async () => {
  alice!.kill();
  await alice!.start({ clockMs: DAY - MINUTE });
  await delivered(alice!, "ahead");
  alice!.kill();
  await pass(HOUR + MINUTE);
  await delivered(carol!, "carol");
  await delivered(dave!, "dave");
  await pass(HOUR + MINUTE);
  const eve = await startPeer(5, w);
  const session = await delivered(eve, "eve");
  expect(session).toBeGreaterThan(w.timers.nowMs());
  expect(bodies()).toEqual(["ahead", "carol", "dave", "eve"]);
});
