// Exact integer matrix products. All pointers are byte offsets into linear memory, matrices are row-major, and the host
// pads every dimension to a multiple of 8 with zeros, so that no kernel handles a remainder.
//
// A weight of less than 2^30 in magnitude is split into two limbs, w = high * 2^15 + low with low in [0, 2^15) and high
// in [-2^15, 2^15), so that products run on the 16-bit dot instruction. Sums of one limb stay in 32 bits for `chunk`
// terms (the host derives it from the enforced width of the other operand), then spill into 64 bits.
//
// Packed weights are panels of four output columns: for each pair of terms (k, k + 1) 16 bytes of low limbs, four lanes
// of (k | k + 1 << 16), then 16 bytes of high limbs. One product reads its panel from front to back.

const LIMB: i32 = 15;

// @ts-ignore: decorator
@inline
function storePair(out: usize, first: v128, second: v128): void {
  const low = i32x4.splat((1 << LIMB) - 1);
  const half = i32x4.splat(0xffff);
  v128.store(out, v128.or(v128.and(first, low), i32x4.shl(v128.and(second, low), 16)));
  v128.store(
    out,
    v128.or(v128.and(i32x4.shr_s(first, LIMB), half), i32x4.shl(i32x4.shr_s(second, LIMB), 16)),
    16,
  );
}

/** W i32 [K][N] -> panels P for X W: terms are rows of W, panels hold columns. */
export function packColumns(W: usize, P: usize, K: i32, N: i32): void {
  const row = N << 2;
  const panel = (K >> 1) << 5;
  for (let k = 0; k < K; k += 2) {
    let w = W + k * row;
    let out = P + ((k >> 1) << 5);
    for (let n = 0; n < N; n += 4) {
      storePair(out, v128.load(w), v128.load(w + row));
      w += 16;
      out += panel;
    }
  }
}

// @ts-ignore: decorator
@inline
function loadRow(w: usize, row: i32, rows: i32): v128 {
  return row < rows ? v128.load(w) : i32x4.splat(0);
}

/** W i32 [..][N] -> panels P for G W^T: terms are columns of W, panels hold its first `rows` rows (zero up to a multiple of 8). */
export function packRows(W: usize, P: usize, rows: i32, N: i32): void {
  const row = N << 2;
  const padded = (rows + 7) & ~7;
  let out = P;
  for (let k = 0; k < padded; k += 4) {
    let w = W + k * row;
    for (let n = 0; n < N; n += 4) {
      const a = loadRow(w, k, rows);
      const b = loadRow(w + row, k + 1, rows);
      const c = loadRow(w + 2 * row, k + 2, rows);
      const d = loadRow(w + 3 * row, k + 3, rows);
      const ab0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
      const ab1 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
      const cd0 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
      const cd1 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
      storePair(out, v128.shuffle<i64>(ab0, cd0, 0, 2), v128.shuffle<i64>(ab0, cd0, 1, 3));
      storePair(out + 32, v128.shuffle<i64>(ab1, cd1, 0, 2), v128.shuffle<i64>(ab1, cd1, 1, 3));
      w += 16;
      out += 64;
    }
  }
}

// @ts-ignore: decorator
@inline
function spill(z: usize, low: v128, high: v128, add: bool): void {
  let first = i64x2.add(i64x2.extend_low_i32x4_s(low), i64x2.shl(i64x2.extend_low_i32x4_s(high), LIMB));
  let second = i64x2.add(i64x2.extend_high_i32x4_s(low), i64x2.shl(i64x2.extend_high_i32x4_s(high), LIMB));
  if (add) {
    first = i64x2.add(first, v128.load(z));
    second = i64x2.add(second, v128.load(z, 16));
  }
  v128.store(z, first);
  v128.store(z, second, 16);
}

