import { expect, test } from "vitest";
import { fuzzers } from "./fuzz.ts";

test("ten thousand random mutations of network messages crash nothing and change nothing", async () => {
  const report = await fuzzers["network-messages"]({ count: 10_000, seed: 1 });
  expect(report.targets).toBe(14);
  expect(report.refused).toMatchObject({ Malformed: expect.any(Number) as number });
});

test("two thousand mutated frames of every protocol crash no relay, leave nothing open, and honest nodes are served", async () => {
  const report = await fuzzers["network-frames"]({ count: 2000, seed: 1 });
  expect(report.kinds).toBeGreaterThanOrEqual(14);
  expect(report.unsent).toBeLessThan(300);
  expect(report.dropped).toMatchObject({ undecodable: expect.any(Number) as number });
});
