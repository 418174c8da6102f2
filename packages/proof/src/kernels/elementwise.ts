// Everything between the matrix products: widening of inputs, requantisation with enforced widths, ReLU, softmax.
// Requantisation is Q = floor((Z + 2^(shift - 1)) / 2^shift) with Q in [-2^bits, 2^bits), else the kernel reports true.

/** Raw inputs i8 [B][F] -> X i16 [rows][K]: the constant `one` in column F, zeros right of it and below row B. */
export function widen(source: usize, X: usize, B: i32, rows: i32, F: i32, K: i32, one: i32): void {
  for (let b = 0; b < B; b++) {
    const x = X + ((b * K) << 1);
    const s = source + b * F;
    for (let k = 0; k < F; k += 8) v128.store(x + (k << 1), v128.load_ext<i8>(s + k));
    memory.fill(x + (F << 1), 0, (K - F) << 1);
    store<i16>(x + (F << 1), <i16>one);
  }
  memory.fill(X + ((B * K) << 1), 0, ((rows - B) * K) << 1);
}

// @ts-ignore: decorator
@inline
function quotient(z: usize, half: v128, shift: i32): v128 {
  return i64x2.shr_s(i64x2.add(v128.load(z), half), shift);
}

// @ts-ignore: decorator
@inline
function outside(q: v128, offset: v128, bits: i32): v128 {
  return i64x2.shr_u(i64x2.add(q, offset), bits + 1);
}

// @ts-ignore: decorator
@inline
function narrow(a: v128, b: v128, c: v128, d: v128): v128 {
  return i16x8.narrow_i32x4_s(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(c, d, 0, 2, 4, 6));
}

/**
 * Z i64 [rows][N] -> Q i16 [rows][N] and A = max(Q, 0) in the first columns of i16 [rows][K], with the constant `one` in
 * column `width` of the first B rows: the input of the next layer.
 */
export function relu(
  Z: usize, Q: usize, A: usize, B: i32, rows: i32, N: i32, K: i32, width: i32, one: i32, shift: i32, bits: i32,
): bool {
  const half = i64x2.splat((<i64>1) << (shift - 1));
  const offset = i64x2.splat((<i64>1) << bits);
  const zero = i16x8.splat(0);
  let bad = i64x2.splat(0);
  let z = Z;
  let q = Q;
  for (let b = 0; b < rows; b++) {
    const a = A + ((b * K) << 1);
    for (let n = 0; n < N; n += 8) {
      const q0 = quotient(z, half, shift);
      const q1 = quotient(z + 16, half, shift);
      const q2 = quotient(z + 32, half, shift);
      const q3 = quotient(z + 48, half, shift);
      bad = v128.or(bad, v128.or(outside(q0, offset, bits), outside(q1, offset, bits)));
      bad = v128.or(bad, v128.or(outside(q2, offset, bits), outside(q3, offset, bits)));
      const v = narrow(q0, q1, q2, q3);
      v128.store(q, v);
      v128.store(a + (n << 1), i16x8.max_s(v, zero));
      z += 64;
      q += 16;
    }
    store<i16>(a + (width << 1), b < B ? <i16>one : 0);
  }
  return v128.any_true(bad);
}

/** D i64 [rows][N] -> G i16 [rows][N], zero where the unit was off (Q < 0); the width holds there too. */
export function reluGradient(D: usize, Q: usize, G: usize, rows: i32, N: i32, shift: i32, bits: i32): bool {
  const half = i64x2.splat((<i64>1) << (shift - 1));
  const offset = i64x2.splat((<i64>1) << bits);
  let bad = i64x2.splat(0);
  let d = D;
  for (let i = 0, end = (rows * N) << 1; i < end; i += 16) {
    const q0 = quotient(d, half, shift);
    const q1 = quotient(d + 16, half, shift);
    const q2 = quotient(d + 32, half, shift);
    const q3 = quotient(d + 48, half, shift);
    bad = v128.or(bad, v128.or(outside(q0, offset, bits), outside(q1, offset, bits)));
    bad = v128.or(bad, v128.or(outside(q2, offset, bits), outside(q3, offset, bits)));
    const off = i16x8.shr_s(v128.load(Q + i), 15);
    v128.store(G + i, v128.andnot(narrow(q0, q1, q2, q3), off));
    d += 64;
  }
  return v128.any_true(bad);
}

/** Z i64 [..][N] -> L i32 [B][classes]. */
export function logits(Z: usize, L: usize, B: i32, N: i32, classes: i32, shift: i32, bits: i32): bool {
  const half = (<i64>1) << (shift - 1);
  const offset = (<i64>1) << bits;
  let bad: i64 = 0;
  let l = L;
  for (let b = 0; b < B; b++) {
    for (let c = 0; c < classes; c++) {
      const q = (load<i64>(Z + ((b * N + c) << 3)) + half) >> shift;
      bad |= <i64>(<u64>(q + offset) >> (bits + 1));
      store<i32>(l, <i32>q);
      l += 4;
    }
  }
  return bad != 0;
}

/**
 * Softmax and cross-entropy: u = max(z) - z, e = E[min(u, entries - 1)], S = sum e, P = floor((2^(q+1) e + S) / 2S),
 * G = P - 2^q Y. L i32 [B][classes], Y u8 [B], E i32 [entries], G i16 [..][N]. For the displayed loss T i32 [B][2] takes
 * S and the u of the right class.
 */
export function softmax(
  L: usize, Y: usize, E: usize, entries: i32, G: usize, T: usize, B: i32, N: i32, classes: i32, q: i32,
): void {
  for (let b = 0; b < B; b++) {
    const l = L + ((b * classes) << 2);
    const g = G + ((b * N) << 1);
    const label = <i32>load<u8>(Y + b);
    let top = load<i32>(l);
    for (let c = 1; c < classes; c++) top = max(top, load<i32>(l + (c << 2)));
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      const u = top - load<i32>(l + (c << 2));
      sum += load<i32>(E + (min(u, entries - 1) << 2));
    }
    for (let c = 0; c < classes; c++) {
      const u = top - load<i32>(l + (c << 2));
      const e = load<i32>(E + (min(u, entries - 1) << 2));
      let p = ((e << (q + 1)) + sum) / (2 * sum);
      if (c == label) {
        p -= 1 << q;
        store<i32>(T + (b << 3), sum);
        store<i32>(T + (b << 3), u, 4);
      }
      store<i16>(g + (c << 1), <i16>p);
    }
  }
}
