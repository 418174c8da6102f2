// Multi-scalar multiplication sum k_i P_i by the bucket method (Pippenger, "On the evaluation of powers and monomials",
// 1980): scalars are cut into signed digits; per digit position (window) the points with equal digit are summed in one
// bucket, then the buckets are summed with their weights. All these sums but the last few are sums of independent groups
// of points.
import { fqIsZero } from "../../../build/field";
import { AFFINE, JACOBIAN, double, addAffine, addJacobian } from "./curve";
import { placeSums, sumGroups } from "./batch";

const RUNNING = memory.data(108), WEIGHTED = memory.data(108);

/**
 * Sorts the references of n points into buckets 1 ... buckets by the magnitude of their digits; makes their groups.
 * @returns the end of the references
 */
function sortIntoBuckets(points: usize, digits: usize, n: i32, groups: usize, buckets: i32, references: usize): usize {
  memory.fill(groups, 0, 8 * buckets);
  const before = groups - 8;
  for (let i = 0; i < n; i++) {
    const digit = load<i32>(digits + (i << 2));
    if (digit == 0) continue;
    const group = before + (<usize>abs(digit) << 3);
    store<u32>(group, load<u32>(group, 4) + 1, 4);
  }
  for (let group = groups, end = groups + 8 * buckets; group < end; group += 8) {
    store<u32>(group, references);
    references += <usize>load<u32>(group, 4) << 2;
    store<u32>(group, 0, 4);
  }
  for (let i = 0; i < n; i++) {
    const digit = load<i32>(digits + (i << 2));
    if (digit == 0) continue;
    const point = points + AFFINE * i;
    if (isInfinity(point)) continue;
    const group = before + (<usize>abs(digit) << 3);
    const members = load<u32>(group, 4);
    store<u32>(load<u32>(group) + (members << 2), digit < 0 ? point | 1 : point);
    store<u32>(group, members + 1, 4);
  }
  return references;
}

// @ts-ignore: decorator
@inline
function isInfinity(point: usize): bool {
  return load<u64>(point) == 0 && fqIsZero(point);
}

/** Bits of the column number of a bucket: buckets lie in a near-square matrix. */
function columnBits(buckets: i32): i32 {
  return (33 - clz(buckets)) >> 1;
}

/**
 * With bucket b at row b >> bits and column b mod 2^bits, sum b B_b = 2^bits sum row Row + sum column Column, where Row and
 * Column are sums of buckets. Makes the groups of rows 1 ... and of columns 1 ...; returns the end of the references.
 */
function arrangeBuckets(buckets: usize, count: i32, bits: i32, lines: usize, references: usize): usize {
  const rows = count >> bits;
  const columns = 1 << bits;
  for (let row = 1; row <= rows; row++) {
    references = gather(lines, buckets, row << bits, min(count, (row << bits) + columns - 1), 1, references);
    lines += 8;
  }
  for (let column = 1; column < columns; column++) {
    references = gather(lines, buckets, column, count, columns, references);
    lines += 8;
  }
  return references;
}

/** Makes the group of the buckets first, first + step, ... <= last that are not empty. */
function gather(line: usize, buckets: usize, first: i32, last: i32, step: i32, references: usize): usize {
  store<u32>(line, references);
  const start = references;
  for (let b = first; b <= last; b += step) {
    const group = buckets + 8 * (b - 1);
    if (load<u32>(group, 4) == 0) continue;
    store<u32>(references, load<u32>(load<u32>(group)));
    references += 4;
  }
  store<u32>(line, (references - start) >> 2, 4);
  return references;
}

/** out = out + sum over i of i line_i for the lines 1 ... count. */
function addWeighted(out: usize, lines: usize, count: i32): void {
  memory.fill(RUNNING, 0, JACOBIAN);
  for (let i = count - 1; i >= 0; i--) {
    const line = lines + 8 * i;
    if (load<u32>(line, 4) != 0) {
      const reference = <usize>load<u32>(load<u32>(line));
      if (reference != 0) addAffine(RUNNING, reference & ~1, (reference & 1) != 0);
    }
    addJacobian(out, RUNNING);
  }
}

/** Bytes of scratch that `multiexp` needs for n points, windows, and buckets of all windows together. */
export function multiexpBytes(n: i32, windows: i32, buckets: i32): usize {
  const lines = 4 * buckets + 4 * windows;
  return 8 * (buckets + lines) + (4 + AFFINE) * (n * windows + 2 * buckets);
}

/**
 * out = 2^shift out + sum over i of digit_i point_i, for each window in turn, over n affine points; out is Jacobian.
 * A window is u32 { shift, buckets, address of its n i32 digits }, with all |digit| <= buckets. Points may repeat, cancel,
 * or be infinity.
 */
