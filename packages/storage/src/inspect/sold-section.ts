import type { ColumnReport } from "./inspect.ts";
import { widthOf, type DatasetSchema, type InputColumn } from "../schema/schema.ts";
import { markdownTable, numberText, plain } from "./markdown.ts";

/** A dataset as a listing sells it. */
export interface SoldDataset {
  readonly schema: DatasetSchema;
  readonly samples: number;
}

const MAX_INPUTS = 100;
const MAX_TEXT = 180;
/** A category of fewer rows may tell who somebody is: categories of a column with one have no names in a card. */
const MIN_ROWS = 5;

/**
 * What the inputs and classes of a bought dataset mean.
 * @param columns what was seen of them
 * @returns Markdown
 */
export function soldSection({ schema, samples }: SoldDataset, columns: readonly ColumnReport[]): string {
  const { inputs, scale, target } = schema;
  const features = inputs.reduce((sum, input) => sum + widthOf(input), 0);
  const head = `${numberText(samples)} samples of ${numberText(features)} inputs each, in a shuffled order, with the number of their class: IDX files, and a dataset.yaml for jobs.`;
  let next = 0;
  const rows = inputs.slice(0, MAX_INPUTS).map((input) => {
    const first = next;
    next += widthOf(input);
    const range = next - first === 1 ? String(first) : `${first} to ${next - 1}`;
    return [range, plain(input.name), ...meaning(input, scale, columns)];
  });
  const more = inputs.length - rows.length;
  const classes = target.classes.map((name, i) => [String(i), plain(name)]);
  return [
    [head, ...encoding(inputs, scale, columns)].join(" "),
    markdownTable(["inputs", "column", "as", "offset", "divisor"], rows),
    ...(more > 0 ? [`and ${numberText(more)} more columns.`] : []),
    markdownTable(["class", plain(target.name)], classes),
  ].join("\n\n");
}

/** How values became inputs. */
function encoding(inputs: readonly InputColumn[], scale: number | null, columns: readonly ColumnReport[]): string[] {
  if (scale === null) return ["Inputs are the bytes of the source."];
  const one = 2 ** scale;
  const isFilled = ({ kind, name }: InputColumn) =>
    kind === "number" && columns.some((column) => column.name === name && column.missing > 0);
  return [
    `Inputs are whole numbers from -128 to 127 with ${scale} fraction bits: round((value - offset) / divisor x ${one}).`,
    ...(inputs.some(({ kind }) => kind === "category")
      ? [`Categories are ${one} at the input of their class and 0 at the others.`]
      : []),
    ...(inputs.some(isFilled) ? ["Numbers that were missing are the mean."] : []),
  ];
}

function meaning(input: InputColumn, scale: number | null, columns: readonly ColumnReport[]): string[] {
  const affine = "offset" in input && scale !== null ? [exact(input.offset), exact(input.divisor)] : ["", ""];
  switch (input.kind) {
    case "tensor":
      return [`${input.dtype} [${input.shape.join(", ")}]`, ...affine];
    case "category":
      return [`one of ${categories(input, columns)}`, ...affine];
    case "ordinal":
      return [`number in ${categories(input, columns)}`, ...affine];
    case "text":
      return ["words, by their hash", ...affine];
    default:
      return ["number", ...affine];
  }
}

function categories(
  { name, classes }: { readonly name: string; readonly classes: readonly string[] },
  columns: readonly ColumnReport[],
): string {
  const seen = columns.find((column) => column.name === name);
  const hidden = seen === undefined || !seen.distinctExact || seen.values.some(({ count }) => count < MIN_ROWS);
  if (hidden) return `${numberText(classes.length)} categories, some of them rare`;
  const names = classes.join(", ");
  return plain(names.length > MAX_TEXT ? `${names.slice(0, MAX_TEXT)}…` : names);
}

/** With all digits that count: other data are brought to the same scale with it. */
const exact = (value: number): string => String(Number(value.toPrecision(9)));
