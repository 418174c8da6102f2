import { expect, test } from "vitest";
import { crashWriters } from "./crashes.ts";

test("a process that is killed while it writes and collects leaves whole blocks, and all that it has said to keep", async () => {
  const { crashes, puts } = await crashWriters({ count: 4, seed: 7 });
  expect(crashes).toBe(4);
  expect(puts).toBeGreaterThan(0);
}, 60_000);
