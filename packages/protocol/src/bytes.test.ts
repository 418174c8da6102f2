import { getHashes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keccak256, portableKeccak256, toHex } from "./bytes.ts";

describe("keccak256", () => {
  it("is Ethereum's hash, not SHA-3", () => {
    expect(toHex(keccak256())).toBe("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  });

  it("is Node's own in Node", () => {
    expect(getHashes()).toContain("keccak-256");
  });

  it("is the same in Node and in browsers, in however many parts", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), (parts) => {
        expect(keccak256(...parts)).toEqual(portableKeccak256(...parts));
        expect(keccak256(...parts)).toEqual(keccak256(Buffer.concat(parts)));
      }),
    );
  });
});
