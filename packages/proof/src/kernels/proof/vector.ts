// Vectors over the scalar field.
import { frMultiply, frAdd, frSubtract, frReduce, frIsZero, frInverse, FR_ONE, FR_R2 } from "../../../build/field";

/** Bytes of an element. */
export const E: usize = 36;
const MASK: u64 = (1 << 29) - 1;

const ZERO = memory.data(36);
const UNIT = memory.data<u32>([1, 0, 0, 0, 0, 0, 0, 0, 0]);
const T = memory.data(36);
const ACCUMULATOR = memory.data(36);

// @ts-ignore: decorator
@inline
export function copyElement(target: usize, source: usize): void {
  v128.store(target, v128.load(source));
  v128.store(target, v128.load(source, 16), 16);
  store<u32>(target, load<u32>(source, 32), 32);
}

/** Doubles that hold signed integers below 2^53 in magnitude -> elements. */
export function fromDoubles(z: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    const value = load<f64>(x);
    if (value == 0) {
      memory.fill(z, 0, E);
    } else {
      const magnitude = <u64>Math.abs(value);
      store<u64>(z, (magnitude & MASK) | ((magnitude >> 29) << 32));
      memory.fill(z + 8, 0, E - 8);
      frMultiply(z, z, FR_R2);
      if (value < 0) frSubtract(z, ZERO, z);
    }
    x += 8;
    z += E;
  }
}

/** 8 u32 words, least significant first -> limbs. */
export function unpackWords(z: usize, words: usize): void {
  for (let limb: usize = 0; limb < 9; limb++) {
    const bit: usize = 29 * limb;
    const word = bit >> 5;
    let bits = <u64>load<u32>(words + (word << 2));
    if (word < 7) bits |= <u64>load<u32>(words + (word << 2), 4) << 32;
    store<u32>(z + (limb << 2), <u32>(bits >> (bit & 31)) & 0x1fffffff);
  }
}

/** Integers below p as 8 u32 words -> elements. Regions must not overlap. */
export function fromWords(z: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    unpackWords(z, x);
    frMultiply(z, z, FR_R2);
    x += 32;
    z += E;
  }
}

/** Limbs of a value below 2^256 -> 8 u32 words. */
export function packWords(z: usize, x: usize): void {
  let bits: u64 = 0;
  let count = 0;
  let word: usize = 0;
  for (let limb: usize = 0; limb < 9; limb++) {
    bits |= <u64>load<u32>(x + (limb << 2)) << count;
    count += 29;
    if (count >= 32 || limb == 8) {
      store<u32>(z + (word << 2), <u32>bits);
      word++;
      bits >>= 32;
      count -= 32;
    }
  }
}

/** Elements -> integers below p as 8 u32 words. Regions must not overlap. */
export function toWords(z: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    frMultiply(T, x, UNIT);
    frReduce(T, T);
    packWords(z, T);
    x += E;
    z += 32;
  }
}

/** Z[2^k] = equality table of the point r: index bit j belongs to r[j]. */
export function equality(z: usize, r: usize, k: i32): void {
  copyElement(z, FR_ONE);
  for (let j = 0; j < k; j++) {
    const half = E << j;
    for (let low = z, end = z + half; low < end; low += E) {
      frMultiply(low + half, low, r);
      frSubtract(low, low, low + half);
    }
    r += E;
  }
}

/** Z += X */
export function add(z: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    frAdd(z, z, x);
    z += E;
    x += E;
  }
}

/** Z += k X */
export function addScaled(z: usize, x: usize, k: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    frMultiply(T, x, k);
    frAdd(z, z, T);
    z += E;
    x += E;
  }
}

/** Z = k X */
export function scale(z: usize, x: usize, k: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    frMultiply(z, x, k);
    z += E;
    x += E;
  }
}

/** Z = k - X */
export function subtractFrom(z: usize, k: usize, x: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    frSubtract(z, k, x);
    z += E;
    x += E;
  }
}

