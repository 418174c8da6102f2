// Points between their encodings and the form of the kernels.
import { POINT_BYTES, type Point } from "../field/curve.ts";
import { Q } from "../field/fr.ts";
import type { ProofInstance } from "./kernels.ts";
import { Stack } from "./memory.ts";

/** 32-bit words of a point in kernel form: x, y, 9 limbs of 29 bits each, Montgomery form with R = 2^261. */
export const POINT_WORDS = 18;

const LIMBS = POINT_WORDS / 2;
const R = 1n << 261n;

/** How coordinates are given: plain integers, or Montgomery form with R = 2^256. */
export type CoordinateForm = "plain" | "montgomery256";

/** What to multiply by, in Montgomery multiplication, to reach the kernels' form. */
const factors: Record<CoordinateForm, bigint> = {
  plain: (R * R) % Q,
  montgomery256: (R << 5n) % Q,
};

/** What is wrong with a list of points. */
export interface BadPoints {
  readonly index: number;
  readonly problem: "a coordinate is not below the field's modulus" | "it is not on the curve";
}

/** Points in kernel form, one after the other. For long lists `decodePoints` is faster. */
export function kernelPoints(points: readonly Point[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(points.length * POINT_WORDS);
  points.forEach(({ x, y }, i) => {
    writeLimbs(words.subarray(i * POINT_WORDS), (x * R) % Q);
    writeLimbs(words.subarray(i * POINT_WORDS + LIMBS), (y * R) % Q);
  });
  return words;
}

export function writeLimbs(words: Uint32Array, value: bigint): void {
  for (let i = 0; i < LIMBS; i++) words[i] = Number((value >> BigInt(29 * i)) & 0x1fffffffn);
}

/** Coordinates of 32 bytes each, big-endian, to little-endian or back. */
export function reverseCoordinates(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const reversed = new Uint8Array(bytes.length);
  for (let start = 0; start < bytes.length; start += 32)
    for (let i = 0; i < 32; i++) reversed[start + i] = bytes[start + 31 - i]!;
  return reversed;
}

/**
 * Points in kernel form from little-endian coordinates of 32 bytes; all are checked to be reduced and on the curve
 * (or infinity, zeros).
 * @throws ProofError `OutOfMemory`
 */
export function decodePoints(
  instance: ProofInstance,
  bytes: Uint8Array,
  form: CoordinateForm,
): Uint32Array<ArrayBuffer> | BadPoints {
  const { kernels } = instance;
  const n = bytes.length / POINT_BYTES;
  const stack = new Stack(instance);
  const factor = stack.allocate(4 * LIMBS);
  const words = stack.allocate(bytes.length);
  const points = stack.allocate(n * POINT_WORDS * 4);
  writeLimbs(new Uint32Array(stack.buffer, factor, LIMBS), factors[form]);
  new Uint8Array(stack.buffer, words, bytes.length).set(bytes);
  const coordinate = kernels.pointsFromWords(points, words, factor, n);
  if (coordinate < 2 * n)
    return { index: Math.floor(coordinate / 2), problem: "a coordinate is not below the field's modulus" };
  const index = kernels.firstOffCurve(points, n);
  if (index < n) return { index, problem: "it is not on the curve" };
  return new Uint32Array(stack.buffer, points, n * POINT_WORDS).slice();
}

/** Little-endian coordinates of points in kernel form. @throws ProofError `OutOfMemory` */
export function encodePoints(instance: ProofInstance, points: Uint32Array): Uint8Array<ArrayBuffer> {
  const n = points.length / POINT_WORDS;
  const stack = new Stack(instance);
  const source = stack.allocate(points.byteLength);
  const words = stack.allocate(n * POINT_BYTES);
  new Uint32Array(stack.buffer, source, points.length).set(points);
  instance.kernels.pointsToWords(words, source, n);
  return new Uint8Array(stack.buffer, words, n * POINT_BYTES).slice();
}
