// Multi-scalar multiplication against a fixed list of points, on one thread.
import { ProofError } from "../errors.ts";
import { INFINITY, type Point } from "../field/curve.ts";
import type { ProofInstance, ProofKernels } from "./kernels.ts";
import { Stack } from "./memory.ts";
import { POINT_WORDS } from "./points.ts";

/** 32-bit words of a scalar. */
export const SCALAR_WORDS = 8;

/** Scalars of one multiplication: signed integers below 2^53, or integers below p as 8 words each, lowest first. */
export type Scalars =
  | { readonly integers: Int8Array | Int16Array | Int32Array | Float64Array }
  | { readonly words: Uint32Array };

export function scalarCount(scalars: Scalars): number {
  return "integers" in scalars ? scalars.integers.length : scalars.words.length / SCALAR_WORDS;
}

/** Bits of a scalar and one for the last carry. */
const WORD_BITS = 255;

/** Doubles hold longer integers not exactly. */
const MOST_INTEGER_BITS = 53;

/** Widest window: more buckets than this do not fit in the cache. */
const MOST_BITS = 15;

/** Cost of one bucket in additions of points: a row sum, a column sum, and the scans over the buckets. */
const BUCKET_COST = 2.2;

/** Windows that share rounds of additions. More would save inversions, but their sums would leave the cache. */
const WINDOWS_AT_ONCE = 3;

const histogramBytes = 64 * 4;
const jacobianBytes = 108;

/**
 * Widths of the windows, lowest first, for signed integers with the given histogram of bit lengths. A window from bit o
 * holds a digit other than 0 only for integers of more than o - 1 bits, so long integers that are rare cost little.
 */
export function planIntegers(histogram: ArrayLike<number>): number[] {
  let bits = 0;
  const longer: number[] = Array.from({ length: 65 }, () => 0);
  for (let b = 63; b > 0; b--) {
    longer[b - 1] = longer[b]! + histogram[b]!;
    if (bits === 0 && histogram[b]! > 0) bits = b;
  }
  // best[o]: cheapest way to cut the bits from o on; the sign needs no bit in the top window.
  const best: { cost: number; widths: number[] }[] = [];
  for (let offset = bits; offset >= 0; offset--) {
    const points = longer[Math.max(0, offset - 1)]!;
    let choice = { cost: Infinity, widths: [] as number[] };
    for (let width = 1; width <= MOST_BITS; width++) {
      const top = offset + width > bits;
      const buckets = 2 ** (top ? Math.max(0, bits - offset) : width - 1);
      const rest = top ? { cost: 0, widths: [] } : best[offset + width]!;
      const cost = points + BUCKET_COST * buckets + rest.cost;
      if (cost < choice.cost) choice = { cost, widths: [width, ...rest.widths] };
      if (top) break;
    }
    best[offset] = choice;
  }
  return best[0]!.widths;
}

/** Widths of the windows for n field elements: as even as possible. */
export function planWords(n: number): number[] {
  let best = { cost: Infinity, windows: 1 };
  for (let windows = Math.ceil(WORD_BITS / MOST_BITS); windows <= WORD_BITS / 2; windows++) {
    const cost = evenWidths(windows).reduce((sum, width) => sum + n + BUCKET_COST * 2 ** (width - 1), 0);
    if (cost < best.cost) best = { cost, windows };
  }
  return evenWidths(best.windows);
}

function evenWidths(windows: number): number[] {
  return Array.from({ length: windows }, (_, w) => Math.floor((WORD_BITS + w) / windows));
}

/** One thread's copy of the points. */
export class Multiexp {
  readonly #kernels: ProofKernels;
  readonly #stack: Stack;
  readonly #points: number;
  readonly #count: number;

