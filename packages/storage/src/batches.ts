import { tensorId } from "@skynet/protocol";
import { StorageError } from "./errors.ts";
import { INPUT_SCALE } from "./schema/schema.ts";

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

/** Batches that are read when they are needed. */
export interface BatchSource {
  readonly count: number;
  readonly batchSize: number;
  /** Inputs of a sample. */
  readonly features: number;
  batch(index: number): Promise<Batch>;
}

/** Rows in their final order, such as those of a prepared dataset. */
export interface Rows {
  readonly rows: number;
  /** @returns `count` rows from `first` on */
  read(first: number, count: number): Promise<Batch>;
}

/**
 * Cuts rows into full batches. The last one is filled up from the beginning, so that every sample is used: 60,000 samples
 * make 469 batches of 128.
 * @throws StorageError `BadDataset`
 */
export function cutBatches(rows: Rows, features: number, batchSize: number): BatchSource {
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > rows.rows)
    throw new StorageError("BadDataset", `batches of ${batchSize} cannot be cut from ${rows.rows} samples`, {
      hint: "choose smaller batches: batchSize in the job file, or --batch",
    });
  return {
    count: Math.ceil(rows.rows / batchSize),
    batchSize,
    features,
    async batch(index) {
      const first = index * batchSize;
      const own = Math.min(batchSize, rows.rows - first);
      const batch = await rows.read(first, own);
      if (own === batchSize) return batch;
      const filling = await rows.read(0, batchSize - own);
      return { x: joined(Int8Array, batch.x, filling.x), y: joined(Uint8Array, batch.y, filling.y) };
    },
  };
}

function joined<T extends Int8Array | Uint8Array>(Type: new (length: number) => T, first: T, second: T): T {
  const all = new Type(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
