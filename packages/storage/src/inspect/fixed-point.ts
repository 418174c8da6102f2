import { affineOf, BYTES } from "../schema/normalise.ts";
import { INPUT_SCALE } from "../schema/schema.ts";
import type { ColumnStatistics } from "./statistics.ts";

/** input = round((value - offset) / divisor x 2^bits), cut to -128 ... 127. */
export interface FixedPoint {
  readonly offset: number;
  readonly divisor: number;
  readonly bits: number;
}

/** How a column of numbers becomes inputs unless dataset.yaml says otherwise; undefined for other columns. */
export function fixedPointOf(column: ColumnStatistics): FixedPoint | undefined {
  const { summary, kind, dtype, rows, missing, numbers } = column;
  if (summary === undefined) return undefined;
  if (kind === "cells" && numbers <= 0.9 * (rows - missing)) return undefined;
  if (dtype === "uint8") return { offset: Math.round(summary.mean), divisor: BYTES, bits: INPUT_SCALE };
  return { ...affineOf("standard", summary), bits: INPUT_SCALE };
}
