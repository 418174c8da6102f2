import { z } from "zod";
import { StorageError } from "../errors.ts";
import { MAX_INPUTS } from "./dataset-file.ts";

/** Fraction bits of an input (RECIPE). */
export const INPUT_SCALE = 6;

// Schemas also come with models of strangers: what they say must fit into memory and on a screen.
/** Most characters of the name of a dataset or a column, and of a class. */
const MAX_NAME = 200;
const MAX_CLASS_NAME = 1_000;
/** Most columns of a sample, and dimensions of one. */
const MAX_SAMPLE_COLUMNS = 65_536;
const MAX_DIMENSIONS = 32;

const nameSchema = z.string().max(MAX_NAME);
const classSchema = z.string().max(MAX_CLASS_NAME);
const sizeSchema = z.int().min(1).max(MAX_INPUTS);

const affine = { offset: z.number(), divisor: z.number().positive() };

/**
 * How a column becomes inputs. Fixed point: input = floor((value - offset) / divisor * 2^scale + 1/2), cut to the
 * 8 bits of an input.
 * - `number`: one input; a missing value is the mean (`fill`)
 * - `tensor`: as many inputs as elements, all by one offset and divisor
 * - `category`: an input of 0 or 1 for each class; a missing value is 0 in all of them
 * - `ordinal`: one input from the number of the class
 * - `text`: each word sets one of `size` inputs to 1, chosen by its hash
 */
const inputSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("number"), name: nameSchema, ...affine, fill: z.number() }),
  z.strictObject({
    kind: z.literal("tensor"),
    name: nameSchema,
    ...affine,
    shape: z.array(sizeSchema).max(MAX_DIMENSIONS),
    dtype: z.string().max(MAX_NAME),
  }),
  z.strictObject({ kind: z.literal("category"), name: nameSchema, classes: z.array(classSchema).max(256) }),
  z.strictObject({ kind: z.literal("ordinal"), name: nameSchema, classes: z.array(classSchema).max(256), ...affine }),
  z.strictObject({ kind: z.literal("text"), name: nameSchema, size: sizeSchema }),
]);
export type InputColumn = z.output<typeof inputSchema>;

const fieldsSchema = z.strictObject({
  version: z.literal(1),
  name: nameSchema,
  inputs: z.array(inputSchema).min(1).max(MAX_SAMPLE_COLUMNS),
  /** Fraction bits of the inputs; null: they are bytes as they stand in the file. */
  scale: z.int().min(0).max(7).nullable(),
  target: z.strictObject({ name: nameSchema, classes: z.array(classSchema).min(2).max(256) }),
});
export type DatasetSchema = z.output<typeof fieldsSchema>;

/** What a prepared dataset consists of: enough to turn another row of the same kind into inputs. */
export const schemaSchema = fieldsSchema.refine(
  (schema) => featuresOf(schema) <= MAX_INPUTS,
  `a sample has at most ${MAX_INPUTS} inputs`,
);

/** @throws StorageError `BadSchema` for names and classes of data that are longer than a schema may have them */
export function checkLengths({ inputs, target }: Pick<DatasetSchema, "inputs" | "target">): void {
  const tooLong = (what: string, text: string, most: number) =>
    new StorageError("BadSchema", `${what} "${text.slice(0, 40)}…" has ${text.length} characters, at most ${most}`, {
      hint: "shorten it in the data, or leave the column out with type: ignore in dataset.yaml",
    });
  for (const column of [...inputs, target]) {
    if (column.name.length > MAX_NAME) throw tooLong("the name of the column", column.name, MAX_NAME);
    const long = "classes" in column && column.classes.find((name) => name.length > MAX_CLASS_NAME);
    if (long) throw tooLong(`a class of the column "${column.name}",`, long, MAX_CLASS_NAME);
  }
}

/** Number of inputs of one column. */
export function widthOf(input: InputColumn): number {
  switch (input.kind) {
    case "tensor":
      return input.shape.reduce((product, size) => product * size, 1);
    case "category":
      return input.classes.length;
    case "text":
      return input.size;
    default:
      return 1;
  }
}

/** Number of inputs of a sample. */
export const featuresOf = ({ inputs }: Pick<DatasetSchema, "inputs">): number =>
  inputs.reduce((sum, input) => sum + widthOf(input), 0);

/** Shape of a sample: that of its only tensor, else one dimension. */
export function sampleShape(schema: DatasetSchema): number[] {
  const [first, ...others] = schema.inputs;
  if (first!.kind === "tensor" && others.length === 0 && first!.shape.length > 0) return [...first!.shape];
  return [featuresOf(schema)];
}
