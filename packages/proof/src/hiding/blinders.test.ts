import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { add, equalPoints, isOnCurve, multiply, type Point } from "../field/curve.ts";
import { mod, P } from "../field/fr.ts";
import {
  averageBlinders,
  blind,
  blindAll,
  BLINDING_POINT,
  decodeBlinders,
  deriveBlinders,
  encodeBlinders,
} from "./blinders.ts";
import { averageCommitments } from "../merge.ts";

const scalar = fc.bigInt({ min: 0n, max: P - 1n });
const secret = new Uint8Array(32).fill(7);

test("the blinding point is on the curve and not the generator's", () => {
  expect(isOnCurve(BLINDING_POINT)).toBe(true);
  expect(BLINDING_POINT.x).not.toBe(1n);
});

test("a blinder adds its multiple of the blinding point", () => {
  fc.assert(
    fc.property(scalar, scalar, (k, rho) => {
      const point = multiply({ x: 1n, y: 2n }, k);
      expect(equalPoints(blind(point, rho), add(point, multiply(BLINDING_POINT, rho)))).toBe(true);
    }),
    { numRuns: 20 },
  );
});

describe("derived blinders", () => {
  test("are the same for the same secret and position, and differ in everything else", () => {
    const own = deriveBlinders(secret, ["weights", 3], 4);
    expect(deriveBlinders(secret, ["weights", 3], 4)).toEqual(own);
    expect(deriveBlinders(secret, ["weights", 3], 2)).toEqual(own.slice(0, 2));
    const others = [
      deriveBlinders(secret, ["weights", 4], 4),
      deriveBlinders(secret, ["batch", 3], 4),
      deriveBlinders(secret, ["weights3"], 4),
      deriveBlinders(secret.with(0, 1), ["weights", 3], 4),
    ];
    const all = [own, ...others].flat();
    expect(new Set(all).size).toBe(all.length);
  });

  test("refuse a short secret", () => {
    expect(() => deriveBlinders(new Uint8Array(16), [], 1)).toThrow(expect.objectContaining({ code: "BadBlinders" }));
  });
});

test("bytes and blinders have one form each", () => {
  fc.assert(
    fc.property(fc.array(scalar, { maxLength: 5 }), (blinders) => {
      expect(decodeBlinders(encodeBlinders(blinders), blinders.length)).toEqual(blinders);
    }),
  );
  const code = expect.objectContaining({ code: "BadBlinders" });
  expect(() => decodeBlinders(new Uint8Array(33), 1)).toThrow(code);
  expect(() => decodeBlinders(encodeBlinders([1n]), 2)).toThrow(code);
  expect(() => decodeBlinders(new Uint8Array(32).fill(255), 1)).toThrow(code);
});

test("averaged blinders open the averaged commitments, also when a worker dropped out", () => {
  const points = (k: bigint): Point[] => [multiply({ x: 1n, y: 2n }, k), multiply({ x: 1n, y: 2n }, k + 5n)];
  const start = [11n, 12n];
  const updates = [
    [21n, 22n],
    [P - 1n, 32n],
    [41n, 0n],
  ];
  const hidden = averageCommitments(
    blindAll(points(3n), start),
    updates.map((blinders, i) => blindAll(points(BigInt(i)), blinders)),
    4,
  );
  const plain = averageCommitments(
    points(3n),
    updates.map((_, i) => points(BigInt(i))),
    4,
  );
  expect(blindAll(plain, averageBlinders(start, updates, 4))).toEqual(hidden);
  expect(averageBlinders(start, [], 4).map((value) => mod(value))).toEqual(start);
});
