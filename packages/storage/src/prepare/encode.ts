// Rows as fixed-point inputs and class numbers.
import type { NumericArray } from "../readers/reader.ts";
import { featuresOf, widthOf, type DatasetSchema, type InputColumn } from "../schema/schema.ts";
import type { PlannedColumn } from "./columns.ts";
import type { Scan } from "./scan.ts";
import { NO_CATEGORY, type ScratchBlock } from "./scratch.ts";

/** Encoded rows: `x` row-major, rows x features; `y` class numbers. */
export interface EncodedRows {
  readonly rows: number;
  readonly x: Int8Array;
  readonly y: Uint8Array;
}

/** Inputs that did not fit 8 bits and were cut, by column. */
export type Clipped = Map<string, number>;

/** Encodes one column into the rows of `x`, from position `first` of each. */
type ColumnEncoder = (values: NumericArray, rows: number, x: Int8Array, first: number) => void;

export interface RowEncoder {
  readonly features: number;
  readonly clipped: Clipped;
  encode(block: ScratchBlock): EncodedRows;
  /** Columns whose inputs were the same in every row so far. */
  constant(): string[];
}

/** @param scan of the file that the blocks come from: its codes of categories */
export function createEncoder(schema: DatasetSchema, plan: readonly PlannedColumn[], scan: Scan): RowEncoder {
  const features = featuresOf(schema);
  const clipped: Clipped = new Map();
  const inputAt = plan.flatMap(({ role }, i) => (role === "input" ? [i] : []));
  const encoders = schema.inputs.map((input, k) =>
    encoderOf(input, schema.scale, features, scan.columns[inputAt[k]!]!.categories, clipped),
  );
  const targetAt = plan.findIndex(({ role }) => role === "target");
  const classOf = codesTo(scan.columns[targetAt]!.categories, schema.target.classes);
  const watch = createConstantWatch(schema, features);
  return {
    features,
    clipped,
    constant: watch.constant,
    encode({ rows, columns }) {
      const x = new Int8Array(rows * features);
      let first = 0;
      schema.inputs.forEach((input, k) => {
        encoders[k]!(columns[inputAt[k]!]!, rows, x, first);
        first += widthOf(input);
      });
      watch.look(x, rows);
      return { rows, x, y: Uint8Array.from(columns[targetAt]!, (code) => classOf[code]!) };
    },
  };
}

/** Watches the columns that have not changed yet. */
function createConstantWatch({ inputs }: DatasetSchema, features: number) {
  let first = 0;
  let watched = inputs.map((input) => {
    const columns = { name: input.name, from: first, to: first + widthOf(input) };
    first = columns.to;
    return columns;
  });
  let before: Int8Array | undefined;
  const changes = (x: Int8Array, rows: number, from: number, to: number): boolean => {
    for (let row = 0; row < rows; row++)
      for (let i = from; i < to; i++) if (x[row * features + i] !== before![i]) return true;
    return false;
  };
  return {
    look(x: Int8Array, rows: number): void {
      before ??= x.slice(0, features);
      watched = watched.filter(({ from, to }) => !changes(x, rows, from, to));
    },
    constant: (): string[] => watched.map(({ name }) => name),
  };
}

/** Place of each code's text among the classes. */
const codesTo = (categories: readonly string[], classes: readonly string[]): number[] =>
  categories.map((name) => classes.indexOf(name));

function encoderOf(
  input: InputColumn,
  scale: number | null,
  features: number,
  categories: readonly string[],
  clipped: Clipped,
): ColumnEncoder {
  const one = scale === null ? 1 : 2 ** scale;
  switch (input.kind) {
    case "number": {
      const quantise = quantiser(input, one, clipped);
      return (values, rows, x, first) => {
        for (let row = 0; row < rows; row++) {
          const value = values[row]!;
          x[row * features + first] = quantise(value === value ? value : input.fill);
        }
      };
    }
    case "tensor":
      return tensorEncoder(input, scale, features, clipped);
    case "category": {
      const classOf = codesTo(categories, input.classes);
      return (values, rows, x, first) => {
        for (let row = 0; row < rows; row++)
          if (values[row] !== NO_CATEGORY) x[row * features + first + classOf[values[row]!]!] = one;
      };
    }
    case "ordinal": {
      const quantise = quantiser(input, one, clipped);
      const table = codesTo(categories, input.classes).map(quantise);
      return (values, rows, x, first) => {
        for (let row = 0; row < rows; row++)
          if (values[row] !== NO_CATEGORY) x[row * features + first] = table[values[row]!]!;
      };
    }
    case "text":
      return (values, rows, x, first) => {
        for (let row = 0; row < rows; row++)
          for (let i = 0; i < input.size; i++) x[row * features + first + i] = values[row * input.size + i]! * one;
      };
  }
}

/** floor((value - offset) / divisor * 2^scale + 1/2), cut to 8 bits. */
function quantiser(
  { name, offset, divisor }: InputColumn & { offset: number; divisor: number },
  one: number,
  clipped: Clipped,
) {
  return (value: number): number => {
    const input = Math.floor(((value - offset) / divisor) * one + 0.5);
    if (input >= -128 && input <= 127) return input;
    clipped.set(name, (clipped.get(name) ?? 0) + 1);
    return input < 0 ? -128 : 127;
  };
}

function tensorEncoder(
  input: InputColumn & { kind: "tensor" },
  scale: number | null,
  features: number,
  clipped: Clipped,
): ColumnEncoder {
  const width = widthOf(input);
  const quantise = quantiser(input, scale === null ? 1 : 2 ** scale, clipped);
  const encode = (value: number): number => (scale === null ? value : quantise(value));
  if (input.dtype !== "uint8") return (values, rows, x, first) => copy(values, rows, x, first, encode);
  // 256 values need no arithmetic each; bytes that stay as they are keep their bits
  const table = Int8Array.from({ length: 256 }, (_, byte) => encode(byte));
  const cut = (clipped.get(input.name) ?? 0) > 0;
  clipped.delete(input.name);
  return (values, rows, x, first) => copy(values, rows, x, first, cut ? encode : (byte) => table[byte]!);

  function copy(values: NumericArray, rows: number, x: Int8Array, first: number, of: (value: number) => number): void {
    for (let row = 0; row < rows; row++) {
      const [from, to] = [row * width, row * features + first];
      for (let i = 0; i < width; i++) x[to + i] = of(values[from + i]!);
    }
  }
}
