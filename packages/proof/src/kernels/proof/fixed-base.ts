// Many multiples of one point, from a table of its small multiples at every digit position.
import { E, copyElement } from "./vector";
import { fqSubtract } from "../../../build/field";
import { AFFINE } from "./curve";
import { placeSums, schedule, settle, sumGroups } from "./batch";

const ZERO = memory.data(36);

/** Places of multiples per window: for digits of 8 bits. */
const MULTIPLES: usize = 128;

/**
 * Completes T[windows][128], where T[w][0] is given and T[w][m - 1] = m T[w][0]. The multiples 2^k + 1 ... 2^(k + 1) are
 * 2^k T[w][0] plus the multiples 1 ... 2^k.
 */
export function multiplesTable(table: usize, windows: i32): void {
  for (let known: usize = 1; known < MULTIPLES; known *= 2) {
    for (let w: usize = 0; w < <usize>windows; w++) {
      const row = table + w * MULTIPLES * AFFINE;
      placeSums(row + known * AFFINE);
      for (let m: usize = 0; m < known; m++) schedule(row + (known - 1) * AFFINE, row + m * AFFINE);
    }
    settle();
  }
}

/** Bytes of scratch of `multiples`. */
export function multiplesBytes(n: i32, windows: i32): usize {
  return <usize>n * (8 + <usize>windows * (4 + AFFINE));
}

/** P[n] = sum over w of digits[w][i] T[w][0] as affine points, for i32 digits of at most 128 in magnitude. */
export function multiples(points: usize, table: usize, digits: usize, n: i32, windows: i32, scratch: usize): void {
  const references = scratch + 8 * n;
  let end = references;
  for (let i = 0; i < n; i++) {
    const group = scratch + 8 * i;
    store<u32>(group, end);
    for (let w = 0; w < windows; w++) {
      const digit = load<i32>(digits + ((w * n + i) << 2));
      if (digit == 0) continue;
      const entry = table + (<usize>w * MULTIPLES + <usize>(abs(digit) - 1)) * AFFINE;
      store<u32>(end, digit < 0 ? entry | 1 : entry);
      end += 4;
    }
    store<u32>(group, (end - load<u32>(group)) >> 2, 4);
  }
  placeSums(end);
  sumGroups(scratch, n);
  for (let i = 0; i < n; i++) {
    const group = scratch + 8 * i;
    copyPoint(points, load<u32>(group, 4) == 0 ? 0 : load<u32>(load<u32>(group)));
    points += AFFINE;
  }
}

/** The point of a reference. */
function copyPoint(target: usize, reference: usize): void {
  if (reference == 0) {
    memory.fill(target, 0, AFFINE);
    return;
  }
  const point = reference & ~1;
  copyElement(target, point);
  if ((reference & 1) != 0) fqSubtract(target + E, ZERO, point + E);
  else copyElement(target + E, point + E);
}
