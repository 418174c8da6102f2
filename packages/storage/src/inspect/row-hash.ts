import type { Column, RowBlock } from "../readers/reader.ts";
import { Hasher, type Hash64 } from "./hash.ts";

/** What every hash begins with. */
const SEED = 0x5eed;

/** Hashes rows over some columns: equal values of equal types have equal hashes. */
export class RowHasher {
  readonly #hasher = new Hasher();
  readonly #columns: readonly number[];

  /** @param columns positions of those that count */
  constructor(columns: readonly number[]) {
    this.#columns = columns;
  }

  hash(block: RowBlock, row: number): Hash64 {
    const hasher = this.#hasher.reset(SEED);
    for (const at of this.#columns) addValue(hasher, block.columns[at]!, row);
    return hasher.digest();
  }
}

function addValue(hasher: Hasher, column: Column, row: number): void {
  if (column.kind === "cells") {
    const cell = column.values[row]!;
    if (typeof cell === "string") hasher.word(2).text(cell);
    else if (typeof cell === "number") hasher.word(1).number(cell);
    else hasher.word(cell === null ? 3 : cell ? 4 : 5);
    return;
  }
  const { values, shape } = column;
  const size = shape.reduce((product, side) => product * side, 1);
  const end = (row + 1) * size;
  if (values instanceof Float32Array || values instanceof Float64Array)
    for (let i = row * size; i < end; i++) hasher.number(values[i]!);
  else for (let i = row * size; i < end; i++) hasher.word(values[i]!);
}
