// BN254 in plain BigInt arithmetic, for tests: independent of the chain's precompiles.
import type { Hex } from "@skynet/protocol";

const FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
export const CURVE_ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

export const infinity: Point = { x: 0n, y: 0n };
export const generator: Point = { x: 1n, y: 2n };

const mod = (value: bigint) => ((value % FIELD) + FIELD) % FIELD;

/** Extended Euclid; 0 has no inverse. */
function invert(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [((value % modulus) + modulus) % modulus, modulus, 1n, 0n];
  while (b > 0n) {
    const quotient = a / b;
    [a, b, x, y] = [b, a - quotient * b, y, x - quotient * y];
  }
  return ((x % modulus) + modulus) % modulus;
}

const inverse = (value: bigint) => invert(value, FIELD);
const isInfinity = ({ x, y }: Point) => x === 0n && y === 0n;

export const negate = (p: Point): Point => (isInfinity(p) ? p : { x: p.x, y: mod(-p.y) });

export function addPoints(p: Point, q: Point): Point {
  if (isInfinity(p)) return q;
  if (isInfinity(q)) return p;
  if (p.x === q.x && mod(p.y + q.y) === 0n) return infinity;
  const slope = p.x === q.x ? mod(3n * p.x * p.x * inverse(2n * p.y)) : mod((q.y - p.y) * inverse(q.x - p.x));
  const x = mod(slope * slope - p.x - q.x);
  return { x, y: mod(slope * (p.x - x) - p.y) };
}

export function multiplyPoint(p: Point, scalar: bigint): Point {
  let [result, double] = [infinity, p];
  for (let rest = scalar % CURVE_ORDER; rest > 0n; rest >>= 1n, double = addPoints(double, double))
    if (rest & 1n) result = addPoints(result, double);
  return result;
}

/** 1 / value modulo the order of the group. */
export const inverseScalar = (value: bigint) => invert(value, CURVE_ORDER);

const hexWord = (value: bigint) => value.toString(16).padStart(64, "0");

/** 64 bytes for each point. */
export const encodePoints = (points: readonly Point[]): Hex =>
  `0x${points.map(({ x, y }) => hexWord(x) + hexWord(y)).join("")}`;
