import type { NumericArray } from "../readers/reader.ts";

/** Of finite numbers only; the variance is that of the population (divided by the count). */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly variance: number;
}

/**
 * Minimum, maximum, mean and variance of `width` numbers of every row, block by block. A block is summed up in two
 * passes and joined to those before it by the formula of Chan, Golub and LeVeque (1979), which is that of Welford for
 * more than one value: nothing cancels, whatever the offset of the values, and there is no division for each of them.
 */
export class Moments {
  readonly width: number;
  /** Numbers that were left out. */
  nan = 0;
  infinite = 0;
  readonly #count: Float64Array;
  readonly #min: Float64Array;
  readonly #max: Float64Array;
  readonly #mean: Float64Array;
  /** Sum of squared deviations from the mean. */
  readonly #squares: Float64Array;

  constructor(width: number) {
    this.width = width;
    const zeros = () => new Float64Array(width);
    this.#count = zeros();
    this.#min = zeros().fill(Infinity);
    this.#max = zeros().fill(-Infinity);
    this.#mean = zeros();
    this.#squares = zeros();
  }

  /** @param values rows x width, row-major; of those, the first `length` */
  add(values: NumericArray | Float64Array, length: number = values.length): void {
    const count = new Float64Array(this.width);
    const mean = new Float64Array(this.width);
    const squares = new Float64Array(this.width);
    this.#sum(values, length, count, mean);
    for (let j = 0; j < this.width; j++) if (count[j]! > 0) mean[j] = mean[j]! / count[j]!;
    for (let i = 0; i < length;) {
      for (let j = 0; j < this.width; j++, i++) {
        const deviation = values[i]! - mean[j]!;
        if (deviation - deviation === 0) squares[j] = squares[j]! + deviation * deviation;
      }
    }
    for (let j = 0; j < this.width; j++) this.#join(j, count[j]!, mean[j]!, squares[j]!);
  }

  /** First pass: counts and sums of the block, extremes of all. */
  #sum(values: NumericArray | Float64Array, length: number, count: Float64Array, mean: Float64Array): void {
    for (let i = 0; i < length;) {
      for (let j = 0; j < this.width; j++, i++) {
        const value = values[i]!;
        if (value - value !== 0) {
          if (Number.isNaN(value)) this.nan++;
          else this.infinite++;
          continue;
        }
        count[j] = count[j]! + 1;
        mean[j] = mean[j]! + value;
        if (value < this.#min[j]!) this.#min[j] = value;
        if (value > this.#max[j]!) this.#max[j] = value;
      }
    }
  }

  #join(j: number, count: number, mean: number, squares: number): void {
    if (count === 0) return;
    const before = this.#count[j]!;
    const all = before + count;
    const apart = mean - this.#mean[j]!;
    this.#mean[j] = this.#mean[j]! + apart * (count / all);
    this.#squares[j] = this.#squares[j]! + squares + apart * apart * ((before * count) / all);
    this.#count[j] = all;
  }

  /** Of number `j` of the rows; undefined if none was finite. */
  at(j: number): Summary | undefined {
    const count = this.#count[j]!;
    if (count === 0) return undefined;
    const variance = this.#squares[j]! / count;
    return { count, min: this.#min[j]!, max: this.#max[j]!, mean: this.#mean[j]!, variance };
  }

  /** Of all numbers together. */
  all(): Summary | undefined {
    const one = new Moments(1);
    for (let j = 0; j < this.width; j++) {
      if (this.#count[j] === 0) continue;
      one.#join(0, this.#count[j]!, this.#mean[j]!, this.#squares[j]!);
      one.#min[0] = Math.min(one.#min[0]!, this.#min[j]!);
      one.#max[0] = Math.max(one.#max[0]!, this.#max[j]!);
    }
    return one.at(0);
  }
}
