import { expect, test } from "vitest";
import { ipfsFuzzers } from "./fuzz.ts";

test.each(Object.entries(ipfsFuzzers))("%s that somebody has changed", async (_name, fuzz) => {
  const outcomes = await fuzz({ count: 200, seed: 1 });
  expect(Object.values(outcomes).reduce((sum, value) => Number(sum) + Number(value), 0)).toBeGreaterThan(150);
});
