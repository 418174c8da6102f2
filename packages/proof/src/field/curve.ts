// The groups of BN254 (EIP-196, EIP-197) in BigInt: for single points, not for many. Not constant-time, except
// `multiplySecret`: nothing else here is secret.
import { bn254 } from "@noble/curves/bn254.js";
import { ProofError } from "../errors.ts";
import { inverse, mod, P, Q } from "./fr.ts";

/** An affine point of the first group y^2 = x^3 + 3, which has order p; infinity is x = y = 0. */
export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

/** An affine point of the second group, coordinates c0 + c1 i in Fq[i]/(i^2 + 1). */
export interface PointG2 {
  readonly x: { readonly c0: bigint; readonly c1: bigint };
  readonly y: { readonly c0: bigint; readonly c1: bigint };
}

export const INFINITY: Point = { x: 0n, y: 0n };
export const GENERATOR: Point = { x: 1n, y: 2n };
export const GENERATOR_G2: PointG2 = bn254.G2.Point.BASE.toAffine();

/** Bytes of an encoded point. */
export const POINT_BYTES = 64;

export const isInfinity = ({ x, y }: Point): boolean => x === 0n && y === 0n;

export const equalPoints = (a: Point, b: Point): boolean => a.x === b.x && a.y === b.y;

/** Whether the coordinates are reduced and satisfy the equation, or the point is infinity. */
export function isOnCurve({ x, y }: Point): boolean {
  if (x < 0n || y < 0n || x >= Q || y >= Q) return false;
  return (x === 0n && y === 0n) || mod(y * y - x * x * x - 3n, Q) === 0n;
}

export const negate = ({ x, y }: Point): Point => ({ x, y: mod(-y, Q) });

/** a + b of points on the curve. */
export function add(a: Point, b: Point): Point {
  if (isInfinity(a)) return b;
  if (isInfinity(b)) return a;
  if (a.x === b.x && a.y !== b.y) return INFINITY;
  const slope = a.x === b.x ? 3n * a.x * a.x * inverse(2n * a.y, Q) : (b.y - a.y) * inverse(mod(b.x - a.x, Q), Q);
  const x = mod(slope * slope - a.x - b.x, Q);
  return { x, y: mod(slope * (a.x - x) - a.y, Q) };
}

/** k point for any integer k. */
export function multiply(point: Point, k: bigint): Point {
  const scalar = mod(k);
  if (scalar === 0n || isInfinity(point)) return INFINITY;
  return bn254.G1.Point.fromAffine(point).multiplyUnsafe(scalar).toAffine();
}

/** k point in constant time, for a secret k from 1 to p - 1. */
export function multiplySecret(point: Point, k: bigint): Point {
  return bn254.G1.Point.fromAffine(point).multiply(k).toAffine();
}

/** x then y, 32 bytes each, big-endian: the form of the EVM's precompiled contracts. */
export function encodePoint({ x, y }: Point): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(POINT_BYTES);
  writeWord(bytes, 0, x);
  writeWord(bytes, 32, y);
  return bytes;
}

/**
 * The point that 64 bytes stand for; exactly one encoding per point is accepted.
 * @throws ProofError `BadPoint`
 */
export function decodePoint(bytes: Uint8Array): Point {
  if (bytes.length !== POINT_BYTES) throw new ProofError("BadPoint", `a point of ${bytes.length} bytes, not 64`);
  const point = { x: readWord(bytes, 0), y: readWord(bytes, 32) };
  if (point.x >= Q || point.y >= Q) throw new ProofError("BadPoint", "a coordinate is not below the field's modulus");
  if (!isOnCurve(point)) throw new ProofError("BadPoint", "the point is not on the curve");
  return point;
}

/** Writes a non-negative integer below 2^256 as 32 bytes, big-endian. */
export function writeWord(bytes: Uint8Array, offset: number, value: bigint): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 32);
  for (let i = 0; i < 4; i++) view.setBigUint64(24 - 8 * i, BigInt.asUintN(64, value >> BigInt(64 * i)));
}

export function readWord(bytes: Uint8Array, offset: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 32);
  let value = 0n;
  for (let i = 0; i < 4; i++) value = (value << 64n) | view.getBigUint64(8 * i);
  return value;
}

/** Whether the coordinates are reduced, the point is on the curve, in the subgroup of order p, and not infinity. */
export function isValidG2({ x, y }: PointG2): boolean {
  if ([x.c0, x.c1, y.c0, y.c1].some((value) => value < 0n || value >= Q)) return false;
  try {
    const point = bn254.G2.Point.fromAffine({ x: fq2(x), y: fq2(y) });
    point.assertValidity();
    return !point.is0();
  } catch {
    return false;
  }
}

/** k times a valid point of the second group, k not 0 mod p. */
export function multiplyG2(point: PointG2, k: bigint): PointG2 {
  return bn254.G2.Point.fromAffine({ x: fq2(point.x), y: fq2(point.y) })
    .multiply(mod(k, P))
    .toAffine();
}

/** Whether the product of the pairings e(a, b) is 1. All points must be valid. */
export function isPairingProductOne(pairs: readonly { readonly g1: Point; readonly g2: PointG2 }[]): boolean {
  const points = pairs
    .filter(({ g1 }) => !isInfinity(g1))
    .map(({ g1, g2 }) => ({
      g1: bn254.G1.Point.fromAffine(g1),
      g2: bn254.G2.Point.fromAffine({ x: fq2(g2.x), y: fq2(g2.y) }),
    }));
  if (points.length === 0) return true;
  const { Fp12 } = bn254.fields;
  return Fp12.eql(bn254.pairingBatch(points), Fp12.ONE);
}

const fq2 = ({ c0, c1 }: { c0: bigint; c1: bigint }) => bn254.fields.Fp2.create({ c0, c1 });
