import type { Cell, Column, RowBlock, TensorColumn } from "../readers/reader.ts";
import { isImageShape, MAX_SHEET_SAMPLES, thumbnail, type SheetSample } from "./contact-sheet.ts";
import { Hasher } from "./hash.ts";
import { valueAt } from "./target.ts";

/** Names of classes as people sort them: 2 before 10. */
export const compareNames = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });

/** A row for people. */
export interface SampleRow {
  readonly where: string;
  /** By column; of tensors their shape, because nobody reads hundreds of numbers. */
  readonly values: readonly Cell[];
}

/** Images that are kept of one class, and classes of which any are kept. */
const PER_CLASS = 32;
const MAX_CLASSES = 64;

/** Draws rows at random, the same ones for the same file, each as likely as any other (Algorithm R, Vitter 1985). */
export class Reservoir<T> {
  readonly #items: { readonly at: number; readonly item: T }[] = [];
  readonly #size: number;
  readonly #hasher = new Hasher();
  #seen = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** @param make is called only for what is drawn */
  offer(make: () => T): void {
    const seen = this.#seen++;
    if (seen < this.#size) {
      this.#items.push({ at: seen, item: make() });
      return;
    }
    const { high, low } = this.#hasher.reset(1).number(seen).digest();
    const at = Math.floor(((high * 2 ** 20 + (low >>> 12)) / 2 ** 52) * (seen + 1));
    if (at < this.#size) this.#items[at] = { at: seen, item: make() };
  }

  /** In the order in which they came. */
  get items(): T[] {
    return this.#items.toSorted((a, b) => a.at - b.at).map(({ item }) => item);
  }
}

/** Images for a contact sheet, as many of each class as there is room for. */
export class SheetSamples {
  readonly #byClass = new Map<string, Reservoir<SheetSample>>();
  readonly #image: number;
  readonly #target: number | undefined;

  /** @returns undefined if there is no column of images */
  static of(
    columns: readonly { shape?: readonly number[]; dtype?: string }[],
    target?: number,
  ): SheetSamples | undefined {
    const image = columns.findIndex(({ shape }) => shape !== undefined && isImageShape(shape));
    return image < 0 ? undefined : new SheetSamples(image, target);
  }

  private constructor(image: number, target: number | undefined) {
    this.#image = image;
    this.#target = target;
  }

  add(block: RowBlock): void {
    const image = block.columns[this.#image] as TensorColumn;
    const target = this.#target === undefined ? undefined : block.columns[this.#target];
    for (let row = 0; row < block.rows; row++) {
      const label = target === undefined ? undefined : String(valueAt(target, row));
      const key = label ?? "";
      let reservoir = this.#byClass.get(key);
      if (reservoir === undefined) {
        if (this.#byClass.size >= MAX_CLASSES) continue;
        reservoir = new Reservoir(label === undefined ? MAX_SHEET_SAMPLES : PER_CLASS);
        this.#byClass.set(key, reservoir);
      }
      reservoir.offer(() =>
        thumbnail({ pixels: bytesOf(image, row), shape: image.shape, ...(label !== undefined && { label }) }),
      );
    }
  }

  /** Sorted by class, as evenly as 64 places allow. */
  result(): SheetSample[] {
    const names = [...this.#byClass.keys()].sort(compareNames);
    const each = names.length <= 1 ? MAX_SHEET_SAMPLES : Math.max(1, Math.floor(MAX_SHEET_SAMPLES / names.length));
    return names.flatMap((name) => this.#byClass.get(name)!.items.slice(0, each)).slice(0, MAX_SHEET_SAMPLES);
  }
}

/** The bytes of an image; numbers of other types are spread from their smallest to their largest. */
function bytesOf({ values, shape }: TensorColumn, row: number): Uint8Array {
  const size = shape.reduce((product, side) => product * side, 1);
  const own = values.subarray(row * size, (row + 1) * size);
  if (own instanceof Uint8Array) return own;
  let [min, max] = [Infinity, -Infinity];
  for (const value of own) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return Uint8Array.from(own, (value) => (max > min ? Math.round((255 * (value - min)) / (max - min)) : 0));
}

export const sampleRow = (block: RowBlock, row: number): SampleRow => ({
  where: block.locate(row),
  values: block.columns.map((column) => cellOf(column, row)),
});

function cellOf(column: Column, row: number): Cell {
  if (column.kind === "cells" || column.shape.length === 0) return valueAt(column, row);
  return column.shape.join(" x ");
}
