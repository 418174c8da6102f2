import { beforeEach, expect, test } from "vitest";
import type { Address, JobSnapshot } from "./ports.ts";
import { Announcements } from "./round-tools.ts";

const [alice, bob, carol] = ["0xa1", "0xb2", "0xc3"] as const satisfies Address[];
const during = (round: number) => ({ phase: "PROVE", round }) as JobSnapshot;
let nowMs: number;
let logged: Record<string, unknown>[];
let announcements: Announcements;
/** Whom each call was for. */
let calls: (readonly Address[])[];

beforeEach(() => {
  nowMs = 0;
  logged = [];
  calls = [];
  const clock = { nowMs: () => nowMs, sleep: async () => undefined };
  const none = () => undefined;
  announcements = new Announcements(clock, { info: none, warn: none, debug: (fields) => void logged.push(fields) });
  announcements.follow(during(1));
});

/** Says it if it is due, and waits for what comes of it. */
async function say(heardBy: readonly Address[] | Error, to: readonly Address[] = [alice, bob, carol]): Promise<void> {
  announcements.once("attest/1", to, async (missing) => {
    calls.push(missing);
    if (heardBy instanceof Error) throw heardBy;
    return heardBy.filter((address) => missing.includes(address));
  });
  await new Promise((resolve) => setImmediate(resolve));
}

test("what all have confirmed is said once", async () => {
  await say([alice, bob, carol]);
  nowMs = 1e6;
  await say([]);
  expect(calls).toEqual([[alice, bob, carol]]);
  expect(logged).toEqual([]);
});

test("what nobody confirmed is said again, after 2, 4, ... 30 s, to those that miss it", async () => {
  await say([]);
  expect(logged).toEqual([{ name: "attest/1", left: [alice, bob, carol], error: undefined }]);
  nowMs = 1999;
  await say([]);
  expect(calls).toHaveLength(1);
  nowMs = 2000;
  await say([alice]);
  nowMs = 5999;
  await say([]);
  expect(calls).toHaveLength(2);
  nowMs = 6000;
  await say([bob]);
  for (nowMs = 14_000; nowMs < 200_000; nowMs += 30_000) await say([]);
  await say([carol]);
  nowMs = 1e6;
  await say([]);
  expect(calls.slice(0, 4)).toEqual([[alice, bob, carol], [alice, bob, carol], [bob, carol], [carol]]);
  expect(calls.length).toBeGreaterThanOrEqual(9);
});

test("a failure is tried again", async () => {
  await say(new Error("the queue is full"));
  expect(logged).toMatchObject([{ error: "Error: the queue is full" }]);
  nowMs = 2000;
  await say([alice, bob, carol]);
  expect(calls).toHaveLength(2);
});

test("who has left the job is not waited for, and the next round begins anew", async () => {
  await say([alice, bob]);
  nowMs = 10_000;
  await say([], [alice, bob]);
  expect(calls).toHaveLength(1);
  announcements.follow(during(2));
  await say([alice, bob], [alice, bob]);
  expect(calls).toHaveLength(2);
});
