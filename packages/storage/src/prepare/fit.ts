// What normalisation needs to know of the training part alone: the test part must not leak into it.
import { Moments, type Summary } from "../inspect/moments.ts";
import type { NumericArray } from "../readers/reader.ts";
import type { PlannedColumn } from "./columns.ts";
import { slotOf, type ScratchBlock } from "./scratch.ts";

const NOTHING: Summary = { count: 0, min: 0, max: 0, mean: 0, variance: 0 };

/**
 * Over all values of a column that are there; zeros for categories, text, and columns without values.
 * @param isTest rows that are left out; asked for each row in order
 */
export async function fitColumns(
  blocks: AsyncIterable<ScratchBlock>,
  plan: readonly PlannedColumn[],
  isTest: (row: number) => boolean,
  onProgress?: (rows: number) => void,
): Promise<Summary[]> {
  const moments = plan.map(({ kind }) => (kind === "number" || kind === "tensor" ? new Moments(1) : undefined));
  let first = 0;
  for await (const { rows, columns } of blocks) {
    const test = Uint8Array.from({ length: rows }, (_, i) => Number(isTest(first + i)));
    moments.forEach((own, i) =>
      own?.add(test.includes(1) ? without(columns[i]!, test, slotOf(plan[i]!).count) : columns[i]!),
    );
    first += rows;
    onProgress?.(first);
  }
  return moments.map((own) => own?.all() ?? NOTHING);
}

/** The values of the rows whose flag is 0. */
function without(values: NumericArray, flags: Uint8Array, count: number): NumericArray {
  const kept = values.slice();
  let to = 0;
  flags.forEach((flag, row) => {
    if (flag === 1) return;
    kept.copyWithin(to, row * count, (row + 1) * count);
    to += count;
  });
  return kept.subarray(0, to);
}