export function multiexp(out: usize, points: usize, n: i32, windows: usize, count: i32, scratch: usize): void {
  let buckets = 0;
  let lines = 0;
  for (let w = 0; w < count; w++) {
    const size = load<u32>(windows + 12 * w, 4);
    const bits = columnBits(size);
    buckets += size;
    lines += (size >> bits) + (1 << bits) - 1;
  }
  const lineGroups = scratch + 8 * buckets;
  let references = lineGroups + 8 * lines;
  let groups = scratch;
  for (let w = 0; w < count; w++) {
    const size = load<i32>(windows + 12 * w, 4);
    references = sortIntoBuckets(points, load<u32>(windows + 12 * w, 8), n, groups, size, references);
    groups += 8 * size;
  }
  // The sums follow the references of the buckets and of the lines.
  placeSums(references + 8 * buckets);
  sumGroups(scratch, buckets);

  groups = scratch;
  let line = lineGroups;
  for (let w = 0; w < count; w++) {
    const size = load<i32>(windows + 12 * w, 4);
    const bits = columnBits(size);
    references = arrangeBuckets(groups, size, bits, line, references);
    groups += 8 * size;
    line += 8 * ((size >> bits) + (1 << bits) - 1);
  }
  sumGroups(lineGroups, lines);

  line = lineGroups;
  for (let w = 0; w < count; w++) {
    const size = load<i32>(windows + 12 * w, 4);
    const bits = columnBits(size);
    const rows = size >> bits;
    const columns = (1 << bits) - 1;
    memory.fill(WEIGHTED, 0, JACOBIAN);
    addWeighted(WEIGHTED, line, rows);
    for (let i = 0; i < bits; i++) double(WEIGHTED);
    addWeighted(WEIGHTED, line + 8 * rows, columns);
    line += 8 * (rows + columns);
    for (let i: u32 = 0, shift = load<u32>(windows + 12 * w); i < shift; i++) double(out);
    addJacobian(out, WEIGHTED);
  }
}

/** Histogram u32[64] of the bit lengths of |x| for n signed integers, i32 or in doubles below 2^53. */
export function bitLengths(histogram: usize, x: usize, n: i32, doubles: bool): void {
  memory.fill(histogram, 0, 64 * 4);
  for (let i = 0; i < n; i++) {
    const bucket = histogram + (<usize>(64 - clz(abs(integerAt(x, i, doubles)))) << 2);
    store<u32>(bucket, load<u32>(bucket) + 1);
  }
}

// @ts-ignore: decorator
@inline
function integerAt(x: usize, i: i32, doubles: bool): i64 {
  return doubles ? <i64>load<f64>(x + (i << 3)) : <i64>load<i32>(x + (i << 2));
}

/**
 * Cuts signed integers into signed digits, digit w of i at digits[w][i]. `windows` is u32 { offset, bits, highest |digit| }
 * per window, lowest first; the last is written. A digit below the top one lies in [-2^(bits - 1), 2^(bits - 1)): adding
 * half a window at every offset turns it into plain bits.
 */
export function integerDigits(digits: usize, x: usize, n: i32, doubles: bool, windows: usize, count: i32): void {
  let bias: i64 = 0;
  for (let w = 0; w < count - 1; w++) {
    const window = windows + 12 * w;
    bias += <i64>1 << (load<u32>(window) + load<u32>(window, 4) - 1);
  }
  for (let w = 0; w < count; w++) {
    const window = windows + 12 * w;
    const offset = <i64>load<u32>(window);
    const top = w == count - 1;
    const half: i64 = top ? 0 : <i64>1 << (load<u32>(window, 4) - 1);
    const mask: i64 = top ? -1 : 2 * half - 1;
    let highest = 0;
    for (let i = 0; i < n; i++) {
      const digit = <i32>((((integerAt(x, i, doubles) + bias) >> offset) & mask) - half);
      store<i32>(digits, digit);
      highest = max(highest, abs(digit));
      digits += 4;
    }
    store<i32>(window, highest, 8);
  }
}

/** The same for unsigned integers of 8 u32 words; the windows cover 255 bits or more. */
export function wordDigits(digits: usize, x: usize, n: i32, windows: usize, count: i32): void {
  for (let w = 0; w < count; w++) store<u32>(windows + 12 * w, 0, 8);
  for (let i = 0; i < n; i++) {
    let carry = 0;
    for (let w = 0; w < count; w++) {
      const window = windows + 12 * w;
      const bits = load<u32>(window, 4);
      let digit = bitsAt(x, load<u32>(window), bits) + carry;
      carry = digit > 1 << (bits - 1) ? 1 : 0;
      digit -= carry << bits;
      store<i32>(digits + ((w * n + i) << 2), digit);
      store<i32>(window, max(load<i32>(window, 8), abs(digit)), 8);
    }
    x += 32;
  }
}

/** `count` bits at a bit offset of 8 u32 words. */
function bitsAt(x: usize, offset: u32, count: u32): i32 {
  const word = offset >> 5;
  if (word > 7) return 0;
  let bits = <u64>load<u32>(x + (word << 2));
  if (word < 7) bits |= <u64>load<u32>(x + (word << 2), 4) << 32;
  return <i32>(bits >> (offset & 31)) & ((1 << count) - 1);
}
