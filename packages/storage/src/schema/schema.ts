import { z } from "zod";

/** Fraction bits of an input (RECIPE). */
export const INPUT_SCALE = 6;

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
  z.strictObject({ kind: z.literal("number"), name: z.string(), ...affine, fill: z.number() }),
  z.strictObject({
    kind: z.literal("tensor"),
    name: z.string(),
    ...affine,
    shape: z.array(z.int().min(1)),
    dtype: z.string(),
  }),
  z.strictObject({ kind: z.literal("category"), name: z.string(), classes: z.array(z.string()) }),
  z.strictObject({ kind: z.literal("ordinal"), name: z.string(), classes: z.array(z.string()), ...affine }),
  z.strictObject({ kind: z.literal("text"), name: z.string(), size: z.int().min(1) }),
]);
export type InputColumn = z.output<typeof inputSchema>;

/** What a prepared dataset consists of: enough to turn another row of the same kind into inputs. */
export const schemaSchema = z.strictObject({
  version: z.literal(1),
  name: z.string(),
  inputs: z.array(inputSchema).min(1),
  /** Fraction bits of the inputs; null: they are bytes as they stand in the file. */
  scale: z.int().min(0).max(7).nullable(),
  target: z.strictObject({ name: z.string(), classes: z.array(z.string()).min(2).max(256) }),
});
export type DatasetSchema = z.output<typeof schemaSchema>;

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
