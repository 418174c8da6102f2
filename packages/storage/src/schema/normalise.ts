// From what was seen of the columns to the numbers by which values become inputs.
import { StorageError } from "../errors.ts";
import type { Summary } from "../inspect/moments.ts";
import type { PlannedColumn } from "../prepare/columns.ts";
import type { Scan, ScannedColumn } from "../prepare/scan.ts";
import type { NormalisationChoice } from "./dataset-file.ts";
import { INPUT_SCALE, type DatasetSchema, type InputColumn } from "./schema.ts";

/** The largest input: 8 bits with a sign. */
const LARGEST_INPUT = 127 / 2 ** INPUT_SCALE;
/** What `standard` fits into the range of an input, standard deviations to each side. */
const DEVIATIONS = 4;
/** The range of bytes, by which images are divided as RECIPE does. */
const BYTES = 256;

interface Affine {
  readonly offset: number;
  readonly divisor: number;
}

export interface NormaliseOptions {
  readonly name: string;
  readonly plan: readonly PlannedColumn[];
  readonly scan: Scan;
  /** Of each planned column, over the training part. */
  readonly summaries: readonly Summary[];
  /** What the model states of byte inputs; absent: the mean and 256. */
  readonly bytes?: Affine | undefined;
  /** Where the only input is a column of bytes, they stay as they are: for datasets that are sold. */
  readonly asBytes: boolean;
}

/**
 * The schema of a dataset. Images of bytes are centred by their rounded mean and divided by 256; other numbers get mean 0, and
 * four standard deviations fill the range of an input, unless dataset.yaml says otherwise.
 * @throws StorageError `BadSchema`
 */
export function schemaOf({ name, plan, scan, summaries, bytes, ...options }: NormaliseOptions): DatasetSchema {
  const targetAt = plan.findIndex(({ role }) => role === "target");
  const inputPlans = plan.filter(({ role }) => role === "input");
  const isBytes = ({ kind, dtype }: PlannedColumn) => kind === "tensor" && dtype === "uint8";
  const asBytes = options.asBytes && inputPlans.length === 1 && isBytes(inputPlans[0]!);
  const inputs = plan.flatMap((column, i) =>
    column.role === "input"
      ? [inputOf(column, scan.columns[i]!, summaries[i]!, asBytes ? { offset: 0, divisor: 1 } : bytes)]
      : [],
  );
  if (bytes !== undefined && !inputPlans.every(isBytes))
    throw new StorageError("BadSchema", "the model states how bytes become inputs, but the data are not bytes", {
      hint: 'leave "skynet.input.offset" and "skynet.input.divisor" out of the model',
    });
  const classes = classNames(scan.columns[targetAt]!.categories, plan[targetAt]!.classes);
  const target = { name: plan[targetAt]!.name, classes };
  return { version: 1, name, inputs, scale: asBytes ? null : INPUT_SCALE, target };
}

function inputOf(
  column: PlannedColumn,
  scanned: ScannedColumn,
  summary: Summary,
  bytes: Affine | undefined,
): InputColumn {
  const { kind, name, shape, dtype, normalise, size } = column;
  switch (kind) {
    case "number":
      return { kind, name, fill: summary.mean, ...affineOf(normalise ?? "standard", summary) };
    case "tensor": {
      const own = { kind, name, shape: [...shape], dtype };
      if (dtype !== "uint8") return { ...own, ...affineOf(normalise ?? "standard", summary) };
      const chosen = normalise === undefined ? undefined : affineOf(normalise, summary);
      if (bytes && chosen && (chosen.offset !== bytes.offset || chosen.divisor !== bytes.divisor))
        throw new StorageError(
          "BadSchema",
          `column "${name}": the model normalises bytes by (${bytes.offset}, ${bytes.divisor}), dataset.yaml by (${chosen.offset}, ${chosen.divisor})`,
          { hint: "leave normalise out of dataset.yaml, or the metadata out of the model" },
        );
      return { ...own, ...(bytes ?? chosen ?? bytesAffine(column, summary)) };
    }
    case "text":
      return { kind, name, size };
    case "category": {
      const classes = sortedCategories(scanned.categories, column.classes);
      if (column.encoding === "one-hot") return { kind, name, classes };
      const last = Math.max(1, classes.length - 1);
      const range = { count: 1, mean: last / 2, variance: (last / 4) ** 2, min: 0, max: last };
      return { kind: "ordinal", name, classes, ...affineOf(normalise ?? "minmax", range) };
    }
  }
}

/** By how much of its values a column must change to be more than the rounding of its numbers. */
const CHANGE = 1e-9;

/** Numbers by which a column becomes inputs; one that never changes is divided by 1: its input is 0. */
export function affineOf(choice: NormalisationChoice, { mean, variance, min, max }: Summary): Affine {
  if (typeof choice === "object") return choice;
  if (choice === "none") return { offset: 0, divisor: 1 };
  const largest = Math.max(Math.abs(min), Math.abs(max));
  const divisor = choice === "minmax" ? (max - min) / 2 : (DEVIATIONS * Math.sqrt(variance)) / LARGEST_INPUT;
  const changes = max - min > CHANGE * largest;
  return { offset: choice === "minmax" ? (min + max) / 2 : mean, divisor: changes ? divisor : 1 };
}

/** Bytes that are an image's: in two dimensions or more, and over a quarter of their range at least. */
export function bytesAffine({ shape }: { readonly shape?: readonly number[] | undefined }, summary: Summary): Affine {
  const isImage = (shape ?? []).length >= 2 && summary.max - summary.min >= BYTES / 4;
  return isImage ? { offset: Math.round(summary.mean), divisor: BYTES } : affineOf("standard", summary);
}

const isCount = (name: string): boolean => /^(0|[1-9]\d{0,2})$/.test(name);

/** Numbers in their order, else texts in that of their code units: the same on every machine. */
export function sortedCategories(names: readonly string[], said: readonly string[] | undefined): string[] {
  if (said !== undefined) return [...said];
  const numeric = names.every((name) => name !== "" && Number.isFinite(Number(name)));
  return names.toSorted((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : Number(a > b)));
}

/** Names of the classes. Where they are integers from 0 to 255, a class is its own number, also if some do not occur. */
export function classNames(names: readonly string[], said: readonly string[] | undefined): string[] {
  const classes = sortedCategories(names, said);
  const largest = Number(classes.at(-1));
  if (said === undefined && classes.every(isCount) && largest <= 255)
    return Array.from({ length: Math.max(2, largest + 1) }, (_, i) => String(i));
  if (classes.length < 2)
    throw new StorageError("BadSchema", `the target has ${classes.length} class`, {
      hint: "a model needs at least two classes to tell apart",
    });
  return classes;
}