/** Z = X Y, element by element. */
export function multiply(z: usize, x: usize, y: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    frMultiply(z, x, y);
    z += E;
    x += E;
    y += E;
  }
}

/** Z[high][low] = low high. */
export function outer(z: usize, low: usize, lows: i32, high: usize, highs: i32): void {
  for (let j = 0; j < highs; j++) {
    scale(z, low, high, lows);
    z += E * lows;
    high += E;
  }
}

/** z = sum X Y; z lies outside X and Y. */
export function dot(z: usize, x: usize, y: usize, n: i32): void {
  memory.fill(z, 0, E);
  for (let i = 0; i < n; i++) {
    frMultiply(T, x, y);
    frAdd(z, z, T);
    x += E;
    y += E;
  }
}

/** Z[rows] = M[rows][columns] X[columns] */
export function rowDots(z: usize, m: usize, x: usize, rows: i32, columns: i32): void {
  for (let i = 0; i < rows; i++) {
    dot(z, m, x, columns);
    z += E;
    m += E * columns;
  }
}

/** Z[columns] = X[rows] M[rows][columns] */
export function columnDots(z: usize, m: usize, x: usize, rows: i32, columns: i32): void {
  memory.fill(z, 0, E * columns);
  for (let i = 0; i < rows; i++) {
    addScaled(z, m, x, columns);
    x += E;
    m += E * columns;
  }
}

/** X[i] = X[i] + r (X[i + half] - X[i]) for i < half: the top variable becomes r. */
export function fold(x: usize, half: i32, r: usize): void {
  const offset = E * half;
  for (let i = 0; i < half; i++) {
    frSubtract(T, x + offset, x);
    frMultiply(T, T, r);
    frAdd(x, x, T);
    x += E;
  }
}

/** Z[i] = X[2i] + r (X[2i + 1] - X[2i]) for i < half: the lowest variable becomes r. */
export function foldLow(z: usize, x: usize, half: i32, r: usize): void {
  for (let i = 0; i < half; i++) {
    frSubtract(T, x + E, x);
    frMultiply(T, T, r);
    frAdd(z, x, T);
    z += E;
    x += 2 * E;
  }
}

/** X = 1/X, and 0 for 0 (Montgomery's trick). `prefix` is scratch of n elements. */
export function invert(x: usize, n: i32, prefix: usize): void {
  copyElement(ACCUMULATOR, FR_ONE);
  for (let i = 0; i < n; i++) {
    copyElement(prefix, ACCUMULATOR);
    if (!frIsZero(x)) frMultiply(ACCUMULATOR, ACCUMULATOR, x);
    prefix += E;
    x += E;
  }
  frInverse(ACCUMULATOR, ACCUMULATOR);
  for (let i = 0; i < n; i++) {
    prefix -= E;
    x -= E;
    if (frIsZero(x)) continue;
    frMultiply(T, ACCUMULATOR, prefix);
    frMultiply(ACCUMULATOR, ACCUMULATOR, x);
    copyElement(x, T);
  }
}

/** z = sum X[i] r^i; z lies outside X. */
export function evaluate(z: usize, x: usize, n: i32, r: usize): void {
  memory.fill(z, 0, E);
  x += E * n;
  for (let i = 0; i < n; i++) {
    x -= E;
    frMultiply(z, z, r);
    frAdd(z, z, x);
  }
}

/** Z = coefficients of (f - f(r)) / (t - r) for f = sum X[i] t^i; Z[n - 1] = 0. */
export function divideLinear(z: usize, x: usize, n: i32, r: usize): void {
  memory.fill(ACCUMULATOR, 0, E);
  x += E * n;
  z += E * n;
  for (let i = 0; i < n; i++) {
    x -= E;
    z -= E;
    copyElement(T, x);
    copyElement(z, ACCUMULATOR);
    frMultiply(ACCUMULATOR, ACCUMULATOR, r);
    frAdd(ACCUMULATOR, ACCUMULATOR, T);
  }
}