  /** @throws ProofError `OutOfMemory` */
  constructor(instance: ProofInstance, points: Uint32Array) {
    this.#kernels = instance.kernels;
    this.#stack = new Stack(instance);
    this.#count = points.length / POINT_WORDS;
    this.#points = this.#stack.allocate(points.byteLength);
    new Uint32Array(this.#stack.buffer, this.#points, points.length).set(points);
  }

  /**
   * sum_i k_i P_(offset + i)
   * @throws ProofError `OutOfMemory`, and `BadVector` for more scalars than points
   */
  multiply(scalars: Scalars, offset = 0): Point {
    const n = scalarCount(scalars);
    if (!Number.isInteger(n) || offset + n > this.#count)
      throw new ProofError("BadVector", `${offset + n} scalars for ${this.#count} points`);
    const mark = this.#stack.mark();
    try {
      const { digits, windows } = "integers" in scalars ? this.#cutIntegers(scalars.integers) : this.#cutWords(scalars);
      return this.#sum(this.#points + offset * POINT_WORDS * 4, n, digits, windows);
    } finally {
      this.#stack.release(mark);
    }
  }

  #cutIntegers(integers: Int8Array | Int16Array | Int32Array | Float64Array): Cut {
    const n = integers.length;
    const doubles = integers instanceof Float64Array;
    const source = this.#stack.allocate(n * (doubles ? 8 : 4));
    const histogram = this.#stack.allocate(histogramBytes);
    const View = doubles ? Float64Array : Int32Array;
    new View(this.#stack.buffer, source, n).set(integers);
    this.#kernels.bitLengths(histogram, source, n, doubles);
    const lengths = new Uint32Array(this.#stack.buffer, histogram, 64);
    if (lengths.subarray(MOST_INTEGER_BITS + 1).some((count) => count > 0))
      throw new ProofError("BadVector", `an integer has more than ${MOST_INTEGER_BITS} bits`);
    const widths = planIntegers(lengths);
    return this.#cut(n, widths, (digits, windows) =>
      this.#kernels.integerDigits(digits, source, n, doubles, windows, widths.length),
    );
  }

  #cutWords({ words }: { readonly words: Uint32Array }): Cut {
    const n = words.length / SCALAR_WORDS;
    const source = this.#stack.allocate(words.byteLength);
    new Uint32Array(this.#stack.buffer, source, words.length).set(words);
    const widths = planWords(n);
    return this.#cut(n, widths, (digits, windows) =>
      this.#kernels.wordDigits(digits, source, n, windows, widths.length),
    );
  }

  #cut(n: number, widths: readonly number[], run: (digits: number, windows: number) => void): Cut {
    const digits = this.#stack.allocate(4 * n * widths.length);
    const table = this.#stack.allocate(12 * widths.length);
    const words = new Uint32Array(this.#stack.buffer, table, 3 * widths.length);
    let offset = 0;
    widths.forEach((width, w) => {
      words.set([offset, width], 3 * w);
      offset += width;
    });
    run(digits, table);
    return { digits, windows: widths.map((width, w) => ({ width, buckets: words[3 * w + 2]! })) };
  }

  /** Adds the windows from the top: out = 2^width out + window. */
  #sum(points: number, n: number, digits: number, windows: readonly Window[]): Point {
    const out = this.#stack.allocate(jacobianBytes);
    new Uint8Array(this.#stack.buffer, out, jacobianBytes).fill(0);
    for (let end = windows.length; end > 0; end -= WINDOWS_AT_ONCE) {
      const start = Math.max(0, end - WINDOWS_AT_ONCE);
      const mark = this.#stack.mark();
      const buckets = windows.slice(start, end).reduce((sum, window) => sum + window.buckets, 0);
      const program = this.#stack.allocate(12 * (end - start));
      const scratch = this.#stack.allocate(this.#kernels.multiexpBytes(n, end - start, buckets));
      const view = new Uint32Array(this.#stack.buffer, program, 3 * (end - start));
      for (let w = end - 1, at = 0; w >= start; w--, at += 3)
        view.set([windows[w]!.width, windows[w]!.buckets, digits + 4 * n * w], at);
      this.#kernels.multiexp(out, points, n, program, end - start, scratch);
      this.#stack.release(mark);
    }
    return this.#affine(out);
  }

  #affine(jacobian: number): Point {
    const words = this.#stack.allocate(64);
    this.#kernels.toAffineWords(words, jacobian);
    const [a, b, c, d, e, f, g, h] = new BigUint64Array(this.#stack.buffer, words, 8) as unknown as bigint[];
    const x = a! | (b! << 64n) | (c! << 128n) | (d! << 192n);
    return x === 0n ? INFINITY : { x, y: e! | (f! << 64n) | (g! << 128n) | (h! << 192n) };
  }
}

interface Window {
  readonly width: number;
  readonly buckets: number;
}

interface Cut {
  readonly digits: number;
  readonly windows: readonly Window[];
}
