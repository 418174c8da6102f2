import { bn254 } from "@noble/curves/bn254.js";
import { expect, test } from "vitest";
import {
  add,
  decodePoint,
  encodePoint,
  GENERATOR,
  GENERATOR_G2,
  INFINITY,
  isOnCurve,
  isPairingProductOne,
  isValidG2,
  multiply,
  multiplyG2,
  negate,
} from "./curve.ts";
import { inverse, mod, P, power, Q } from "./fr.ts";

const noble = (k: bigint) => bn254.G1.Point.BASE.multiply(k).toAffine();

test("field helpers agree with each other", () => {
  expect(mod(-1n)).toBe(P - 1n);
  for (const value of [1n, 2n, P - 1n, 123456789012345678901234567890n]) {
    expect((value * inverse(value)) % P).toBe(1n);
    expect(power(value, P - 2n)).toBe(inverse(value));
  }
  expect(inverse(0n)).toBe(0n);
  expect(inverse(3n, Q)).toBe(power(3n, Q - 2n, Q));
});

test("the group law covers doubling, cancellation and infinity", () => {
  expect(add(GENERATOR, GENERATOR)).toEqual(noble(2n));
  expect(add(noble(5n), noble(7n))).toEqual(noble(12n));
  expect(add(noble(5n), negate(noble(5n)))).toEqual(INFINITY);
  expect(add(INFINITY, noble(5n))).toEqual(noble(5n));
  expect(add(noble(5n), INFINITY)).toEqual(noble(5n));
  expect(multiply(GENERATOR, P)).toEqual(INFINITY);
  expect(multiply(GENERATOR, -3n)).toEqual(negate(noble(3n)));
  expect(multiply(INFINITY, 3n)).toEqual(INFINITY);
  expect(isOnCurve(noble(99n))).toBe(true);
  expect(isOnCurve({ x: 1n, y: 3n })).toBe(false);
  expect(isOnCurve({ x: 1n, y: Q + 2n })).toBe(false);
});

test("points have one encoding", () => {
  for (const point of [INFINITY, GENERATOR, noble(P - 5n)]) expect(decodePoint(encodePoint(point))).toEqual(point);
  const bad = (x: bigint, y: bigint) => () => decodePoint(encodePoint({ x, y }));
  const error = expect.objectContaining({ code: "BadPoint" });
  expect(bad(1n, 3n)).toThrow(error);
  expect(bad(1n + Q, 2n)).toThrow(error);
  expect(bad(1n, 2n + Q)).toThrow(error);
  expect(bad(Q, 0n)).toThrow(error);
  expect(bad(0n, 5n)).toThrow(error);
  expect(() => decodePoint(new Uint8Array(63))).toThrow(error);
});

test("pairings compare exponents, and points of the second group are checked", () => {
  const g2 = multiplyG2(GENERATOR_G2, 6n);
  const pairs = (k: bigint) => [
    { g1: noble(k), g2: GENERATOR_G2 },
    { g1: negate(noble(2n)), g2 },
  ];
  expect(isPairingProductOne(pairs(12n))).toBe(true);
  expect(isPairingProductOne(pairs(13n))).toBe(false);
  expect(isPairingProductOne([{ g1: INFINITY, g2 }])).toBe(true);
  expect(isPairingProductOne([])).toBe(true);
  expect(isValidG2(g2)).toBe(true);
  expect(isValidG2({ x: { c0: g2.x.c0 + Q, c1: g2.x.c1 }, y: g2.y })).toBe(false);
  expect(isValidG2({ x: g2.y, y: g2.x })).toBe(false);
  expect(isValidG2({ x: { c0: 0n, c1: 0n }, y: { c0: 0n, c1: 0n } })).toBe(false);
});

test("a point on the twist outside the subgroup is refused", () => {
  const { Fp2 } = bn254.fields;
  const b = Fp2.mul(Fp2.create({ c0: 3n, c1: 0n }), Fp2.inv(Fp2.create({ c0: 9n, c1: 1n })));
  for (let c0 = 1n; ; c0++) {
    const x = Fp2.create({ c0, c1: 0n });
    const square = Fp2.add(Fp2.mul(Fp2.sqr(x), x), b);
    let y;
    try {
      y = Fp2.sqrt(square);
    } catch {
      continue;
    }
    // The cofactor is about 2^254, so a random point lies in the subgroup with negligible probability.
    expect(isValidG2({ x, y })).toBe(false);
    return;
  }
});
