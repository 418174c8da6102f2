import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Hex } from "@skynet/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Budget } from "./budget.ts";

const id = (name: string): Hex => `0x${Buffer.from(name.padEnd(32)).toString("hex")}`;
const limits = { dayGas: 1000n, jobGas: 600n, workerGas: 300n };
const DAY_MS = 86_400_000;
let folder: string;

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-budget-"));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

test("what is reserved counts until it is settled, once; each limit holds for itself", async () => {
  const budget = await Budget.open(path.join(folder, "limits.json"), limits);
  const [job, other] = [id("job"), id("other")];
  const settle = budget.reserve(id("a"), job, 300n);
  expect(() => budget.reserve(id("a"), job, 1n)).toThrow("of the worker");
  settle(100n);
  settle(0n);
  expect(budget.spentToday).toBe(100n);
  budget.reserve(id("a"), job, 200n);
  budget.reserve(id("b"), job, 300n);
  expect(() => budget.reserve(id("c"), job, 1n)).toThrow("of the job");
  budget.reserve(id("a"), other, 300n);
  expect(() => budget.reserve(id("c"), other, 101n)).toThrow("of this day");
});

test("the day's part begins anew at midnight, the job's does not; both survive a restart", async () => {
  let nowMs = 5 * DAY_MS - 1;
  const file = path.join(folder, "days.json");
  const open = () => Budget.open(file, limits, () => nowMs);
  const budget = await open();
  const late = budget.reserve(id("a"), id("job"), 300n);
  await budget.save();
  const again = await open();
  expect(again.spentToday).toBe(300n);
  expect(() => again.reserve(id("a"), id("job"), 1n)).toThrow("of the worker");
  nowMs += 1;
  expect(again.spentToday).toBe(0n);
  again.reserve(id("a"), id("job"), 300n);
  expect(() => again.reserve(id("b"), id("job"), 1n)).toThrow("of the job");
  // gas of yesterday's reservation is no part of today
  late(250n);
  expect(budget.spentToday).toBe(0n);
});
