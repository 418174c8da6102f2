// Set-up shared by the tests of this package; not part of its public face.
import type { Batch, BatchSource, Rows } from "./batches.ts";

/** Rows in memory: `x` row-major, as many rows as `y` has labels. */
export function rowsOf(x: Int8Array, y: Uint8Array): Rows {
  const features = x.length / Math.max(1, y.length);
  return {
    rows: y.length,
    read: async (first, count) => ({
      x: x.slice(first * features, (first + count) * features),
      y: y.slice(first, first + count),
    }),
  };
}

export const allBatches = (source: BatchSource): Promise<Batch[]> =>
  Promise.all(Array.from({ length: source.count }, (_, i) => source.batch(i)));
