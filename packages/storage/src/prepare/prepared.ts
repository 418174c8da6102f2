// A dataset on disk, ready for training: files of inputs and classes, and what they mean.
import fs, { type FileHandle } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { Batch } from "../batches.ts";
import { StorageError, storeError } from "../errors.ts";
import { featuresOf, schemaSchema } from "../schema/schema.ts";
import { partFiles } from "./arrange.ts";
import { readBytes } from "./scratch.ts";

const DESCRIPTION = "dataset.json";
const counts = z.array(z.int().min(0));

const descriptionSchema = z.strictObject({
  version: z.literal(1),
  schema: schemaSchema,
  files: z.array(z.strictObject({ name: z.string(), sha256: z.string(), bytes: z.int() })),
  /** Rows of each part, and those that were left out for a missing value. */
  rows: z.strictObject({ train: z.int().min(1), test: z.int().min(0), dropped: z.int().min(0) }),
  /** Rows of each class. */
  classes: z.strictObject({ train: counts, test: counts }),
  /** Columns that are not used, and why. */
  ignored: z.array(z.strictObject({ name: z.string(), why: z.string() })),
  /** By column: missing values, categories that the training part does not have, inputs that were cut to 8 bits. */
  missing: z.record(z.string(), z.int()),
  unknown: z.record(z.string(), z.int()),
  clipped: z.record(z.string(), z.int()),
  /** Columns whose inputs are the same in every row. */
  constant: z.array(z.string()),
});
export type PreparedDescription = z.output<typeof descriptionSchema>;

/** Rows of a dataset that are read when they are needed. */
export interface PreparedPart {
  readonly rows: number;
  /** @returns `count` rows from `first` on */
  read(first: number, count: number): Promise<Batch>;
}

export interface PreparedDataset extends PreparedDescription {
  /** Hash of the files and settings that it was made from. */
  readonly id: string;
  readonly features: number;
  /** In a shuffled order. */
  readonly train: PreparedPart;
  readonly test: PreparedPart;
  /** Removes it from the disk. */
  remove(): Promise<void>;
}

/** The description is written last: a folder that has one is complete. */
export async function writePrepared(folder: string, description: PreparedDescription): Promise<void> {
  const file = path.join(folder, DESCRIPTION);
  try {
    await fs.writeFile(file, JSON.stringify(description, null, 2), { mode: 0o600, flush: true });
  } catch (cause) {
    throw storeError(cause, file);
  }
}

/** @returns undefined when there is none, or when its files do not have the sizes that it names */
export async function openPrepared(folder: string): Promise<PreparedDataset | undefined> {
  let description: PreparedDescription;
  try {
    description = descriptionSchema.parse(JSON.parse(await fs.readFile(path.join(folder, DESCRIPTION), "utf8")));
  } catch {
    return undefined;
  }
  const features = featuresOf(description.schema);
  const parts = { train: partFiles(folder, "train"), test: partFiles(folder, "test") };
  for (const part of ["train", "test"] as const) {
    const sizes = await Promise.all([parts[part].x, parts[part].y].map((file) => fs.stat(file).catch(() => undefined)));
    const rows = description.rows[part];
    if (sizes[0]?.size !== rows * features || sizes[1]?.size !== rows) return undefined;
  }
  return {
    ...description,
    id: path.basename(folder),
    features,
    train: openPart(parts.train, description.rows.train, features),
    test: openPart(parts.test, description.rows.test, features),
    remove: () => fs.rm(folder, { recursive: true, force: true }),
  };
}

function openPart(files: { x: string; y: string }, rows: number, features: number): PreparedPart {
  return {
    rows,
    async read(first, count) {
      if (first < 0 || first + count > rows)
        throw new StorageError("BadBatch", `rows ${first} to ${first + count} of ${rows} do not exist`);
      const [x, y] = await Promise.all([
        readAt(files.x, first * features, count * features),
        readAt(files.y, first, count),
      ]);
      return { x: new Int8Array(x.buffer), y };
    },
  };
}

async function readAt(file: string, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  let handle: FileHandle | undefined;
  try {
    handle = await fs.open(file);
    return await readBytes(handle, position, length);
  } catch (cause) {
    throw storeError(cause, file);
  } finally {
    await handle?.close();
  }
}
