import { merkleRoot, toHex } from "@skynet/protocol";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { batchLeaf, buildBatches } from "./batches.ts";
import { shuffledOrder } from "./shuffle.ts";

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

test("60,000 samples make 469 full batches that use every sample", () => {
  const count = 60_000;
  const images = new Int8Array(count);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 251);
  for (let i = 0; i < count; i++) images[i] = i % 127;
  const batches = buildBatches({ images, labels, batchSize: 128, seed });
  expect(batches).toHaveLength(469);
  const all = batches.flatMap(({ x, y }) => Array.from(y, (label, i) => label * 128 + x[i]!));
  expect(all).toHaveLength(469 * 128);
  expect(all.slice(count)).toEqual(all.slice(0, 32));
  const expected = Array.from(labels, (label, i) => label * 128 + images[i]!).toSorted((a, b) => a - b);
  expect(all.slice(0, count).toSorted((a, b) => a - b)).toEqual(expected);
});

test("the root of a small dataset does not change between versions", () => {
  const images = Int8Array.from({ length: 60 }, (_, i) => (i * 7) % 40);
  const labels = Uint8Array.from({ length: 10 }, (_, i) => i % 3);
  const leaves = buildBatches({ images, labels, batchSize: 4, seed }).map((batch) => batchLeaf(batch, 6));
  expect(toHex(merkleRoot(leaves))).toMatchInlineSnapshot(
    `"0x4558121a44deed74afeaaea9f13c35b35cc5a2f0cb639950184a5802cb9e4098"`,
  );
});

test.each([
  ["no labels", new Int8Array(8), new Uint8Array(), 1],
  ["images that do not divide", new Int8Array(7), new Uint8Array(2), 1],
  ["too large a batch", new Int8Array(8), new Uint8Array(2), 3],
  ["an empty batch", new Int8Array(8), new Uint8Array(2), 0],
])("%s: refused", (_name, images, labels, batchSize) => {
  expect(() => buildBatches({ images, labels, batchSize, seed })).toThrow(
    expect.objectContaining({ code: "BadDataset" }),
  );
});
