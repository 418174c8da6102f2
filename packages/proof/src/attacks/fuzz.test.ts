import { expect, test } from "vitest";
import { fuzzers } from "../fuzz.ts";

test("mutated proofs are refused in TypeScript and on chain", async () => {
  const { mutants } = await fuzzers["proof-mutations"]({ count: 100, seed: 7 });
  expect(mutants).toBe(100);
});

test("chains of two steps of random shapes are proved", async () => {
  const report = await fuzzers["proof-shapes"]({ count: 3, seed: 7 });
  expect(report["proofs"]).toBeGreaterThan(3);
  expect(report["references"]).toBeGreaterThan(0);
});