/** Z i64 [B][N] = X i16 [B][K] times the packed weights P. `chunk` is a multiple of 8. */
export function product(X: usize, P: usize, Z: usize, B: i32, K: i32, N: i32, chunk: i32): void {
  const xRow = K << 1;
  const zRow = N << 3;
  const panel = (K >> 1) << 5;
  for (let start = 0; start < K; start += chunk) {
    const pairs = min(chunk, K - start) >> 1;
    let p0 = P + ((start >> 1) << 5);
    for (let n = 0; n < N; n += 4) {
      for (let b = 0; b < B; b += 4) {
        let l0 = i32x4.splat(0);
        let h0 = l0, l1 = l0, h1 = l0, l2 = l0, h2 = l0, l3 = l0, h3 = l0;
        let x = X + b * xRow + (start << 1);
        let p = p0;
        for (let i = 0; i < pairs; i++) {
          const low = v128.load(p);
          const high = v128.load(p, 16);
          let v = v128.load_splat<i32>(x);
          l0 = i32x4.add(l0, i32x4.dot_i16x8_s(v, low));
          h0 = i32x4.add(h0, i32x4.dot_i16x8_s(v, high));
          v = v128.load_splat<i32>(x + xRow);
          l1 = i32x4.add(l1, i32x4.dot_i16x8_s(v, low));
          h1 = i32x4.add(h1, i32x4.dot_i16x8_s(v, high));
          v = v128.load_splat<i32>(x + 2 * xRow);
          l2 = i32x4.add(l2, i32x4.dot_i16x8_s(v, low));
          h2 = i32x4.add(h2, i32x4.dot_i16x8_s(v, high));
          v = v128.load_splat<i32>(x + 3 * xRow);
          l3 = i32x4.add(l3, i32x4.dot_i16x8_s(v, low));
          h3 = i32x4.add(h3, i32x4.dot_i16x8_s(v, high));
          x += 4;
          p += 32;
        }
        const z = Z + b * zRow + (n << 3);
        const add = start > 0;
        spill(z, l0, h0, add);
        spill(z + zRow, l1, h1, add);
        spill(z + 2 * zRow, l2, h2, add);
        spill(z + 3 * zRow, l3, h3, add);
      }
      p0 += panel;
    }
  }
}

/** X i16 [B][K] -> P i32 [B/2][K]: element (b/2, k) holds the pair x[b][k] | x[b + 1][k] << 16. */
export function pairRows(X: usize, P: usize, B: i32, K: i32): void {
  const row = K << 1;
  let out = P;
  for (let b = 0; b < B; b += 2) {
    let x = X + b * row;
    for (let k = 0; k < K; k += 8) {
      const even = v128.load(x);
      const odd = v128.load(x + row);
      v128.store(out, v128.shuffle<i16>(even, odd, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(out, v128.shuffle<i16>(even, odd, 4, 12, 5, 13, 6, 14, 7, 15), 16);
      x += 16;
      out += 32;
    }
  }
}

// @ts-ignore: decorator
@inline
function subtract(w: usize, first: v128, second: v128, rate: v128): v128 {
  const a = i32x4.sub(v128.load(w), i32x4.mul(first, rate));
  const b = i32x4.sub(v128.load(w, 16), i32x4.mul(second, rate));
  v128.store(w, a);
  v128.store(w, b, 16);
  return v128.or(i32x4.abs(a), i32x4.abs(b));
}

/**
 * W i32 [K][N] -= rate X^T G with X and G as made by `pairRows`. The host guarantees |rate X^T G| < 2^31, so a result
 * outside 32 bits wraps to a magnitude above 2^30 and is reported, and the same call with -rate undoes this one exactly.
 * Returns whether any |W| is 2^30 or more.
 */
export function update(X: usize, G: usize, W: usize, B: i32, K: i32, N: i32, rate: i32): bool {
  const rates = i32x4.splat(rate);
  const xRow = K << 2;
  const gRow = N << 2;
  let seen = i32x4.splat(0);
  for (let k = 0; k < K; k += 4) {
    for (let n = 0; n < N; n += 8) {
      let a0 = i32x4.splat(0);
      let a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
      let x = X + (k << 2);
      let g = G + (n << 2);
      for (let b = 0; b < B; b += 2) {
        const u = v128.load(g);
        const v = v128.load(g, 16);
        let p = v128.load_splat<i32>(x);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(p, u));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(p, v));
        p = v128.load_splat<i32>(x, 4);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(p, u));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(p, v));
        p = v128.load_splat<i32>(x, 8);
        c0 = i32x4.add(c0, i32x4.dot_i16x8_s(p, u));
        c1 = i32x4.add(c1, i32x4.dot_i16x8_s(p, v));
        p = v128.load_splat<i32>(x, 12);
        d0 = i32x4.add(d0, i32x4.dot_i16x8_s(p, u));
        d1 = i32x4.add(d1, i32x4.dot_i16x8_s(p, v));
        x += xRow;
        g += gRow;
      }
      let w = W + k * gRow + (n << 2);
      seen = v128.or(seen, subtract(w, a0, a1, rates));
      w += gRow;
      seen = v128.or(seen, subtract(w, b0, b1, rates));
      w += gRow;
      seen = v128.or(seen, subtract(w, c0, c1, rates));
      w += gRow;
      seen = v128.or(seen, subtract(w, d0, d1, rates));
    }
  }
  return v128.any_true(v128.and(seen, i32x4.splat(0xc0000000)));
}
