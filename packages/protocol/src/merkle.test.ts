import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalBytes } from "./bytes.ts";
import { merkleDepth, merklePath, merkleRoot, merkleRootFromPath } from "./merkle.ts";

const leaf = fc.uint8Array({ minLength: 32, maxLength: 32 });
const leaves = fc.array(leaf, { minLength: 1, maxLength: 40 });

describe("Merkle tree", () => {
  it("proves every leaf at its index", () => {
    fc.assert(
      fc.property(leaves, (all) => {
        const root = merkleRoot(all);
        for (const [i, own] of all.entries())
          expect(merkleRootFromPath(own, i, all.length, merklePath(all, i))).toEqual(root);
      }),
    );
  });

  it("binds the position: swapping two different leaves changes the root", () => {
    fc.assert(
      fc.property(leaves, fc.nat(), fc.nat(), (all, a, b) => {
        const [i, j] = [a % all.length, b % all.length];
        const swapped = [...all];
        [swapped[i], swapped[j]] = [all[j]!, all[i]!];
        expect(equalBytes(merkleRoot(swapped), merkleRoot(all))).toBe(equalBytes(all[i]!, all[j]!));
      }),
    );
  });

  it("binds the number of leaves", () => {
    fc.assert(
      fc.property(leaves, leaf, (all, more) => {
        expect(merkleRoot([...all, more])).not.toEqual(merkleRoot(all));
      }),
    );
  });

  it("refuses a path at another index, of another length or for another leaf", () => {
    const all = Array.from({ length: 5 }, (_, i) => new Uint8Array(32).fill(i));
    const root = merkleRoot(all);
    expect(merkleRootFromPath(all[2]!, 3, 5, merklePath(all, 2))).not.toEqual(root);
    expect(merkleRootFromPath(all[1]!, 2, 5, merklePath(all, 2))).not.toEqual(root);
    expect(() => merkleRootFromPath(all[2]!, 2, 5, merklePath(all, 2).slice(1))).toThrow("does not fit");
    expect(() => merklePath(all, 5)).toThrow("no leaf 5");
  });

  it("has depth ceil(log2(count)) and an all-zero root without leaves", () => {
    expect([1, 2, 3, 4, 5, 8, 9].map(merkleDepth)).toEqual([0, 1, 2, 2, 3, 3, 4]);
    expect(merkleRoot([])).toEqual(new Uint8Array(32));
  });
});
