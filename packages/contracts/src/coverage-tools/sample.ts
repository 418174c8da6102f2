// A sample of the fuzzer for the coverage of the contracts: as many calls as this chain plays in half a minute.
import { expect, test } from "vitest";
import { runCampaign } from "../fuzz/campaign.ts";

test("random calls of all contracts", async () => {
  const { calls } = await runCampaign({ calls: 12_000, seed: 1 });
  expect(calls).toBe(12_000);
});
