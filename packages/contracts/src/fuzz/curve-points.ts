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

/** 64 bytes of the point as digits. */
function pointWords(factor: bigint): string {
  let point = known.get(factor);
  if (point !== undefined) return point;
  if (factor === 0n) point = words(0, 0);
  else {
    const { x, y } = bn254.G1.Point.BASE.multiply(factor).toAffine();
    point = words(x, y);
  }
  if (known.size > 20_000) known.clear();
  known.set(factor, point);
  return point;
}

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
