// Blinders make commitments hide: C = sum_j T_j [tau^j] + rho H, with a uniform rho that only members of a job know.
import { concatBytes, keccak256, word } from "@skynet/protocol";
import { bn254 } from "@noble/curves/bn254.js";
import { DataError } from "../errors.ts";
import { add, isOnCurve, type Point, readWord } from "../field/curve.ts";
import { inverse, mod, P, power, Q } from "../field/fr.ts";

/** One scalar below p for each block of a commitment; zeros where nothing is hidden. */
export type Blinders = readonly bigint[];

export const BLINDER_BYTES = 32;

const text = new TextEncoder();

/**
 * The point H that carries blinders, by try and increment: the first x = keccak256(tag ‖ n) mod q on the curve, with the
 * even root. Nobody knows its logarithm to the base of the reference string.
 */
function findBlindingPoint(): Point {
  const tag = keccak256(text.encode("skynet/1/blinding point"));
  for (let n = 0n; ; n++) {
    const x = mod(readWord(keccak256(tag, word(n)), 0), Q);
    const root = power(x * x * x + 3n, (Q + 1n) / 4n, Q);
    const y = root % 2n === 0n ? root : Q - root;
    if (isOnCurve({ x, y })) return { x, y };
  }
}

export const BLINDING_POINT: Point = findBlindingPoint();

// A table for one fixed base: half the time of a multiplication.
const base = bn254.G1.Point.fromAffine(BLINDING_POINT).precompute(8);

/** C + rho H. */
export function blind(point: Point, blinder: bigint): Point {
  const scalar = mod(blinder);
  return scalar === 0n ? point : add(point, base.multiply(scalar).toAffine());
}

export const blindAll = (points: readonly Point[], blinders: Blinders): Point[] =>
  points.map((point, i) => blind(point, blinders[i]!));

export const noBlinders = (count: number): Blinders => Array<bigint>(count).fill(0n);

/**
 * Blinders of one commitment from a secret and its position: keccak256 as a pseudorandom function, 512 bits for each
 * block, so that the scalar is uniform up to 2^-256. A position must never be used for two different tensors.
 * @param secret at least 32 bytes
 * @param position what names the tensor, for example `["weights", step]`
 */
export function deriveBlinders(secret: Uint8Array, position: readonly (string | number)[], count: number): Blinders {
  if (secret.length < 32) throw new DataError("BadBlinders", "the secret of the blinders is shorter than 32 bytes");
  const place = keccak256(text.encode(JSON.stringify(position)));
  const key = keccak256(keccak256(text.encode("skynet/1/blinders")), secret, place);
  return Array.from({ length: count }, (_, i) => {
    const half = (n: number) => readWord(keccak256(key, word(BigInt(2 * i + n))), 0);
    return mod((half(0) << 256n) | half(1));
  });
}

/** 32 bytes each, big-endian. */
export const encodeBlinders = (blinders: Blinders): Uint8Array<ArrayBuffer> => concatBytes(...blinders.map(word));

/** @throws DataError `BadBlinders` for another length, or a number that is not below p */
export function decodeBlinders(bytes: Uint8Array, count: number): Blinders {
  if (bytes.length !== BLINDER_BYTES * count)
    throw new DataError("BadBlinders", `${bytes.length} bytes of blinders instead of ${BLINDER_BYTES * count}`);
  return Array.from({ length: count }, (_, i) => {
    const value = readWord(bytes, BLINDER_BYTES * i);
    if (value >= P) throw new DataError("BadBlinders", "a blinder is not below the field's modulus");
    return value;
  });
}

/** Blinders of `averageCommitments`: they add up like weights. */
export function averageBlinders(start: Blinders, updates: readonly Blinders[], nominal: number): Blinders {
  const share = inverse(BigInt(nominal));
  const missing = BigInt(nominal - updates.length);
  return start.map((own, block) =>
    mod(updates.reduce((sum, blinders) => sum + blinders[block]!, missing * own) * share),
  );
}
