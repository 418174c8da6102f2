// Weights of the fuzz tests: multiples of the generator whose factors are known, so that averages cost one
// multiplication.
import { bn254 } from "@noble/curves/bn254.js";
import { committedId, fromHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { CURVE_ORDER, inverseScalar } from "../test-curve.ts";
import { hashText, words } from "./words.ts";

/** Factors of the points of a model, one per block. */
export type Weights = readonly bigint[];

const known = new Map<bigint, string>();
const factors = new Map<string, bigint>();

/** 64 bytes of the point as digits. */
export function pointWords(factor: bigint): string {
  let point = known.get(factor);
  if (point !== undefined) return point;
  if (factor === 0n) point = words(0, 0);
  else {
    const { x, y } = bn254.G1.Point.BASE.multiplyUnsafe(factor).toAffine();
    point = words(x, y);
    factors.set(point, factor);
  }
  known.set(factor, point);
  return point;
}

/** Coordinates of a point. */
export function pointOf(factor: bigint): readonly [bigint, bigint] {
  const digits = pointWords(factor);
  return [BigInt(`0x${digits.slice(0, 64)}`), BigInt(`0x${digits.slice(64)}`)];
}

/** Factor of a point that was made here; undefined for infinity and for what is no point. */
export const factorOf = (x: bigint, y: bigint): bigint | undefined => factors.get(words(x, y));

export const pointsOf = (weights: Weights): Hex => `0x${weights.map(pointWords).join("")}`;

export const idOfPoints = (tag: Hex, points: Hex): Hex => committedId(tag, fromHex(points));

/** Weights that follow from a name. */
export const namedWeights = (name: string, blocks: number): Weights =>
  Array.from({ length: blocks }, (_, block) => BigInt(hashText(`${name} ${block}`)) % CURVE_ORDER);

/** (sum + (N - n) base) / N, block by block. */
export function averageWeights(base: Weights, updates: readonly Weights[], nominal: number): Weights {
  const inverse = inverseScalar(BigInt(nominal));
  const missing = BigInt(nominal - updates.length);
  return base.map((own, block) => {
    const sum = updates.reduce((total, update) => total + update[block]!, own * missing);
    return (sum * inverse) % CURVE_ORDER;
  });
}
