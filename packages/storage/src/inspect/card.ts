import path from "node:path";
import { fileHash } from "../prepare/file-hash.ts";
import type { ReadOptions } from "../readers/reader.ts";
import type { ColumnReport, Inspection } from "./inspect.ts";
import { figure, markdownTable as table, numberText as number, plain } from "./markdown.ts";
import { soldSection, type SoldDataset } from "./sold-section.ts";

/** A file that the data came from. */
export interface CardSource {
  /** Without the folders above it. */
  readonly name: string;
  readonly bytes: number;
  /** Hexadecimal; of a folder: of the names and hashes of its files. */
  readonly sha256: string;
  readonly part?: CardPart;
}

/** What a file is for, where there is more than one. */
export type CardPart = "train" | "labels" | "test" | "test labels";

export interface CardOptions {
  readonly name: string;
  readonly licence?: string | undefined;
  readonly description?: string | undefined;
  readonly sources: readonly CardSource[];
  /** For a dataset that is for sale: what a buyer gets. */
  readonly sold?: SoldDataset | undefined;
}

const MAX_COLUMNS = 100;
const MAX_CLASSES = 50;

/**
 * Size and SHA-256 of a file or folder, for a card.
 * @throws StorageError `FileNotFound`, `StoreFailed`
 */
export async function cardSource(file: string, part?: CardPart, options?: ReadOptions): Promise<CardSource> {
  const name = path.basename(path.resolve(file));
  return { name, ...(await fileHash(file, options)), ...(part && { part }) };
}

/**
 * The data card of a dataset, `dataset.md`: what is in it, where it comes from, what is wrong with it and how a job uses
 * it. The same inspection makes the same card.
 * @returns Markdown; texts of the data cannot add markup to it
 */
export function dataCard(inspection: Inspection, options: CardOptions): string {
  const sections = [
    `# ${plain(options.name)}`,
    ...(options.description ? [plain(options.description)] : []),
    table(
      ["", ""],
      [
        ["Licence", options.licence ? plain(options.licence) : "not stated"],
        ["Rows", number(inspection.rows)],
        ["Format", inspection.format],
        ["Target", inspection.target ? plain(inspection.target.name) : "none"],
      ],
    ),
    "## Source",
    table(
      ["file", "bytes", "SHA-256"],
      options.sources.map(({ name, bytes, sha256, part }) => [
        `${plain(name)}${part ? ` (${part})` : ""}`,
        number(bytes),
        `\`${sha256}\``,
      ]),
    ),
    "## Columns",
    columnTable(inspection.columns),
    ...classSection(inspection),
    ...splitSection(inspection),
    ...(options.sold ? [] : ["## Normalisation", normalisation(inspection.columns)]),
    "## Problems",
    problemList(inspection),
    ...(inspection.notes.length > 0 ? ["## Notes", inspection.notes.map((note) => `- ${plain(note)}`).join("\n")] : []),
    ...(options.sold
      ? ["## What a buyer gets", soldSection(options.sold, inspection.columns)]
      : ["## Use", use(inspection, options)]),
  ];
  return `${sections.join("\n\n")}\n`;
}

/** Of a column: what a person calls it. */
export function typeName({
  kind,
  dtype,
  shape = [],
  rows,
  missing,
  numbers,
  integers,
  booleans,
}: ColumnReport): string {
  if (kind === "tensor") return shape.length === 0 ? dtype! : `${dtype} [${shape.join(", ")}]`;
  const present = rows - missing;
  if (present === 0) return "empty";
  if (integers === present) return "integer";
  if (numbers > 0.9 * present) return "number";
  return booleans === present ? "boolean" : "text";
}

export const distinctText = ({ distinct, distinctExact }: ColumnReport): string =>
  distinct === undefined ? "" : `${distinctExact ? "" : "about "}${number(distinct)}`;

function columnTable(columns: readonly ColumnReport[]): string {
  const rows = columns.slice(0, MAX_COLUMNS).map((column) => {
    const { name, summary, missing } = column;
    const deviation = summary && Math.sqrt(summary.variance);
    const figures = [summary?.min, summary?.mean, summary?.max, deviation].map(figure);
    return [plain(name), typeName(column), ...figures, number(missing), distinctText(column)];
  });
  const more = columns.length - rows.length;
  const text = table(["name", "type", "min", "mean", "max", "std", "missing", "distinct"], rows);
  return more > 0 ? `${text}\n\nand ${number(more)} more columns.` : text;
}

function classSection({ target, rows }: Inspection): string[] {
  if (target === undefined) return [];
  const shown = target.classes.slice(0, MAX_CLASSES);
  const lines = shown.map(({ value, count }) => [
    plain(String(value)),
    number(count),
    `${((100 * count) / rows).toFixed(1)} %`,
  ]);
  const more = target.classes.length - shown.length;
  return ["## Classes", `${table(["class", "rows", "part"], lines)}${more > 0 ? `\n\nand ${more} more.` : ""}`];
}

function splitSection({ splits }: Inspection): string[] {
  const parts = Object.entries(splits);
  if (parts.length === 0)
    return [
      "## Split",
      "One part; a job keeps a stratified fifth of it for testing unless dataset.yaml says otherwise.",
    ];
  return [
    "## Split",
    table(
      ["part", "rows"],
      parts.map(([name, rows]) => [plain(name), number(rows)]),
    ),
  ];
}

function normalisation(columns: readonly ColumnReport[]): string {
  const rows = columns
    .filter(({ fixedPoint }) => fixedPoint !== undefined)
    .slice(0, MAX_COLUMNS)
    .map(({ name, fixedPoint }) => [
      plain(name),
      figure(fixedPoint!.offset),
      figure(fixedPoint!.divisor),
      String(fixedPoint!.bits),
    ]);
  if (rows.length === 0) return "There are no columns of numbers.";
  return `An input is round((value - offset) / divisor x 2^bits), cut to -128 ... 127, unless dataset.yaml says otherwise.\n\n${table(["column", "offset", "divisor", "bits"], rows)}`;
}

function problemList({ problems, comparedShare }: Inspection): string {
  const looked =
    comparedShare === 1
      ? "All rows were compared."
      : `One row in ${number(1 / comparedShare)} was compared with the others.`;
  if (problems.length === 0) return `None was found. ${looked}`;
  const lines = problems.map(
    ({ column, message }) => `- ${column === undefined ? "" : `${plain(column)}: `}${plain(message)}`,
  );
  return `${lines.join("\n")}\n\n${looked}`;
}

function use({ target }: Inspection, { name, sources }: CardOptions): string {
  const of = (part: string) => sources.find((source) => source.part === part);
  const train = JSON.stringify((of("train") ?? sources[0])?.name ?? "");
  const labels = of("labels");
  const test = of("test");
  const pair = (file: string, targets: CardSource | undefined) =>
    targets ? `{ inputs: ${file}, targets: ${JSON.stringify(targets.name)} }` : file;
  const yaml = [
    `name: ${JSON.stringify(name)}`,
    `train: ${pair(train, labels)}`,
    ...(test ? [`test: ${pair(JSON.stringify(test.name), of("test labels"))}`] : []),
    ...(target && !labels ? [`target: ${JSON.stringify(target.name)}`] : []),
  ];
  const fence = "```";
  return `Put this beside the data as \`dataset.yaml\`:\n\n${fence}yaml\n${yaml.join("\n")}\n${fence}\n\nand name it in \`job.yaml\`:\n\n${fence}yaml\ndata: dataset.yaml\n${fence}`;
}
