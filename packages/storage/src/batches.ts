import { tensorId } from "@skynet/protocol";
import { StorageError } from "./errors.ts";
import { shuffledOrder } from "./shuffle.ts";

/** Fraction bits of a quantised input. */
export const INPUT_SCALE = 6;

/** One fixed batch: `x` row-major [batchSize, features], value x / 2^scale; `y` class numbers. */
export interface Batch {
  readonly x: Int8Array;
  readonly y: Uint8Array;
}

/** Identity of a batch, the leaf of the dataset's Merkle tree: 32 bytes. */
export function batchLeaf({ x, y }: Batch, features: number, scale: number = INPUT_SCALE): Uint8Array {
  return tensorId("batch", [
    { shape: [y.length, features], scale, data: x },
    { shape: [y.length], scale: 0, data: y },
  ]);
}

export interface BuildBatchesOptions {
  /** Quantised inputs, row-major: `labels.length` rows. */
  readonly images: Int8Array;
  readonly labels: Uint8Array;
  readonly batchSize: number;
  /** Decides the order. */
  readonly seed: Uint8Array;
}

/**
 * Cuts a dataset into full batches in a shuffled order that depends only on the seed. The last batch is filled up from
 * the beginning of that order, so every sample is used: 60,000 samples make 469 batches of 128.
 * @throws StorageError `BadDataset`
 */
export function buildBatches({ images, labels, batchSize, seed }: BuildBatchesOptions): Batch[] {
  const count = labels.length;
  const features = images.length / count;
  if (count === 0 || !Number.isInteger(features) || features === 0)
    throw new StorageError("BadDataset", `${images.length} input values do not divide into ${count} labelled rows`, {
      hint: "images and labels must come from the same set",
    });
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > count)
    throw new StorageError("BadDataset", `batches of ${batchSize} cannot be cut from ${count} samples`);
  const order = shuffledOrder(count, seed);
  return Array.from({ length: Math.ceil(count / batchSize) }, (_, index) => {
    const x = new Int8Array(batchSize * features);
    const y = new Uint8Array(batchSize);
    for (let row = 0; row < batchSize; row++) {
      const sample = order[(index * batchSize + row) % count]!;
      x.set(images.subarray(sample * features, (sample + 1) * features), row * features);
      y[row] = labels[sample]!;
    }
    return { x, y };
  });
}
