// One row of raw values as the inputs of a model, by the schema of the data that it was trained on.
import { StorageError } from "../errors.ts";
import { isMissing, numberOf } from "../inspect/statistics.ts";
import { hashWords } from "../prepare/hash-words.ts";
import type { Cell } from "../readers/reader.ts";
import { featuresOf, widthOf, type DatasetSchema, type InputColumn } from "./schema.ts";

/** A cell, or the numbers of a tensor. */
export type SampleValue = Cell | readonly number[];

/**
 * Encodes a row as its dataset was: what does not fit 8 bits is cut, a missing number is the column's mean, an unknown
 * category none of the known ones. Columns that the schema does not name are left out.
 * @param what for messages, such as the file and line
 * @throws StorageError `BadFile` for a column that is absent, or a value that is no number
 */
export function encodeSample(
  schema: DatasetSchema,
  row: Readonly<Record<string, SampleValue | undefined>>,
  what: string,
): Int8Array {
  const x = new Int8Array(featuresOf(schema));
  const one = schema.scale === null ? 1 : 2 ** schema.scale;
  let first = 0;
  for (const input of schema.inputs) {
    const value = Object.hasOwn(row, input.name) ? row[input.name] : undefined;
    if (value === undefined)
      throw new StorageError("BadFile", `${what} has no column "${input.name}"`, {
        hint: `the model takes: ${schema.inputs.map(({ name }) => name).join(", ")}`,
      });
    x.set(inputsOf(input, value, one, `${what}, column "${input.name}"`), first);
    first += widthOf(input);
  }
  return x;
}

function inputsOf(input: InputColumn, value: SampleValue, one: number, where: string): ArrayLike<number> {
  if (input.kind === "tensor") return tensorInputs(input, value, one, where);
  if (Array.isArray(value)) throw notThat(where, value, "a single value");
  const cell = value as Cell;
  switch (input.kind) {
    case "number":
      return [quantise(isMissing(cell) ? input.fill : numberIn(cell, where), input, one)];
    case "ordinal": {
      const at = classOf(input.classes, cell);
      return [at < 0 ? 0 : quantise(at, input, one)];
    }
    case "category": {
      const at = classOf(input.classes, cell);
      return input.classes.map((_, i) => (i === at ? one : 0));
    }
    case "text": {
      const words = new Uint8Array(input.size);
      hashWords(cell, words, 0, input.size);
      return words.map((set) => set * one);
    }
  }
}

function tensorInputs(
  input: InputColumn & { readonly kind: "tensor" },
  value: SampleValue,
  one: number,
  where: string,
): number[] {
  const values = Array.isArray(value) ? (value as readonly number[]) : [numberIn(value as Cell, where)];
  if (values.length !== widthOf(input)) throw notThat(where, `${values.length} values`, `${widthOf(input)} numbers`);
  return values.map((each) => quantise(each, input, one));
}

const classOf = (classes: readonly string[], cell: Cell): number => {
  const exact = classes.indexOf(String(cell));
  return exact >= 0 ? exact : classes.indexOf(String(cell).trim());
};

function numberIn(cell: Cell, where: string): number {
  const value = numberOf(cell);
  if (value === undefined || !Number.isFinite(value)) throw notThat(where, cell, "a number");
  return value;
}

const notThat = (where: string, value: unknown, wanted: string) =>
  new StorageError("BadFile", `${where}: ${wanted} is needed, not ${JSON.stringify(value)?.slice(0, 40)}`);

/** See {@link InputColumn}. */
function quantise(value: number, { offset, divisor }: { offset: number; divisor: number }, one: number): number {
  const rounded = Math.floor(((value - offset) / divisor) * one + 0.5);
  return Math.max(-128, Math.min(127, rounded));
}
