import { StorageError } from "../errors.ts";
import type { Cell } from "./reader.ts";
import { lineError } from "./text-chunks.ts";

/** A record by itself. */
export interface SampleRecord {
  readonly line: number;
  readonly cells: readonly Cell[];
}

/** What the start of a table says about all of it. */
export interface Header {
  readonly columns: readonly string[];
  /** Records at the start that are not rows. */
  readonly records: 0 | 1;
  /** Names of the classes whose numbers the last column has, as scikit-learn's files say in their first line. */
  readonly classes?: readonly string[];
  /** Rows that the first line announces beside them. */
  readonly rows?: number;
}

const DELIMITERS = [",", ";", "\t", "|"];
const SAMPLE_LINES = 20;

/**
 * The delimiter that cuts the first lines into the same number of cells, the largest one if several do; else the one that
 * the first line has most of, or a comma.
 * @param text the start of a table, some 64 KiB
 */
export function sniffDelimiter(text: string): string {
  const lines = text
    .replaceAll(/"(?:[^"]|"")*"/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, SAMPLE_LINES);
  const counts = DELIMITERS.map((delimiter) => lines.map((line) => line.split(delimiter).length - 1));
  const even = counts.map((count) => (count.every((found) => found === count[0]) ? (count[0] ?? 0) : 0));
  const most = counts.map((count) => Math.max(0, ...count));
  const best = Math.max(...even) > 0 ? even : most;
  return DELIMITERS[best.indexOf(Math.max(...best))]!;
}

/**
 * Tells the columns from the first records: scikit-learn's first line (rows, features, names of classes), a header (all
 * cells are different and no numbers), or none: columns are named c1, c2, ...
 * @throws StorageError `BadFile` with the line
 */
export function findHeader(
  sample: readonly SampleRecord[],
  { file, header }: { file: string; header?: boolean | undefined },
): Header {
  const [first, second] = sample;
  if (first === undefined)
    throw new StorageError("BadFile", `${file}: no rows`, { hint: "the file is empty; check that it is complete" });
  const announced = header === undefined ? sklearnHeader(sample) : undefined;
  if (announced !== undefined) return announced;
  if (second !== undefined && second.cells.length !== first.cells.length)
    throw lineError(
      file,
      second.line,
      `${second.cells.length} cells, but ${first.cells.length} in line ${first.line}`,
      `if line ${first.line} is not part of the table, leave it out with \`skip: ${first.line}\``,
    );
  if (!(header ?? looksLikeNames(first.cells)))
    return { columns: first.cells.map((_, column) => `c${column + 1}`), records: 0 };
  const columns = first.cells.map((cell, column) => String(cell ?? "").trim() || `c${column + 1}`);
  const twice = columns.find((name, column) => columns.indexOf(name) !== column);
  if (twice !== undefined)
    throw lineError(
      file,
      first.line,
      `two columns are named ${JSON.stringify(twice)}`,
      "rename one, or say `header: false`",
    );
  return { columns, records: 1 };
}

/** The index that pandas writes has no name. */
function looksLikeNames(cells: readonly Cell[]): boolean {
  const named = cells[0] === null && cells.length > 1 ? cells.slice(1) : cells;
  const names = named.map((cell) => String(cell ?? "").trim());
  return names.every((name) => name !== "" && !isValue(name)) && new Set(names).size === names.length;
}

function isValue(text: string): boolean {
  return !Number.isNaN(Number(text)) || /^(nan|[+-]?inf(inity)?|na|n\/a|null|none|true|false|\?)$/i.test(text);
}

const isCount = (cell: Cell | undefined): cell is string => /^[1-9]\d{0,14}$/.test(String(cell ?? ""));

function sklearnHeader([first, ...rows]: readonly SampleRecord[]): Header | undefined {
  const [count, features, ...names] = first?.cells ?? [];
  if (!isCount(count) || !isCount(features) || names.length < 2 || rows.length === 0) return undefined;
  if (!looksLikeNames(names)) return undefined;
  const width = Number(features) + 1;
  const isRow = ({ cells }: SampleRecord) =>
    cells.length === width &&
    cells.every((cell) => cell !== null && !Number.isNaN(Number(cell))) &&
    classOf(cells.at(-1)!, names);
  if (!rows.every(isRow)) return undefined;
  const columns = Array.from({ length: width - 1 }, (_, column) => `c${column + 1}`);
  return { columns: [...columns, "label"], records: 1, classes: names.map(String), rows: Number(count) };
}

/** Name of a class by the number in a cell; undefined unless there is one. */
export function classOf(cell: Cell, names: readonly Cell[]): string | undefined {
  if (!/^\d{1,5}$/.test(String(cell))) return undefined;
  const name = names[Number(cell)];
  return name === undefined ? undefined : String(name);
}
