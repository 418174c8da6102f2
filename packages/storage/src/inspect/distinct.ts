import type { Cell } from "../readers/reader.ts";
import { Hasher } from "./hash.ts";

/** How much memory one column may take. */
export interface DistinctLimits {
  /** Values whose occurrences are counted one by one. */
  readonly counted: number;
  /** The number of values beyond is estimated from 2^bits bytes, with a standard error of 1.04 / sqrt(2^bits). */
  readonly sketchBits: number;
}

const MAX_COUNTED = 1_000;
const MIN_COUNTED = 16;
/** Of all columns of a table together: some 50 MiB. */
const COUNTED_TOGETHER = 500_000;
const WIDE_COLUMNS = 4_096;
export const NARROW_LIMITS: DistinctLimits = { counted: MAX_COUNTED, sketchBits: 12 };

/** Tables of up to 500 columns have 1,000 counted values each; wider ones share what there is. */
export const limitsFor = (columns: number): DistinctLimits => ({
  counted: Math.max(MIN_COUNTED, Math.min(MAX_COUNTED, Math.floor(COUNTED_TOGETHER / columns))),
  sketchBits: columns <= WIDE_COLUMNS ? NARROW_LIMITS.sketchBits : 8,
});

/** A longer text is kept by its beginning and a hash. */
const MAX_TEXT = 200;

export interface ValueCount {
  readonly value: Cell;
  readonly count: number;
}

/**
 * How many different values there are. As many as the limits say are counted one by one; beyond that only the number of
 * different values is estimated.
 */
export class DistinctValues {
  readonly #counts = new Map<Cell, number>();
  readonly #limits: DistinctLimits;
  #sketch: CardinalitySketch | undefined;

  constructor(limits: DistinctLimits) {
    this.#limits = limits;
  }

  add(value: Cell): void {
    const key = typeof value === "string" && value.length > MAX_TEXT ? shortened(value) : value;
    if (this.#sketch !== undefined) {
      this.#sketch.add(key);
      return;
    }
    const count = this.#counts.get(key);
    if (count !== undefined) this.#counts.set(key, count + 1);
    else if (this.#counts.size < this.#limits.counted) this.#counts.set(ownText(key), 1);
    else {
      this.#sketch = new CardinalitySketch(this.#limits.sketchBits, this.#counts.keys());
      this.#sketch.add(key);
      this.#counts.clear();
    }
  }

  get exact(): boolean {
    return this.#sketch === undefined;
  }

  get count(): number {
    return this.#sketch === undefined ? this.#counts.size : Math.max(this.#sketch.estimate(), this.#limits.counted + 1);
  }

  /** The most frequent first, equally frequent ones in the order of their appearance; none if there are too many. */
  top(): ValueCount[] {
    return [...this.#counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count);
  }
}

const shortened = (text: string): string => {
  const { high, low } = new Hasher().reset().text(text).digest();
  return `${text.slice(0, MAX_TEXT)}… (${text.length} characters, ${high.toString(16)}${low.toString(16)})`;
};

/** A text cut out of a larger one keeps all of that alive: this one does not. */
const ownText = (key: Cell): Cell => (typeof key === "string" ? Buffer.from(key, "utf16le").toString("utf16le") : key);

/** HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) over 64-bit hashes. */
class CardinalitySketch {
  readonly #bits: number;
  readonly #registers: Uint8Array;
  readonly #hasher = new Hasher();

  constructor(bits: number, values: Iterable<Cell>) {
    this.#bits = bits;
    this.#registers = new Uint8Array(2 ** bits);
    for (const value of values) this.add(value);
  }

  add(value: Cell): void {
    const hasher = this.#hasher.reset();
    if (typeof value === "number") hasher.word(1).number(value);
    else hasher.word(typeof value === "string" ? 2 : 3).text(String(value));
    const { high, low } = hasher.digest();
    const register = high >>> (32 - this.#bits);
    const rank = Math.clz32(low) + 1;
    if (this.#registers[register]! < rank) this.#registers[register] = rank;
  }

  estimate(): number {
    const size = this.#registers.length;
    let sum = 0;
    let zeros = 0;
    for (const rank of this.#registers) {
      sum += 2 ** -rank;
      if (rank === 0) zeros++;
    }
    const raw = ((0.7213 / (1 + 1.079 / size)) * size * size) / sum;
    const linear = zeros > 0 && raw <= 2.5 * size;
    return Math.round(linear ? size * Math.log(size / zeros) : raw);
  }
}
