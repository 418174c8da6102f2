// From rows in the order of the file to a shuffled training part and a test part, in bounded memory.
import fs from "node:fs/promises";
import path from "node:path";
import { concatBytes, sha256 } from "@skynet/protocol";
import { below, createWords, shuffledOrder } from "../shuffle.ts";
import { createAppender, type Appender } from "./appender.ts";
import type { EncodedRows } from "./encode.ts";

const BUCKET_BYTES = 64 * 2 ** 20;
const LABEL = new TextEncoder();

/** Files of one part: inputs row-major, and class numbers. */
export const partFiles = (folder: string, part: "train" | "test") => ({
  x: path.join(folder, `${part}.x.bin`),
  y: path.join(folder, `${part}.y.bin`),
});

export interface Split {
  /** Part of the rows that are kept for testing. */
  readonly test: number;
  readonly seed: Uint8Array;
  /** Class of every row; with it each class has the same part in both. */
  readonly classes?: Uint16Array | undefined;
}

/**
 * Whether a row is in the test part, asked for each row in order. Of every class the rounded share is drawn by the seed,
 * and one row at least is left for training. Without `classes` each row is drawn by itself.
 */
export function createSplit({ test, seed, classes }: Split): (row: number) => boolean {
  if (classes === undefined) {
    const words = createWords(seed);
    const limit = Math.round(test * 2 ** 32);
    return () => words() < limit;
  }
  const sizes = new Map<number, number>();
  for (const name of classes) sizes.set(name, (sizes.get(name) ?? 0) + 1);
  const left = new Map([...sizes].map(([name, size]) => [name, Math.min(Math.round(size * test), size - 1)]));
  const isTest = new Uint8Array(classes.length);
  for (const row of shuffledOrder(classes.length, seed)) {
    const open = left.get(classes[row]!)!;
    if (open === 0) continue;
    left.set(classes[row]!, open - 1);
    isTest[row] = 1;
  }
  return (row) => isTest[row] === 1;
}

export interface ArrangeOptions {
  readonly folder: string;
  readonly features: number;
  /** An upper bound of the rows, which decides the number of buckets. */
  readonly rows: number;
  /** Decides the order. */
  readonly seed: Uint8Array;
  /** Rows that go to the test part. */
  readonly isTest: (row: number) => boolean;
  /** Told about every row. */
  readonly onRow: (part: "train" | "test", label: number) => void;
  /** Bytes of rows that are shuffled at once (64 MiB). */
  readonly bucketBytes?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((rows: number, total: number) => void) | undefined;
}

/**
 * Writes rows to the two parts, the training part in a random order by the seed. Rows that do not fit the memory are
 * first thrown into random buckets, each of which is then shuffled: every order is equally likely (Rao 1961, Sandelius
 * 1962).
 * @returns number of rows of each part
 */
export async function arrange(
  blocks: AsyncIterable<EncodedRows>,
  { folder, features, rows, seed, isTest, onRow, bucketBytes = BUCKET_BYTES, signal, onProgress }: ArrangeOptions,
): Promise<{ train: number; test: number }> {
  const recordBytes = features + 1;
  const count = Math.max(1, Math.ceil((rows * recordBytes) / bucketBytes));
  const files = Array.from({ length: count }, (_, i) => path.join(folder, `bucket-${i}.bin`));
  const buckets = await Promise.all(files.map((file) => createAppender(file)));
  const test = await openPart(folder, "test");
  const words = createWords(await sha256(concatBytes(seed, LABEL.encode("buckets"))));
  let row = 0;
  for await (const { rows: size, x, y } of blocks) {
    signal?.throwIfAborted();
    const bytes = new Uint8Array(x.buffer, x.byteOffset, x.length);
    for (let i = 0; i < size; i++) {
      const sample = bytes.subarray(i * features, (i + 1) * features);
      const label = y[i]!;
      if (isTest(row++)) {
        onRow("test", label);
        test.x.add(sample);
        test.y.addByte(label);
        continue;
      }
      onRow("train", label);
      const bucket = buckets[count === 1 ? 0 : below(count, words)]!;
      bucket.add(sample);
      bucket.addByte(label);
    }
    for (const appender of [...buckets, test.x, test.y]) await appender.flushIfFull();
    onProgress?.(row, rows * 2);
  }
  for (const bucket of buckets) await bucket.close();
  const testRows = await closePart(test);
  const train = await openPart(folder, "train");
  for (const [i, file] of files.entries()) {
    signal?.throwIfAborted();
    const order = count === 1 ? seed : await sha256(concatBytes(seed, LABEL.encode(`bucket ${i}`)));
    await shuffleInto(train, file, features, order);
    onProgress?.(rows + Math.ceil((rows * (i + 1)) / count), rows * 2);
  }
  return { train: await closePart(train), test: testRows };
}

interface PartWriter {
  readonly x: Appender;
  readonly y: Appender;
}

async function openPart(folder: string, part: "train" | "test"): Promise<PartWriter> {
  const { x, y } = partFiles(folder, part);
  return { x: await createAppender(x), y: await createAppender(y) };
}

async function closePart({ x, y }: PartWriter): Promise<number> {
  await x.close({ sync: true });
  return y.close({ sync: true });
}

/** Writes the test part in the order of the file. @returns its rows */
export async function writeTestPart(
  blocks: AsyncIterable<EncodedRows>,
  folder: string,
  onRow: ArrangeOptions["onRow"],
): Promise<number> {
  const part = await openPart(folder, "test");
  for await (const { x, y } of blocks) {
    part.x.add(new Uint8Array(x.buffer, x.byteOffset, x.length));
    part.y.add(y);
    for (const label of y) onRow("test", label);
    await Promise.all([part.x.flushIfFull(), part.y.flushIfFull()]);
  }
  return closePart(part);
}

async function shuffleInto(part: PartWriter, file: string, features: number, seed: Uint8Array): Promise<void> {
  const records = await fs.readFile(file);
  await fs.rm(file);
  const recordBytes = features + 1;
  for (const record of shuffledOrder(records.length / recordBytes, seed)) {
    const at = record * recordBytes;
    part.x.add(records.subarray(at, at + features));
    part.y.addByte(records[at + features]!);
    await Promise.all([part.x.flushIfFull(), part.y.flushIfFull()]);
  }
}
