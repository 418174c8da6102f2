import type { Cell } from "../readers/reader.ts";
import { Hasher } from "./hash.ts";

/** Values whose occurrences are counted one by one. */
export const MAX_COUNTED_VALUES = 1_000;
/** A longer text is kept by its beginning and a hash. */
const MAX_TEXT = 200;

export interface ValueCount {
  readonly value: Cell;
  readonly count: number;
}

/**
 * How many different values there are. Up to {@link MAX_COUNTED_VALUES} the counts are exact; beyond that only the number
 * of different values is estimated, with a standard error of 1.6 %.
 */
export class DistinctValues {
  readonly #counts = new Map<Cell, number>();
  #sketch: CardinalitySketch | undefined;

  add(value: Cell): void {
    const key = typeof value === "string" && value.length > MAX_TEXT ? shortened(value) : value;
    if (this.#sketch !== undefined) {
      this.#sketch.add(key);
      return;
    }
    const count = this.#counts.get(key);
    if (count !== undefined) this.#counts.set(key, count + 1);
    else if (this.#counts.size < MAX_COUNTED_VALUES) this.#counts.set(ownText(key), 1);
    else {
      this.#sketch = new CardinalitySketch(this.#counts.keys());
      this.#sketch.add(key);
      this.#counts.clear();
    }
  }

  get exact(): boolean {
    return this.#sketch === undefined;
  }

  get count(): number {
    return this.#sketch === undefined ? this.#counts.size : Math.max(this.#sketch.estimate(), MAX_COUNTED_VALUES + 1);
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

const REGISTER_BITS = 12;
const REGISTERS = 2 ** REGISTER_BITS;

/** HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) over 64-bit hashes: 4 KiB. */
class CardinalitySketch {
  readonly #registers = new Uint8Array(REGISTERS);
  readonly #hasher = new Hasher();

  constructor(values: Iterable<Cell>) {
    for (const value of values) this.add(value);
  }

  add(value: Cell): void {
    const hasher = this.#hasher.reset();
    if (typeof value === "number") hasher.word(1).number(value);
    else hasher.word(typeof value === "string" ? 2 : 3).text(String(value));
    const { high, low } = hasher.digest();
    const register = high >>> (32 - REGISTER_BITS);
    const rank = Math.clz32(low) + 1;
    if (this.#registers[register]! < rank) this.#registers[register] = rank;
  }

  estimate(): number {
    let sum = 0;
    let zeros = 0;
    for (const rank of this.#registers) {
      sum += 2 ** -rank;
      if (rank === 0) zeros++;
    }
    const raw = ((0.7213 / (1 + 1.079 / REGISTERS)) * REGISTERS * REGISTERS) / sum;
    const linear = zeros > 0 && raw <= 2.5 * REGISTERS;
    return Math.round(linear ? REGISTERS * Math.log(REGISTERS / zeros) : raw);
  }
}
