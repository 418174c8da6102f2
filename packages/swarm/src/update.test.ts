import { DataError, deltaBytes, initialWeights } from "@skynet/proof";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { averageUpdates, decodeUpdate, encodeUpdate } from "./update.ts";
import { smallProgram } from "./simulation.ts";

const BLOCKS = 3;
/** Order of the curve's group. */
const P = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const program = smallProgram(4);
const base = initialWeights(program, new Uint8Array(32).fill(5));
const parameters = deltaBytes(program) / 4;

const word = (value: bigint) => Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex"));
const blinders = fc
  .array(fc.bigInt({ min: 0n, max: P - 1n }), { minLength: BLOCKS, maxLength: BLOCKS })
  .map((list) => Uint8Array.from(list.flatMap((value) => [...word(value)])));
const deltas = fc.array(fc.integer({ min: -(2 ** 24), max: 2 ** 24 }), {
  minLength: parameters,
  maxLength: parameters,
});

function changedBy(list: readonly number[]): Int32Array[] {
  let at = 0;
  return base.map((tensor) => tensor.map((value) => value + program.workers * list[at++]!));
}

const codeOf = (bytes: Uint8Array): string => {
  try {
    decodeUpdate(program, BLOCKS, base, bytes);
    return "ok";
  } catch (error) {
    if (error instanceof DataError) return error.code;
    throw error;
  }
};

describe("an update on the wire", () => {
  it("comes back as it was, with its blinders", () => {
    fc.assert(
      fc.property(deltas, blinders, (list, hidden) => {
        const updated = { weights: changedBy(list), blinders: hidden };
        const bytes = encodeUpdate(program, base, updated);
        expect(bytes).toHaveLength(4 * parameters + 32 * BLOCKS);
        expect(decodeUpdate(program, BLOCKS, base, bytes)).toEqual(updated);
      }),
    );
  });

  it("has one encoding: whatever bytes are taken are those that would be sent, the others are refused by name", () => {
    const sized = fc.uint8Array({ minLength: 4 * parameters + 32 * BLOCKS, maxLength: 4 * parameters + 32 * BLOCKS });
    // small numbers, so that some are taken
    const tame = fc.tuple(sized, fc.constantFrom(0, 0xff)).map(([bytes, high]) =>
      bytes.map((byte, i) => {
        if (i >= 4 * parameters) return (i - 4 * parameters) % 32 === 0 ? byte & 0x3f : byte;
        return i % 4 === 3 ? high : byte;
      }),
    );
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof(sized, tame, fc.uint8Array({ maxLength: 400 })), (bytes) => {
        const code = codeOf(bytes);
        expect(["ok", "BadDelta", "BadBlinders"]).toContain(code);
        if (code !== "ok") return;
        taken++;
        expect(encodeUpdate(program, base, decodeUpdate(program, BLOCKS, base, bytes))).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(10);
  });

  it("is refused with blinders of another length, or not below the field's modulus", () => {
    const good = encodeUpdate(program, base, { weights: base, blinders: new Uint8Array(32 * BLOCKS) });
    expect(codeOf(good)).toBe("ok");
    for (const length of [good.length - 1, good.length - 32, 4 * parameters])
      expect(codeOf(good.subarray(0, length))).toBe("BadBlinders");
    expect(codeOf(Uint8Array.from([...good, 0]))).toBe("BadBlinders");
    expect(codeOf(good.subarray(0, 4 * parameters - 1))).toBe("BadDelta");
    const withLast = (value: bigint) => Uint8Array.from([...good.subarray(0, -32), ...word(value)]);
    expect(codeOf(withLast(P - 1n))).toBe("ok");
    expect(codeOf(withLast(P))).toBe("BadBlinders");
    expect(codeOf(withLast(2n ** 256n - 1n))).toBe("BadBlinders");
  });

  it("has no blinders in quorum mode", () => {
    const bytes = encodeUpdate(program, base, { weights: base, blinders: new Uint8Array() });
    expect(bytes).toHaveLength(4 * parameters);
    expect(decodeUpdate(program, 0, base, bytes).blinders).toHaveLength(0);
    expect(() => decodeUpdate(program, 0, base, Uint8Array.from([...bytes, ...word(0n)]))).toThrow(
      expect.objectContaining({ code: "BadBlinders" }),
    );
  });

  it("counts a missing worker as one that stayed where it was, blinders included", () => {
    fc.assert(
      fc.property(blinders, blinders, (start, own) => {
        const from = { weights: base, blinders: start };
        const updates = [{ weights: base, blinders: own }];
        const stayed = [...updates, from, from, from];
        const { blinders: averaged } = averageUpdates(program, BLOCKS, from, updates);
        expect(averaged).toEqual(averageUpdates(program, BLOCKS, from, stayed).blinders);
      }),
      { numRuns: 20 },
    );
  });
});
