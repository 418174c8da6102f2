// Products of small integers with field vectors. The limbs of k x collect as signed 64-bit sums; carries are settled only
// when a sum could leave its range, and the total is reduced once.
import { frMultiply, frAdd, frSubtract, FR_ONE, FR_R2 } from "../../../build/field";
import { E } from "./vector";

const MASK: i64 = (1 << 29) - 1;
const T = memory.data(36);

/** Bits of the largest magnitude; the magnitude of -2^31 counts as 31 bits and is refused by the host. */
function magnitudeBits(x: usize, n: i32): i32 {
  let seen: u32 = 0;
  for (let i = 0; i < n; i++) {
    seen |= <u32>abs(load<i32>(x));
    x += 4;
  }
  return 32 - clz(seen);
}

/**
 * z = sum over i < n of K[i] X[i], |K[i]| < 2^31, with `stride` bytes from one integer to the next. With b-bit integers a
 * limb's sum grows by less than 2^(29 + b) per term, so 2^(33 - b) terms keep it below 2^62.
 */
function integerDot(z: usize, integers: usize, stride: usize, x: usize, n: i32, bits: i32): void {
  let s0: i64 = 0, s1: i64 = 0, s2: i64 = 0, s3: i64 = 0, s4: i64 = 0;
  let s5: i64 = 0, s6: i64 = 0, s7: i64 = 0, s8: i64 = 0, s9: i64 = 0;
  const chunk = 1 << min(33 - bits, 30);
  while (n > 0) {
    const count = min(n, chunk);
    n -= count;
    for (let i = 0; i < count; i++) {
      const k = <i64>load<i32>(integers);
      s0 += k * <i64>load<u32>(x);
      s1 += k * <i64>load<u32>(x, 4);
      s2 += k * <i64>load<u32>(x, 8);
      s3 += k * <i64>load<u32>(x, 12);
      s4 += k * <i64>load<u32>(x, 16);
      s5 += k * <i64>load<u32>(x, 20);
      s6 += k * <i64>load<u32>(x, 24);
      s7 += k * <i64>load<u32>(x, 28);
      s8 += k * <i64>load<u32>(x, 32);
      integers += stride;
      x += E;
    }
    s1 += s0 >> 29; s0 &= MASK;
    s2 += s1 >> 29; s1 &= MASK;
    s3 += s2 >> 29; s2 &= MASK;
    s4 += s3 >> 29; s3 &= MASK;
    s5 += s4 >> 29; s4 &= MASK;
    s6 += s5 >> 29; s5 &= MASK;
    s7 += s6 >> 29; s6 &= MASK;
    s8 += s7 >> 29; s7 &= MASK;
    s9 += s8 >> 29; s8 &= MASK;
  }
  store<u32>(z, <u32>s0);
  store<u32>(z, <u32>s1, 4);
  store<u32>(z, <u32>s2, 8);
  store<u32>(z, <u32>s3, 12);
  store<u32>(z, <u32>s4, 16);
  store<u32>(z, <u32>s5, 20);
  store<u32>(z, <u32>s6, 24);
  store<u32>(z, <u32>s7, 28);
  store<u32>(z, <u32>s8, 32);
  reduceSum(z, s9);
}

/** z = z + high 2^261 mod p, lazily below 2p, for any limbs in z. */
function reduceSum(z: usize, high: i64): void {
  // z below R: the Montgomery product with R mod p is below z p / R + p < 2p.
  frMultiply(z, z, FR_ONE);
  if (high == 0) return;
  const magnitude = <u64>abs(high);
  memory.fill(T, 0, E);
  store<u32>(T, <u32>(magnitude & MASK));
  store<u32>(T, <u32>((magnitude >> 29) & MASK), 4);
  store<u32>(T, <u32>(magnitude >> 58), 8);
  frMultiply(T, T, FR_R2);
  if (high < 0) frSubtract(z, z, T);
  else frAdd(z, z, T);
}

/** Z[rows] = K[rows][columns] X[columns] for i32 integers K. */
export function integerRowDots(z: usize, integers: usize, x: usize, rows: i32, columns: i32): void {
  const bits = magnitudeBits(integers, rows * columns);
  for (let i = 0; i < rows; i++) {
    integerDot(z, integers, 4, x, columns, bits);
    z += E;
    integers += <usize>columns << 2;
  }
}

/** Z[columns] = X[rows] K[rows][columns] for i32 integers K. */
export function integerColumnDots(z: usize, integers: usize, x: usize, rows: i32, columns: i32): void {
  const bits = magnitudeBits(integers, rows * columns);
  for (let i = 0; i < columns; i++) {
    integerDot(z, integers, <usize>columns << 2, x, rows, bits);
    z += E;
    integers += 4;
  }
}
