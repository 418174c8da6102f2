import { toHex, type Hex } from "@skynet/protocol";
import { expect, test } from "vitest";
import { createDrops } from "../host/drops.ts";
import { silent } from "../host/log.ts";
import { identityOf } from "../testing.ts";
import { encodeContent, hashOf, MAX_CONTENT_BYTES, WINDOW } from "./frame.ts";
import { Incoming, MAX_HELD_BYTES } from "./incoming-stream.ts";
import { Intake, MAX_SENDERS } from "./intake.ts";
import { createMemoryStore } from "./memory-store.ts";
import { VirtualTimers } from "./testing-bus.ts";

const self = identityOf(1);
const senderOf = (n: number): Hex => toHex(Uint8Array.from({ length: 20 }, (_, i) => (n >> (8 * i)) & 255));
const target = (seq: number, base = 1) => ({ to: self.address, session: 1, seq, base });

test("a sender's messages beyond the window, or beyond a megabyte, are not held; the next in order always is", () => {
  const stream = new Incoming(null, senderOf(1));
  const small = encodeContent("m", 1);
  expect(stream.take(target(WINDOW), small)).toBe("new");
  expect(stream.take(target(WINDOW + 1), small)).toBe("noRoom");
  expect(stream.take(target(WINDOW + 5, 6), small)).toBe("new");
  const large = new Uint8Array(MAX_CONTENT_BYTES);
  const fitting = Math.floor((MAX_HELD_BYTES - 2 * small.length) / large.length);
  const results = Array.from({ length: fitting + 2 }, (_, i) => stream.take(target(10 + i, 6), large));
  expect(results.filter((result) => result === "new")).toHaveLength(fitting);
  expect(results.at(-1)).toBe("noRoom");
  expect(stream.take(target(6, 6), large)).toBe("new");
});

test("a sender that never settles anything has no more results kept, and signed anew, than the window", () => {
  const stream = new Incoming(null, senderOf(1));
  const content = encodeContent("m", 1);
  const taken: number[] = [];
  for (let seq = 1; seq <= 10 * WINDOW; seq++) {
    if (stream.take(target(seq), content) !== "new") continue;
    taken.push(seq);
    stream.settled(1, { seq, hash: hashOf(content), refused: null });
  }
  expect(taken).toHaveLength(WINDOW);
  const confirmed = stream.acks(self, () => 1).flatMap(({ got }) => got);
  expect(confirmed).toHaveLength(WINDOW);
  expect(stream.take(target(WINDOW + 1, 2), content), "it settles the first").toBe("new");
});

test("all senders together have no more than 64 MiB that waits for gaps", () => {
  const options = { identity: self, store: createMemoryStore(), timers: new VirtualTimers(), log: silent };
  const intake = new Intake({ ...options, handlerOf: () => undefined, acknowledge: () => undefined });
  const content = new Uint8Array(MAX_CONTENT_BYTES);
  for (let n = 0; n < 100; n++) for (let seq = 2; seq < 30; seq++) intake.take(null, senderOf(n), target(seq), content);
  expect(intake.heldBytes()).toBeGreaterThan(63 * 1024 * 1024);
  expect(intake.heldBytes()).toBeLessThanOrEqual(64 * 1024 * 1024);
});

test("senders beyond the limit are not heard until another one was silent for an hour; the others keep their place", async () => {
  const timers = new VirtualTimers();
  const drops = createDrops();
  const intake = new Intake({
    identity: self,
    store: createMemoryStore(),
    timers,
    log: silent,
    drops,
    handlerOf: () => undefined,
    acknowledge: () => undefined,
  });
  const question = target(0);
  for (let n = 0; n < MAX_SENDERS; n++) intake.take(null, senderOf(n), question, new Uint8Array());
  expect(drops.snapshot()).toEqual({});
  intake.take(null, senderOf(MAX_SENDERS), question, new Uint8Array());
  intake.take(null, senderOf(0), question, new Uint8Array());
  expect(drops.snapshot()).toEqual({ rateLimited: 1 });
  timers.after(3_600_001, () => undefined);
  await timers.runUntil(() => false, 3_600_002);
  intake.take(null, senderOf(MAX_SENDERS), question, new Uint8Array());
  expect(drops.snapshot()).toEqual({ rateLimited: 1 });
});

test("strangers outside jobs neither keep members of a job out nor make their numbers be forgotten", async () => {
  const timers = new VirtualTimers();
  const drops = createDrops();
  const handled: number[] = [];
  const intake = new Intake({
    identity: self,
    store: createMemoryStore(),
    timers,
    log: silent,
    drops,
    handlerOf: (job) => (job === null ? undefined : ({ seq }) => void handled.push(seq)),
    acknowledge: () => undefined,
  });
  const content = encodeContent("m", 1);
  intake.take("0x0a", senderOf(1), target(1), content);
  for (let n = 0; n < MAX_SENDERS; n++) intake.take(null, senderOf(n), target(0), new Uint8Array());
  intake.take("0x0a", senderOf(2), target(1), content);
  expect(drops.snapshot()).toEqual({});
  timers.after(3_600_001, () => undefined);
  await timers.runUntil(() => false, 3_600_002);
  for (let n = 0; n < 10; n++) intake.take(null, senderOf(MAX_SENDERS + n), target(0), new Uint8Array());
  intake.take("0x0a", senderOf(1), target(1), content);
  await timers.runUntil(() => false, 1000);
  expect(handled, "what was recorded is not handled again").toEqual([1, 1]);
  expect(drops.snapshot()).toEqual({});
});
