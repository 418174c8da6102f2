import { merkleRoot, toHex } from "@skynet/protocol";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { batchLeaf, cutBatches } from "./batches.ts";
import { shuffledOrder } from "./shuffle.ts";
import { allBatches, rowsOf } from "./testing.ts";

const seed = Uint8Array.of(1, 2, 3);

test("the shuffled order is a permutation that depends on the seed only", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.uint8Array({ maxLength: 40 }), (count, anySeed) => {
      const order = shuffledOrder(count, anySeed);
      expect(order).toEqual(shuffledOrder(count, anySeed));
      expect([...order].toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    }),
    { seed: 1 },
  );
  expect(shuffledOrder(100, Uint8Array.of(1))).not.toEqual(shuffledOrder(100, Uint8Array.of(2)));
});

test("the shuffled order does not change between versions", () => {
  expect([...shuffledOrder(10, seed)]).toMatchInlineSnapshot(`
    [
      9,
      0,
      3,
      5,
      4,
      6,
      8,
      7,
      2,
      1,
    ]
  `);
});

test("60,000 samples make 469 full batches that use every sample", async () => {
  const count = 60_000;
  const x = Int8Array.from({ length: count }, (_, i) => i % 127);
  const y = Uint8Array.from({ length: count }, (_, i) => i % 251);
  const batches = await allBatches(cutBatches(rowsOf(x, y), 1, 128));
  expect(batches).toHaveLength(469);
  const all = batches.flatMap((batch) => Array.from(batch.y, (label, i) => label * 128 + batch.x[i]!));
  expect(all).toHaveLength(469 * 128);
  expect(all.slice(count)).toEqual(all.slice(0, 32));
  expect(all.slice(0, count)).toEqual(Array.from(y, (label, i) => label * 128 + x[i]!));
});

test("the root of a small dataset does not change between versions", async () => {
  const x = Int8Array.from({ length: 60 }, (_, i) => (i * 7) % 40);
  const y = Uint8Array.from({ length: 10 }, (_, i) => i % 3);
  const leaves = (await allBatches(cutBatches(rowsOf(x, y), 6, 4))).map((batch) => batchLeaf(batch, 6));
  expect(toHex(merkleRoot(leaves))).toMatchInlineSnapshot(
    `"0x48eb9eedd495e1166b7ab4758b36765feea93b6dd1b902cd96c59d5f248134bc"`,
  );
});

test.each([
  ["no samples", 0, 1],
  ["too large a batch", 2, 3],
  ["an empty batch", 2, 0],
])("%s: refused", (_name, count, batchSize) => {
  const rows = rowsOf(new Int8Array(count), new Uint8Array(count));
  expect(() => cutBatches(rows, 1, batchSize)).toThrow(expect.objectContaining({ code: "BadDataset" }));
});
