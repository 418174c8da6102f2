// Places of the small circuit, and changes of single values.
import type { Alter, Tensors } from "../reference/witness.ts";
import type { Circuit } from "../circuit/circuit.ts";

/** Cells are sample + 4 unit; sample 3, class 3 and hidden unit 3 are padding. */
export const SAMPLES = 4;
export const cell = (sample: number, unit: number): number => sample + SAMPLES * unit;
export const PADDED = 3;

/** Cells of real samples and units. */
export const REAL = [0, 1, 2].flatMap((unit) => [0, 1, 2].map((sample) => cell(sample, unit)));

/** Calls what is named when it is computed. */
export const on = (changes: Record<string, (values: bigint[]) => void>): Alter => {
  return (name, values) => changes[name]?.(values);
};

export const add =
  (at: number, by: bigint) =>
  (values: bigint[]): void => {
    values[at]! += by;
  };

export const set =
  (at: number, value: bigint) =>
  (values: bigint[]): void => {
    values[at] = value;
  };

/** The first place where this holds. @throws Error when the inputs of the tests do not offer one */
export function find(values: readonly bigint[], holds: (value: bigint, at: number) => boolean): number {
  const at = values.findIndex(holds);
  if (at < 0) throw new Error("the inputs offer no such cell");
  return at;
}

/** Where a cell of a slot lies in its tensor. */
export const place = ({ slots }: Circuit, slot: string, at = 0): number => slots.get(slot)!.offset + at;

export const readSlot = ({ slots }: Circuit, tensors: Tensors, slot: string): bigint[] => {
  const { tensor, offset, vars } = slots.get(slot)!;
  return tensors.get(tensor)!.slice(offset, offset + 2 ** vars);
};
