import type { Hex } from "@skynet/protocol";
import { toHex } from "@skynet/protocol";
import { expect, it } from "vitest";
import { batchSecret, roundSecret } from "./blinding.ts";

const filled = (byte: string): Hex => `0x${byte.repeat(32)}`;
const node = new Uint8Array(32).fill(1);
const place = { jobId: filled("a1"), jobSeed: filled("b1"), round: 3, modelId: filled("c1") };
const secretOf = (change: Partial<typeof place> = {}, secret = node) => {
  const { jobId, modelId, ...rest } = { ...place, ...change };
  return toHex(roundSecret(secret, jobId, rest, modelId));
};

it("the secret of a round is the same after a restart, and another for every node, job, seed, round and model", () => {
  const secrets = [
    secretOf(),
    secretOf({}, node.with(0, 2)),
    secretOf({ jobId: filled("a2") }),
    secretOf({ jobSeed: filled("b2") }),
    secretOf({ round: 4 }),
    secretOf({ modelId: filled("c2") }),
    toHex(batchSecret(node, 3)),
    toHex(batchSecret(node.with(0, 2), 3)),
  ];
  expect(secretOf()).toBe(secrets[0]);
  expect(new Set(secrets).size).toBe(secrets.length);
  for (const secret of secrets) expect(secret).toMatch(/^0x[0-9a-f]{64}$/);
});
