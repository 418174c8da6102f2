// What a job would make of the data: by the same rules as its import.
import { StorageError } from "../errors.ts";
import { planColumns, type ColumnChoices, type PlannedColumn } from "../prepare/columns.ts";
import type { ColumnInfo } from "../readers/reader.ts";
import { classNames } from "../schema/normalise.ts";
import type { ColumnStatistics } from "./statistics.ts";

export interface JobColumn {
  readonly name: string;
  readonly kind: "number" | "category" | "ordinal" | "text" | "tensor" | "classes" | "ignored";
  /** Inputs of the model that it becomes. */
  readonly inputs: number;
  /** Why it is not used. */
  readonly why?: string;
}

/** `problem`: why no job can use the data as they are. */
export type JobView =
  | { readonly columns: readonly JobColumn[]; readonly inputs: number; readonly classes: readonly string[] }
  | { readonly problem: string; readonly hint: string | undefined };

export interface JobViewOptions {
  readonly infos: readonly ColumnInfo[];
  /** Of the first rows, from which types are inferred, and of all. */
  readonly first: readonly ColumnStatistics[];
  readonly all: readonly ColumnStatistics[];
  readonly choices: ColumnChoices;
  /** The columns behind so many come from the file of the targets. */
  readonly inputColumns: number;
  /** The column that tells the parts apart. */
  readonly splitAt: number | undefined;
}

export function jobView({ infos, first, all, choices, inputColumns, splitAt }: JobViewOptions): JobView {
  try {
    const plan = planColumns(infos, first, choices, { inputColumns, splitAt });
    const used = new Map(plan.columns.map((column) => [column.name, column]));
    const ignored = new Map(plan.ignored.map(({ name, why }) => [name, why]));
    const columns = infos.map(({ name }, i): JobColumn => {
      const column = used.get(name);
      if (column === undefined) return { name, kind: "ignored", inputs: 0, why: ignored.get(name) ?? "" };
      if (column.role === "target") return { name, kind: "classes", inputs: 0 };
      return { name, kind: kindOf(column), inputs: inputsOf(column, all[i]!) };
    });
    const target = plan.columns.find(({ role }) => role === "target")!;
    const values = all[target.index]!.values.map(({ value }) => String(value).trim());
    return {
      columns,
      inputs: columns.reduce((sum, { inputs }) => sum + inputs, 0),
      classes: classNames([...new Set(values)], target.classes),
    };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { problem: error.message, hint: error.hint };
  }
}

const kindOf = ({ kind, encoding }: PlannedColumn): JobColumn["kind"] =>
  kind === "category" && encoding === "ordinal" ? "ordinal" : kind;

function inputsOf(column: PlannedColumn, seen: ColumnStatistics): number {
  if (column.kind === "tensor") return column.shape.reduce((product, length) => product * length, 1);
  if (column.kind === "text") return column.size;
  if (column.kind === "category" && column.encoding === "one-hot") return column.classes?.length ?? seen.distinct ?? 0;
  return 1;
}
