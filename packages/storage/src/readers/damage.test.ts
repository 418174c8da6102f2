import { expect, test } from "vitest";
import { damageFiles } from "./damage.ts";

test("damaged files are read or refused with an error of ours, and nothing is written", async () => {
  const { refused } = await damageFiles({ count: 180, seed: 1 });
  expect(refused).toBeGreaterThan(50);
});
