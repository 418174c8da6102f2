import type { NormalisationChoice } from "../schema/dataset-file.ts";
import { affineOf, bytesAffine } from "../schema/normalise.ts";
import { INPUT_SCALE } from "../schema/schema.ts";
import type { ColumnStatistics } from "./statistics.ts";

/** input = round((value - offset) / divisor x 2^bits), cut to -128 ... 127. */
export interface FixedPoint {
  readonly offset: number;
  readonly divisor: number;
  readonly bits: number;
}

/**
 * How a column of numbers becomes inputs; undefined for other columns.
 * @param choice what dataset.yaml says of it
 */
export function fixedPointOf(
  column: ColumnStatistics,
  choice: NormalisationChoice | undefined,
): FixedPoint | undefined {
  const { summary, kind, dtype, rows, missing, numbers } = column;
  if (summary === undefined) return undefined;
  if (kind === "cells" && numbers <= 0.9 * (rows - missing)) return undefined;
  if (dtype === "uint8" && choice === undefined) return { ...bytesAffine(column, summary), bits: INPUT_SCALE };
  return { ...affineOf(choice ?? "standard", summary), bits: INPUT_SCALE };
}
