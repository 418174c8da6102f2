import { makeJobVectors } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assertSameTrace, fuzzers } from "./fuzz.ts";
import { createHarness } from "./harness.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";

let chain: TestChain;
let play: Awaited<ReturnType<typeof createHarness>>;

beforeAll(async () => {
  chain = await startTestChain(1);
  play = await createHarness(chain.anvil.rpcUrl, testKey(0));
});
afterAll(() => chain.stop());

describe("the Solidity machine", () => {
  for (const [file, vectors] of Object.entries(makeJobVectors())) {
    test(`passes the vectors of ${file}.json`, async () => {
      for (const { name, spec, error, steps } of vectors) {
        const run = await play(
          spec,
          steps.map(({ event }) => event),
        );
        expect(run.posted.error, name).toBe(error);
        assertSameTrace(spec, steps, run);
      }
    });
  }

  test("agrees with the TypeScript machine on random traces", async () => {
    const { traces } = await fuzzers["job-machine"]!({ count: 150, seed: 3 });
    expect(traces).toBe(150);
  });
});
