// Which column of a file is what: from dataset.yaml, else from the first rows.
import { StorageError } from "../errors.ts";
import { numberOf, type ColumnStatistics } from "../inspect/statistics.ts";
import type { ColumnInfo } from "../readers/reader.ts";
import type { ColumnSettings, DatasetFile, NormalisationChoice } from "../schema/dataset-file.ts";
import { canBeClasses, targetCandidates } from "../schema/target-column.ts";

export type MissingPolicy = "error" | "mean" | "drop";

/** What is kept of a column while the file is read. */
export interface PlannedColumn {
  readonly name: string;
  /** Position among the columns of the reader. */
  readonly index: number;
  readonly role: "input" | "target";
  readonly kind: "number" | "category" | "text" | "tensor";
  readonly normalise: NormalisationChoice | undefined;
  readonly encoding: "one-hot" | "ordinal";
  /** Of categories: whether all values of the training part are numbers, so that 1 and 1.0 are the same. */
  readonly numeric: boolean;
  /** In this order, when dataset.yaml says it. */
  readonly classes: readonly string[] | undefined;
  readonly missing: MissingPolicy;
  /** Of text: inputs. */
  readonly size: number;
  /** Of tensors. */
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** What dataset.yaml says of columns. */
export type ColumnChoices = Pick<DatasetFile, "columns" | "target" | "normalise">;

export interface ColumnPlan {
  readonly columns: readonly PlannedColumn[];
  /** Columns that are not used, and why, for people. */
  readonly ignored: readonly { readonly name: string; readonly why: string }[];
}

/** From so many rows the types of the columns are inferred. */
export const INFER_ROWS = 20_000;
/** More different texts than these are no categories. */
export const MAX_CATEGORIES = 64;
const HASHED_WORDS = 256;

/** Values that are there. */
const present = ({ rows, missing }: ColumnStatistics): number => rows - missing;
const areNumbers = (seen: ColumnStatistics): boolean =>
  present(seen) > 0 && seen.numbers + seen.nan + seen.infinite === present(seen);
const areIntegers = (seen: ColumnStatistics): boolean => seen.integers === present(seen);
/** A few texts among numbers are mistakes, to be told with their lines, and make no category of them. */
const areMostlyNumbers = (seen: ColumnStatistics): boolean => seen.numbers > 0.9 * present(seen);

/**
 * Decides about every column.
 * @param seen of the first rows of the file
 * @param options.inputColumns the columns behind so many come from the file of the targets
 * @param options.splitAt a column that tells the parts apart, never an input
 * @throws StorageError `BadSchema`
 */
export function planColumns(
  infos: readonly ColumnInfo[],
  seen: readonly ColumnStatistics[],
  file: ColumnChoices,
  { inputColumns, splitAt }: { readonly inputColumns: number; readonly splitAt: number | undefined },
): ColumnPlan {
  const settings = file.columns ?? {};
  const names = infos.map(({ name }) => name);
  for (const name of [...Object.keys(settings), ...(file.target === undefined ? [] : [file.target])])
    if (!names.includes(name))
      throw new StorageError("BadSchema", `there is no column "${name}"`, { hint: `the columns are: ${list(names)}` });
  const target = targetOf(infos, seen, file, inputColumns);
  const columns: PlannedColumn[] = [];
  const ignored: { name: string; why: string }[] = [];
  infos.forEach((info, index) => {
    if (index === splitAt) {
      ignored.push({ name: info.name, why: "it tells the parts for training and testing apart" });
      return;
    }
    const own = settings[info.name];
    if (index >= inputColumns && index !== target) {
      ignored.push({ name: info.name, why: "only the classes of the targets' file are used" });
      return;
    }
    const planned = planColumn({ info, index, own, seen: seen[index]!, isTarget: index === target, file });
    if ("why" in planned) ignored.push(planned);
    else columns.push(planned);
  });
  if (!columns.some(({ role }) => role === "input"))
    throw new StorageError("BadSchema", "no column is left as an input", {
      hint: `the others are ignored: ${list(ignored.map(({ name, why }) => `${name} (${why})`))}`,
    });
  return { columns, ignored };
}

const list = (names: readonly string[]): string =>
  names.length > 12 ? `${names.slice(0, 12).join(", ")}, and ${names.length - 12} more` : names.join(", ");

function targetOf(
  infos: readonly ColumnInfo[],
  seen: readonly ColumnStatistics[],
  file: ColumnChoices,
  inputColumns: number,
): number {
  const isIn = (i: number) => inputColumns === infos.length || i >= inputColumns;
  if (file.target !== undefined) return infos.findIndex(({ name }, i) => name === file.target && isIn(i));
  if (inputColumns === infos.length - 1) return inputColumns;
  const ignored = (i: number) => file.columns?.[infos[i]!.name]?.type === "ignore";
  const found = targetCandidates(infos).find((i) => isIn(i) && !ignored(i) && canBeClasses(seen[i]!));
  if (found !== undefined) return found;
  throw new StorageError("BadSchema", "it is not plain which column holds the classes", {
    hint: `say it with "target: NAME" in dataset.yaml; the columns are: ${list(infos.map(({ name }) => name))}`,
  });
}

interface Candidate {
  readonly info: ColumnInfo;
  readonly index: number;
  readonly own: ColumnSettings | undefined;
  readonly seen: ColumnStatistics;
  readonly isTarget: boolean;
  readonly file: ColumnChoices;
}

function planColumn(candidate: Candidate): PlannedColumn | { name: string; why: string } {
  const { info, index, own, isTarget, file } = candidate;
  const { name, shape = [], dtype = "" } = info;
  const type = typeOf(candidate);
  if (type.why !== undefined) return { name, why: type.why };
  const settings = own === undefined || own.type === "ignore" ? {} : own;
  const {
    classes,
    encoding = "one-hot",
    missing,
    size = HASHED_WORDS,
    normalise = file.normalise,
  } = settings as Partial<Exclude<ColumnSettings, { type: "ignore" }>>;
  const numeric = areNumbers(candidate.seen);
  if (isTarget && missing === "mean") throw badColumn(name, "a missing class has no mean", "missing: drop");
  return {
    name,
    index,
    role: isTarget ? "target" : "input",
    kind: type.kind,
    normalise,
    encoding,
    numeric,
    classes: classes?.map((name) => (numeric ? String(numberOf(name) ?? name) : name)),
    missing: missing ?? (isTarget ? "error" : "mean"),
    size,
    shape,
    dtype,
  };
}

type TypeOrReason = { readonly kind: PlannedColumn["kind"]; readonly why?: undefined } | { readonly why: string };

function typeOf({ info: { kind, name, shape = [] }, own, seen, isTarget }: Candidate): TypeOrReason {
  const said = own?.type;
  if (isTarget) {
    if (said !== undefined && said !== "category") throw badColumn(name, `${said} cannot be the target`, "category");
    if (kind === "tensor" && shape.length > 0) throw badColumn(name, `an array of ${shape.join(" x ")} is no class`);
    if (areNumbers(seen) && !areIntegers(seen) && said === undefined)
      throw badColumn(name, "its values are no classes but fractions; models are trained to tell classes apart");
    return { kind: "category" };
  }
  if (said === "ignore") return { why: "as dataset.yaml says" };
  if (kind === "tensor") {
    if (said !== undefined && said !== "number") throw badColumn(name, `an array of numbers is no ${said}`);
    return { kind: "tensor" };
  }
  if (said !== undefined) return { kind: said };
  if (present(seen) === 0) return { why: "it has no values" };
  if (areMostlyNumbers(seen) || areNumbers(seen)) return { kind: "number" };
  if (seen.distinct! <= MAX_CATEGORIES) return { kind: "category" };
  return { why: `${seen.distinct} different texts; "type: text" hashes their words` };
}

const badColumn = (name: string, reason: string, hint?: string): StorageError =>
  new StorageError("BadSchema", `column "${name}": ${reason}`, {
    hint: hint === undefined ? `choose another one with "target: NAME"` : `use "${hint}"`,
  });
