// Members that say what no honest node says.
import { beforeEach, expect, test } from "vitest";
import { identityOf } from "../testing.ts";
import { createRandom } from "../mutate.ts";
import { encodeFrame, MAX_SESSION, parseFrame, type Ack } from "./frame.ts";
import { LossyBus, VirtualTimers } from "./testing-bus.ts";
import { GROUP_KEY, JOB, startPeer, watch, type Peer, type World } from "./testing-peers.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;
const mallory = identityOf(66);
let w: World;
let alice: Peer;
let bob: Peer;
/** Says a frame as the member Mallory. */
let say: (frame: Parameters<typeof encodeFrame>[0]) => Promise<unknown>;

beforeEach(async () => {
  const timers = new VirtualTimers();
  const below = createRandom(1);
  const random = () => below(2 ** 32) / 2 ** 32;
  w = { timers, random, bus: new LossyBus(timers, random, { loss: 0, duplicates: 0, delayMs: [5, 10] }) };
  [alice, bob] = [await startPeer(1, w), await startPeer(2, w)];
  const channel = w.bus.join(mallory.address);
  say = (frame) =>
    channel.publish(
      "job-0a",
      { kind: "delivery", job: JOB, body: encodeFrame(frame) },
      { groupKey: GROUP_KEY, ephemeral: true },
    );
});

const run = (condition: () => boolean, mostMs = MINUTE) => w.timers.runUntil(condition, mostMs);
const ackOf = (session: number): Ack => ({
  to: alice.address,
  session,
  order: 1,
  upTo: 0,
  held: new Uint8Array(),
  got: [],
  signature: new Uint8Array(),
  refused: [],
});

test.each([
  ["the largest number", () => Number.MAX_SAFE_INTEGER],
  ["the last time of a clock", () => MAX_SESSION],
  ["in two days", () => Math.floor(w.timers.nowMs()) + 2 * DAY],
])("who claims a session far in the future (%s) silences nobody and stops no restart", async (_, session) => {
  const first = watch(alice.channel.sendToAll([mallory.address, bob.address], "m", 1, { timeoutMs: 5000 }));
  await run(() => bob.handled.length === 1);
  await say({ to: [], content: new Uint8Array(), acks: [ackOf(session())] });
  await run(() => first.done);
  const second = watch(alice.channel.sendToAll([mallory.address, bob.address], "m", 2, { timeoutMs: 5000 }));
  await run(() => second.done);
  expect(second.value!.map((outcome) => "receipt" in outcome)).toEqual([false, true]);
  const { outgoingStreams } = await alice.disk.load();
  for (const stream of outgoingStreams) expect(stream.session).toBeLessThanOrEqual(w.timers.nowMs());
  alice.kill();
  await alice.start();
  const third = watch(alice.channel.send(bob.address, "m", 3));
  await run(() => third.done);
  expect(bob.handled.map(({ body }) => body)).toEqual([1, 2, 3]);
});

test("a recipient whose clock is ahead by an hour is followed", async () => {
  const sent = watch(alice.channel.sendToAll([mallory.address, bob.address], "m", 1, { timeoutMs: 5000 }));
  await run(() => bob.handled.length === 1);
  const session = Math.floor(w.timers.nowMs()) + 3_600_000;
  await say({ to: [], content: new Uint8Array(), acks: [ackOf(session)] });
  await run(() => sent.done);
  const { outgoingStreams } = await alice.disk.load();
  expect(outgoingStreams.find(({ to }) => to === mallory.address)?.session).toBe(session + 1);
});

test("no frame holds a session that cannot be counted on from", () => {
  const target = { to: alice.address, session: MAX_SESSION, seq: 1, base: 1 };
  const content = new Uint8Array();
  expect(parseFrame(encodeFrame({ to: [target], content, acks: [] })).to).toEqual([target]);
  const beyond = { ...target, session: MAX_SESSION + 1 };
  expect(() => parseFrame(encodeFrame({ to: [beyond], content, acks: [] }))).toThrow("not a frame");
  const acks = [ackOf(MAX_SESSION + 1)];
  expect(() => parseFrame(encodeFrame({ to: [], content, acks }))).toThrow("not a frame");
});
