import { quantiseBytes, type IntegerProgram } from "@skynet/proof";
import { InvalidInputError } from "@skynet/protocol";
import {
  encodeSample,
  numberOf,
  openReader,
  readRow,
  type Column,
  type DatasetSchema,
  type RowBlock,
  type SampleValue,
} from "@skynet/storage";
import { z } from "zod";
import { readInputFile } from "../runtime/files.ts";

const value = z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.number()).max(1_048_576)]);
const rowSchema = z.record(z.string(), value);

/** What a file holds as JSON, or undefined when it is none. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/**
 * One sample as the integers that the model takes: a JSON array of numbers, or a row of any file of data. Of a row all
 * numbers are taken, column by column, or the one column that has as many as the model takes. Where the model says what
 * data it was trained on, raw values are: a row with its columns, or a JSON object of them.
 * @param index which row, from 0
 * @throws InvalidInputError `BadSample`; FileError `FileNotFound`; StorageError of the readers, `BadDataset` for a row that is not there
 */
export async function readSample(
  program: IntegerProgram,
  file: string,
  index: number,
  schema?: DatasetSchema,
): Promise<Int8Array> {
  const { features, normalisation } = program.input;
  if (file.endsWith(".json")) {
    const json = parseJson(await readInputFile(file, "the sample"));
    const raw = schema && rowSchema.safeParse(json).data;
    if (raw !== undefined) return fitting(encodeSample(schema!, raw, file), features, file);
    const numbers = z.array(z.number()).safeParse(json).data;
    if (numbers === undefined || numbers.length !== features)
      throw new InvalidInputError("BadSample", `${file} is not an array of ${features} numbers`);
    return toInputs(program, numbers, file);
  }
  const reader = await openReader(file);
  try {
    const row = await readRow(reader, index);
    if (schema?.inputs.every(({ name }) => row.columns.some((column) => column.name === name)))
      return fitting(encodeSample(schema, valuesOf(row), `${file}, ${row.locate(0)}`), features, file);
    const numbers = numbersOf(row, features, file);
    if (normalisation === null && numbers instanceof Uint8Array) return quantiseBytes(program, numbers);
    return toInputs(program, [...numbers], `${file}, ${row.locate(0)},`);
  } finally {
    await reader.close();
  }
}

/** The values of a row by their columns. */
const valuesOf = ({ columns }: RowBlock): Record<string, SampleValue> =>
  Object.fromEntries(
    columns.map(({ name, kind, values }) => [name, kind === "cells" ? values[0]! : Array.from(values)]),
  );

function fitting(x: Int8Array, features: number, file: string): Int8Array {
  if (x.length === features) return x;
  throw new InvalidInputError("BadSample", `a row of ${file} has ${x.length} inputs; the model takes ${features}`);
}

/** The values of a row that the model takes. */
function numbersOf(
  { columns, locate }: RowBlock,
  features: number,
  file: string,
): ArrayLike<number> & Iterable<number> {
  const whole = columns.filter(({ kind, values }) => kind === "tensor" && values.length === features);
  if (whole.length === 1) return whole[0]!.values as Extract<Column, { kind: "tensor" }>["values"];
  const length = columns.reduce((sum, { values }) => sum + values.length, 0);
  if (length !== features)
    throw new InvalidInputError("BadSample", `a row of ${file} has ${length} values; the model takes ${features}`, {
      hint: "Give the inputs only, without the column of the classes.",
    });
  return columns.flatMap(({ name, values }) =>
    [...values].map((cell) => {
      const value = numberOf(cell);
      if (value !== undefined) return value;
      throw new InvalidInputError(
        "BadSample",
        `${file}, ${locate(0)}, column "${name}": ${JSON.stringify(cell)} is no number`,
      );
    }),
  );
}

function toInputs(program: IntegerProgram, numbers: readonly number[], where: string): Int8Array {
  if (program.input.normalisation === null)
    return Int8Array.from(numbers, (value) => quantise(value, program.scales.input, where));
  return quantiseBytes(
    program,
    Uint8Array.from(numbers, (value) => byteOf(value, where)),
  );
}

function byteOf(value: number, where: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 255)
    throw new InvalidInputError("BadSample", `${where} holds ${value}; this model takes bytes, 0 to 255`);
  return value;
}

function quantise(value: number, scale: number, where: string): number {
  const rounded = Math.floor(value * 2 ** scale + 0.5);
  if (!(rounded >= -128 && rounded <= 127))
    throw new InvalidInputError(
      "BadSample",
      `${where} holds ${value}, outside the ${scale} fraction bits of 8-bit inputs`,
    );
  return rounded;
}
