import { z } from "zod";
import { MAX_COLUMNS } from "../readers/limits.ts";

const MAX_FEATURES = 1_048_576;

/** How numbers become inputs: (value - offset) / divisor. */
const affineSchema = z.strictObject({
  offset: z.number(),
  divisor: z.number().positive(),
});

/**
 * `standard`: mean 0, and four standard deviations fill the range; `minmax`: smallest to -1, largest to 1; `none`: as
 * they are.
 */
const normalisationSchema = z.union(
  [z.enum(["standard", "minmax", "none"]), affineSchema],
  "standard, minmax, none, or { offset: number, divisor: number above 0 }",
);

const columnSchema = z
  .union(
    [
      z.literal("ignore"),
      z.strictObject({
        type: z.enum(["number", "category", "text", "ignore"]).optional(),
        normalise: normalisationSchema.optional(),
        /** Of categories: an input for each class, or one with the number of the class. */
        encoding: z.enum(["one-hot", "ordinal"]).optional(),
        /** Of categories: their order; those of the data by default. */
        classes: z
          .array(
            z.union([z.string(), z.number(), z.boolean()]).transform((name) => String(name).trim().normalize("NFC")),
          )
          .min(2)
          .max(256)
          .refine((names) => new Set(names).size === names.length, "a class is named twice")
          .optional(),
        /** Of text: number of inputs that its words are hashed to. */
        size: z.int().min(2).max(4096).optional(),
        missing: z.enum(["error", "mean", "drop"]).optional(),
      }),
    ],
    "ignore, or { type, normalise, encoding, classes, size, missing }",
  )
  .transform((column) => (column === "ignore" ? ({ type: "ignore" } as const) : column));

/** A file, inputs and targets in two files with as many rows, or arrays of an archive of NumPy. */
const filesSchema = z
  .union(
    [
      z.string().min(1),
      z.strictObject({ inputs: z.string().min(1), targets: z.string().min(1) }),
      z.strictObject({ file: z.string().min(1), arrays: z.array(z.string().min(1)).min(1).max(MAX_COLUMNS) }),
    ],
    "a file, a URL or a CID, { inputs: file, targets: file }, or { file: file.npz, arrays: [name, ...] }",
  )
  .transform((value): { inputs: string; targets: string | undefined; arrays: string[] | undefined } => {
    if (typeof value === "string") return { inputs: value, targets: undefined, arrays: undefined };
    if ("file" in value) return { inputs: value.file, targets: undefined, arrays: value.arrays };
    return { ...value, arrays: undefined };
  });

/** What a dataset.yaml says; everything but `train` may be absent. */
export const datasetFileSchema = z.strictObject({
  name: z.string().min(1).max(100).optional(),
  description: z.string().max(2000).optional(),
  licence: z.string().max(100).optional(),
  train: filesSchema,
  /** Absent: a part of `train`. */
  test: filesSchema.optional(),
  format: z.enum(["csv", "tsv", "jsonl", "text", "parquet", "npy", "npz", "idx", "images"]).optional(),
  /** Of CSV: lines before the table, and whether its first line names the columns. */
  skip: z.int().min(0).max(1000).optional(),
  header: z.boolean().optional(),
  /** Names of the columns in their order, for files that name none. */
  names: z.array(z.string().min(1).max(100)).min(1).max(MAX_COLUMNS).optional(),
  /** Column of the classes. */
  target: z.string().min(1).optional(),
  columns: z.record(z.string(), columnSchema).optional(),
  /** Of all columns that do not say it themselves. */
  normalise: normalisationSchema.optional(),
  image: z
    .strictObject({
      size: z.tuple([z.int().min(1).max(1024), z.int().min(1).max(1024)]).optional(),
      channels: z.union([z.literal(1), z.literal(3)]).optional(),
    })
    .optional(),
  split: z
    .strictObject({
      /** Part of the rows that are kept for testing. */
      test: z.number().min(0.01).max(0.9).default(0.2),
      seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(1),
      /** Every class has the same part in both. */
      stratify: z.boolean().default(true),
    })
    .prefault({}),
});

export type DatasetFile = z.output<typeof datasetFileSchema>;
export type DataFiles = z.output<typeof filesSchema>;
export type ColumnSettings = z.output<typeof columnSchema>;
export type NormalisationChoice = z.output<typeof normalisationSchema>;

/** Largest number of inputs of a sample. */
export const MAX_INPUTS = MAX_FEATURES;
