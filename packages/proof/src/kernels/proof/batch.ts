// Sums of affine points in batches that share one field inversion (Montgomery's trick): six multiplications per addition.
// A point is named by a reference: its byte address, plus 1 for its negative; 0 is infinity. Sorting moves references
// only.
import { fqMultiply, fqSquare, fqAdd, fqSubtract, fqIsZero, fqInverse, FQ_ONE } from "../../../build/field";
import { E, copyElement } from "./vector";
import { AFFINE } from "./curve";

/** Additions per inversion: the inversion costs a few per cent of this many additions, and the batch fits in the cache. */
const BATCH = 2048;

/** Of each pending addition: the two references and the address of the result. */
const PENDING = memory.data(12 * 2048);
/** Denominators of the slopes, and products of the denominators before each. */
const DENOMINATORS = memory.data(36 * 2048);
const PREFIXES = memory.data(36 * 2049);
let pending = 0;

/** The next free place for a sum. */
let arena: usize = 0;

/** Later sums go to `address` and the places behind it. */
export function placeSums(address: usize): void {
  arena = address;
}

const INVERSE = memory.data(36), SLOPE = memory.data(36), T = memory.data(36);

/** Whether two points with equal x, given by references, are equal; else they are opposite. */
function equalOrdinates(a: usize, b: usize): bool {
  const ya = (a & ~1) + E;
  const yb = (b & ~1) + E;
  if (((a ^ b) & 1) != 0) fqAdd(T, ya, yb);
  else fqSubtract(T, yb, ya);
  return fqIsZero(T);
}

/** Reference of a + b. The sum itself exists after the next `settle`. */
export function schedule(a: usize, b: usize): usize {
  if (a == 0) return b;
  if (b == 0) return a;
  const denominator = DENOMINATORS + E * pending;
  fqSubtract(denominator, b & ~1, a & ~1);
  if (pending == 0) copyElement(PREFIXES, FQ_ONE);
  if (fqIsZero(denominator)) {
    if (!equalOrdinates(a, b)) return 0;
    // Equal references mark a doubling.
    b = a;
    fqAdd(denominator, (a & ~1) + E, (a & ~1) + E);
  }
  fqMultiply(PREFIXES + E * (pending + 1), PREFIXES + E * pending, denominator);
  const entry = PENDING + 12 * pending;
  const sum = arena;
  store<u32>(entry, a);
  store<u32>(entry, b, 4);
  store<u32>(entry, sum, 8);
  arena += AFFINE;
  pending++;
  if (pending == BATCH) settle();
  return sum;
}

/** Computes all pending sums. */
export function settle(): void {
  if (pending == 0) return;
  fqInverse(INVERSE, PREFIXES + E * pending);
  while (pending > 0) {
    pending--;
    fqMultiply(SLOPE, INVERSE, PREFIXES + E * pending);
    fqMultiply(INVERSE, INVERSE, DENOMINATORS + E * pending);
    const entry = PENDING + 12 * pending;
    addDistinct(load<u32>(entry), load<u32>(entry, 4), load<u32>(entry, 8));
  }
}

/**
 * sum = a + b with SLOPE = 1 / (x_b - x_a), or a + a with SLOPE = 1 / (2 y_a). Signs are drawn out of the formula:
 * a + b = +-(A + B) or +-(A - B) for the points A, B at the addresses; for A - B the slope here is the negative one.
 */
function addDistinct(a: usize, b: usize, sum: usize): void {
  const xa = a & ~1;
  const xb = b & ~1;
  const negative = (a & 1) != 0;
  const opposite = ((a ^ b) & 1) != 0;
  if (a == b) {
    fqSquare(T, xa);
    fqMultiply(SLOPE, SLOPE, T);
    fqAdd(T, SLOPE, SLOPE);
    fqAdd(SLOPE, SLOPE, T);
  } else {
    if (opposite) fqAdd(T, xb + E, xa + E);
    else fqSubtract(T, xb + E, xa + E);
    fqMultiply(SLOPE, SLOPE, T);
  }
  fqSquare(T, SLOPE);
  fqSubtract(T, T, xa);
  fqSubtract(sum, T, xb);
  if (negative == opposite) fqSubtract(T, xa, sum);
  else fqSubtract(T, sum, xa);
  fqMultiply(T, T, SLOPE);
  if (negative) fqAdd(sum + E, T, xa + E);
  else fqSubtract(sum + E, T, xa + E);
}

/** Sums each group: a list of { address of references, count } with count = 1 (or 0) afterwards. */
export function sumGroups(groups: usize, count: i32): void {
  const end = groups + 8 * count;
  for (let more = true; more; ) {
    more = false;
    for (let group = groups; group < end; group += 8) {
      const members = load<u32>(group, 4);
      if (members < 2) continue;
      const references = <usize>load<u32>(group);
      const pairs = members >> 1;
      for (let i: u32 = 0; i < pairs; i++) {
        const pair = references + (i << 3);
        store<u32>(references + (i << 2), schedule(load<u32>(pair), load<u32>(pair, 4)));
      }
      const left = members - pairs;
      if (left > pairs) store<u32>(references + (pairs << 2), load<u32>(references + ((members - 1) << 2)));
      store<u32>(group, left, 4);
      if (left > 1) more = true;
    }
    settle();
  }
}
