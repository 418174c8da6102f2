// The first group of BN254, y^2 = x^3 + 3 over Fq. The group has prime order, so no point has x = 0 or y = 0: an affine
// point is two elements x, y (72 bytes) and infinity is x = y = 0. A Jacobian point is three elements X, Y, Z (108 bytes)
// with x = X / Z^2, y = Y / Z^3, and Z = 0 at infinity.
// Formulas: Cohen, Frey et al., "Handbook of Elliptic and Hyperelliptic Curve Cryptography" (2005), section 13.2.
import { fqMultiply, fqSquare, fqAdd, fqSubtract, fqReduce, fqIsZero, fqInverse, FQ_ONE, FQ_WORDS } from "../../../build/field";
import { E, copyElement, packWords, unpackWords } from "./vector";

/** Bytes of an affine point, of a Jacobian point. */
export const AFFINE: usize = 2 * E;
export const JACOBIAN: usize = 3 * E;

const UNIT = memory.data<u32>([1, 0, 0, 0, 0, 0, 0, 0, 0]);
const ZERO = memory.data(36);
const THREE = memory.data(36);
const A = memory.data(36), B = memory.data(36), C = memory.data(36), D = memory.data(36), F = memory.data(36);
const G = memory.data(36), H = memory.data(36), S = memory.data(36), V = memory.data(36), R = memory.data(36);

/** p = 2 p */
export function double(p: usize): void {
  fqSquare(A, p);
  fqSquare(B, p + E);
  fqSquare(C, B);
  fqAdd(D, p, B);
  fqSquare(D, D);
  fqSubtract(D, D, A);
  fqSubtract(D, D, C);
  fqAdd(D, D, D);
  fqAdd(F, A, A);
  fqAdd(F, F, A);
  fqMultiply(p + 2 * E, p + 2 * E, p + E);
  fqAdd(p + 2 * E, p + 2 * E, p + 2 * E);
  fqSquare(G, F);
  fqSubtract(G, G, D);
  fqSubtract(p, G, D);
  fqSubtract(D, D, p);
  fqMultiply(F, F, D);
  fqAdd(C, C, C);
  fqAdd(C, C, C);
  fqAdd(C, C, C);
  fqSubtract(p + E, F, C);
}

/** p is X1, Y1 with H = x2 - x1 and R = y2 - y1 (all scaled); completes p = p + q with Z3 = z H. */
function finishAddition(p: usize, x1: usize, y1: usize, z: usize): void {
  if (fqIsZero(H)) {
    if (fqIsZero(R)) double(p);
    else memory.fill(p, 0, JACOBIAN);
    return;
  }
  fqSquare(A, H);
  fqMultiply(B, A, H);
  fqMultiply(V, x1, A);
  fqMultiply(S, y1, B);
  fqMultiply(p + 2 * E, z, H);
  fqSquare(p, R);
  fqSubtract(p, p, B);
  fqSubtract(p, p, V);
  fqSubtract(p, p, V);
  fqSubtract(V, V, p);
  fqMultiply(V, V, R);
  fqSubtract(p + E, V, S);
}

/** p = p + q for Jacobian points at different places. */
export function addJacobian(p: usize, q: usize): void {
  if (fqIsZero(q + 2 * E)) return;
  if (fqIsZero(p + 2 * E)) {
    memory.copy(p, q, JACOBIAN);
    return;
  }
  fqSquare(A, p + 2 * E);
  fqSquare(B, q + 2 * E);
  fqMultiply(C, p, B);
  fqMultiply(H, q, A);
  fqSubtract(H, H, C);
  fqMultiply(D, p + E, B);
  fqMultiply(D, D, q + 2 * E);
  fqMultiply(R, q + E, A);
  fqMultiply(R, R, p + 2 * E);
  fqSubtract(R, R, D);
  fqMultiply(F, p + 2 * E, q + 2 * E);
  finishAddition(p, C, D, F);
}

/** p = p + q, or p - q when `negative`, for a Jacobian p and an affine q that is not infinity. */
export function addAffine(p: usize, q: usize, negative: bool): void {
  if (negative) fqSubtract(G, ZERO, q + E);
  else copyElement(G, q + E);
  if (fqIsZero(p + 2 * E)) {
    copyElement(p, q);
    copyElement(p + E, G);
    copyElement(p + 2 * E, FQ_ONE);
    return;
  }
  fqSquare(A, p + 2 * E);
  fqMultiply(H, q, A);
  fqSubtract(H, H, p);
  fqMultiply(R, G, A);
  fqMultiply(R, R, p + 2 * E);
  fqSubtract(R, R, p + E);
  copyElement(C, p);
  copyElement(D, p + E);
  copyElement(F, p + 2 * E);
  finishAddition(p, C, D, F);
}

/** Z = coordinates x, y below q as 16 u32 words of a Jacobian point; zeros at infinity. */
export function toAffineWords(z: usize, p: usize): void {
  fqInverse(A, p + 2 * E);
  fqSquare(B, A);
  fqMultiply(C, p, B);
  fqMultiply(D, p + E, B);
  fqMultiply(D, D, A);
  coordinateToWords(z, C);
  coordinateToWords(z + 32, D);
}

function coordinateToWords(z: usize, x: usize): void {
  fqMultiply(A, x, UNIT);
  fqReduce(A, A);
  packWords(z, A);
}

/** Affine points -> coordinates below q, 16 u32 words per point. */
export function pointsToWords(z: usize, points: usize, n: i32): void {
  for (let i = 0; i < 2 * n; i++) {
    coordinateToWords(z, points);
    z += 32;
    points += E;
  }
}

/**
 * 2n coordinates of 8 u32 words -> n affine points, all below q: z = words factor / R. The factor R^2 mod q takes plain
 * coordinates, R^2 / 2^256 those in Montgomery form with 2^256. Regions must not overlap.
 * @returns the index of the first coordinate that is not below q, or 2n
 */
export function pointsFromWords(points: usize, words: usize, factor: usize, n: i32): i32 {
  for (let i = 0; i < 2 * n; i++) {
    if (!isReduced(words)) return i;
    unpackWords(points, words);
    fqMultiply(points, points, factor);
    fqReduce(points, points);
    points += E;
    words += 32;
  }
  return 2 * n;
}

/** Whether 8 u32 words are below q. */
function isReduced(words: usize): bool {
  for (let i: usize = 32; i > 0; i -= 4) {
    const word = load<u32>(words + i - 4);
    const limit = load<u32>(FQ_WORDS + i - 4);
    if (word != limit) return word < limit;
  }
  return false;
}

/** The index of the first of n affine points that is not on the curve (infinity is), or n. */
export function firstOffCurve(points: usize, n: i32): i32 {
  fqAdd(THREE, FQ_ONE, FQ_ONE);
  fqAdd(THREE, THREE, FQ_ONE);
  for (let i = 0; i < n; i++) {
    if (!(fqIsZero(points) && fqIsZero(points + E))) {
      fqSquare(A, points);
      fqMultiply(A, A, points);
      fqAdd(A, A, THREE);
      fqSquare(B, points + E);
      fqSubtract(A, A, B);
      if (!fqIsZero(A)) return i;
    }
    points += AFFINE;
  }
  return n;
}
