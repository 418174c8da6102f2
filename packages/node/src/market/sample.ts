import { quantiseBytes, type IntegerProgram } from "@skynet/proof";
import { InvalidInputError } from "@skynet/protocol";
import { readIdx } from "@skynet/storage";
import { z } from "zod";
import { readInputFile } from "../runtime/files.ts";

/** What a file holds as JSON, or undefined when it is none. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/**
 * One sample as the integers that the model takes: a JSON array of numbers, or an image of an IDX file.
 * @throws InvalidInputError `BadSample`; FileError `FileNotFound`; StorageError `BadIdx`
 */
export async function readSample(program: IntegerProgram, file: string, index: number): Promise<Int8Array> {
  const { features, normalisation } = program.input;
  const bytes = await readInputFile(file, "the sample");
  const numbers = file.endsWith(".json") ? z.array(z.number()).safeParse(parseJson(bytes)).data : undefined;
  if (file.endsWith(".json")) {
    if (numbers === undefined || numbers.length !== features)
      throw new InvalidInputError("BadSample", `${file} is not an array of ${features} numbers`);
    if (normalisation !== null)
      return quantiseBytes(
        program,
        Uint8Array.from(numbers, (value) => byteOf(value, file)),
      );
    return Int8Array.from(numbers, (value) => quantise(value, program.scales.input, file));
  }
  const { shape, data } = await readIdx(bytes);
  const size = shape.slice(1).reduce((a, b) => a * b, 1);
  if (size !== features)
    throw new InvalidInputError("BadSample", `the images of ${file} have ${size} values; the model takes ${features}`);
  if (index >= shape[0]!)
    throw new InvalidInputError("BadSample", `${file} has ${shape[0]} images; there is no number ${index}`);
  return quantiseBytes(program, data.slice(index * size, (index + 1) * size));
}

function byteOf(value: number, file: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 255)
    throw new InvalidInputError("BadSample", `${file} holds ${value}; this model takes bytes, 0 to 255`);
  return value;
}

function quantise(value: number, scale: number, file: string): number {
  const rounded = Math.floor(value * 2 ** scale + 0.5);
  if (!(rounded >= -128 && rounded <= 127))
    throw new InvalidInputError(
      "BadSample",
      `${file} holds ${value}, outside the ${scale} fraction bits of 8-bit inputs`,
    );
  return rounded;
}
