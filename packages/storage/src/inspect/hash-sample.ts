import type { Hash64 } from "./hash.ts";

/** Hashes that are kept: 32 MiB. */
const MAX_KEPT = 2 ** 21;
const FIRST_SLOTS = 2 ** 12;

/**
 * A set of 64-bit hashes of bounded size, to find rows that come twice. As long as there is room it is exact; after
 * that it goes on with half, a quarter, ... of all values, chosen by the hash itself, so that equal rows are always both
 * in or both out. At 2 million rows two different ones are taken for equal with a chance of 2^-23.
 */
export class HashSample {
  readonly #maxKept: number;
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  #kept = 0;
  /** One of 2^level values is looked at. */
  #level = 0;
  /** Rows that came again, by the number of zeros at the end of their hash: what the levels count. */
  readonly #repeats = new Float64Array(33);

  constructor(maxKept: number = MAX_KEPT) {
    this.#maxKept = maxKept;
  }

  /** 1: all rows are looked at. */
  get share(): number {
    return 2 ** -this.#level;
  }

  /** Rows that are equal to an earlier one, among those that are looked at. */
  get repeats(): number {
    return this.#repeats.subarray(this.#level).reduce((sum, count) => sum + count, 0);
  }

  add(hash: Hash64): void {
    const zeros = trailingZeros(hash.high);
    if (zeros < this.#level) return;
    if (!this.#insert(this.#slots, hash.high, hash.low)) {
      this.#repeats[zeros] = this.#repeats[zeros]! + 1;
      return;
    }
    this.#kept++;
    if (this.#kept > this.#maxKept) this.#thin();
    else if (this.#kept * 4 > this.#slots.length) this.#rebuild(this.#slots.length * 2);
  }

  /** Whether this one was added; undefined if it is not among those that are looked at. */
  has(hash: Hash64): boolean | undefined {
    if (trailingZeros(hash.high) < this.#level) return undefined;
    const at = find(this.#slots, hash.high, hash.low);
    return this.#slots[at] !== 0 || this.#slots[at + 1] !== 0;
  }

  /** How many different values are in both, among those that both look at. */
  common(other: HashSample): number {
    let common = 0;
    for (let at = 0; at < this.#slots.length; at += 2) {
      const [high, low] = [this.#slots[at]!, this.#slots[at + 1]!];
      if ((high !== 0 || low !== 0) && other.has({ high, low }) === true) common++;
    }
    return common;
  }

  #insert(slots: Uint32Array, high: number, low: number): boolean {
    const at = find(slots, high, low);
    if (slots[at] !== 0 || slots[at + 1] !== 0) return false;
    slots[at] = high;
    // 0, 0 is an empty slot.
    slots[at + 1] = high === 0 && low === 0 ? 1 : low;
    return true;
  }

  #thin(): void {
    this.#level++;
    this.#rebuild(this.#slots.length);
  }

  #rebuild(length: number): void {
    const slots = new Uint32Array(length);
    this.#kept = 0;
    for (let at = 0; at < this.#slots.length; at += 2) {
      const [high, low] = [this.#slots[at]!, this.#slots[at + 1]!];
      if ((high === 0 && low === 0) || trailingZeros(high) < this.#level) continue;
      this.#insert(slots, high, low);
      this.#kept++;
    }
    this.#slots = slots;
  }
}

const trailingZeros = (word: number): number => (word === 0 ? 32 : 31 - Math.clz32(word & -word));

/** Where a hash is, or would be: the slots are probed one after the other. */
function find(slots: Uint32Array, high: number, low: number): number {
  const mask = slots.length / 2 - 1;
  const wanted = high === 0 && low === 0 ? 1 : low;
  for (let slot = (wanted ^ (high >>> 7)) & mask; ; slot = (slot + 1) & mask) {
    const at = 2 * slot;
    const [a, b] = [slots[at]!, slots[at + 1]!];
    if ((a === high && b === wanted) || (a === 0 && b === 0)) return at;
  }
}
