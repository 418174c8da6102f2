import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Hex } from "@skynet/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Budget } from "./budget.ts";

const id = (name: string): Hex => `0x${Buffer.from(name.padEnd(32)).toString("hex")}`;
const limits = { dayGas: 1000n, jobGas: 600n, workerGas: 300n, newcomerGas: 50n };
const DAY_MS = 86_400_000;
let folder: string;

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-budget-"));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

test("what is reserved counts until it is settled, once; each limit holds for itself", async () => {
  const budget = await Budget.open(path.join(folder, "limits.json"), limits);
  const [job, other] = [id("job"), id("other")];
  const settle = budget.reserve({ worker: id("a"), job: job }, 300n);
  expect(() => budget.reserve({ worker: id("a"), job: job }, 1n)).toThrow("of the worker");
  settle(100n);
  settle(0n);
  expect(budget.spentToday).toBe(100n);
  budget.reserve({ worker: id("a"), job: job }, 200n);
  budget.reserve({ worker: id("b"), job: job }, 300n);
  expect(() => budget.reserve({ worker: id("c"), job: job }, 1n)).toThrow("of the job");
  budget.reserve({ worker: id("a"), job: other }, 300n);
  expect(() => budget.reserve({ worker: id("c"), job: other }, 101n)).toThrow("of this day");
});

test("the day's part begins anew at midnight, the job's does not; both survive a restart", async () => {
  let nowMs = 5 * DAY_MS - 1;
  const file = path.join(folder, "days.json");
  const open = () => Budget.open(file, limits, () => nowMs);
  const budget = await open();
  const late = budget.reserve({ worker: id("a"), job: id("job") }, 300n);
  await budget.save();
  const again = await open();
  expect(again.spentToday).toBe(300n);
  expect(() => again.reserve({ worker: id("a"), job: id("job") }, 1n)).toThrow("of the worker");
  nowMs += 1;
  expect(again.spentToday).toBe(0n);
  again.reserve({ worker: id("a"), job: id("job") }, 300n);
  expect(() => again.reserve({ worker: id("b"), job: id("job") }, 1n)).toThrow("of the job");
  // gas of yesterday's reservation is no part of today
  late(250n);
  expect(budget.spentToday).toBe(0n);
});

test("keys without a seat cannot spend what the seats need, however many they are; nor after a restart", async () => {
  const file = path.join(folder, "newcomers.json");
  const budget = await Budget.open(file, limits);
  const job = id("job");
  const newcomer = (name: string) => ({ worker: id(name), job, newcomerOf: 2 });
  const settle = budget.reserve(newcomer("a"), 50n);
  expect(() => budget.reserve(newcomer("a"), 1n)).toThrow("of a worker without a seat");
  settle(40n);
  budget.reserve(newcomer("b"), 50n);
  expect(() => budget.reserve(newcomer("c"), 11n)).toThrow("of the job for workers without a seat");
  await budget.save();
  const again = await Budget.open(file, limits);
  expect(again.spentToday).toBe(90n);
  expect(() => again.reserve(newcomer("c"), 11n)).toThrow("of the job for workers without a seat");
  // what `a` used before it had a seat is no part of what it may use afterwards
  for (const worker of [id("a"), id("d")]) again.reserve({ worker, job }, 300n);
  expect(() => again.reserve({ worker: id("e"), job }, 1n)).toThrow("of the job is spent");
  again.reserve(newcomer("c"), 10n);
});

test("the day's limit holds for newcomers and seats together", async () => {
  const budget = await Budget.open(path.join(folder, "together.json"), { ...limits, dayGas: 320n });
  const [worker, job] = [id("a"), id("job")];
  budget.reserve({ worker, job, newcomerOf: 2 }, 30n);
  expect(() => budget.reserve({ worker, job }, 300n)).toThrow("of this day");
  budget.reserve({ worker, job }, 290n);
});
