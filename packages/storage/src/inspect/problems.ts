import type { ColumnStatistics } from "./statistics.ts";
import type { LeakWatch } from "./target.ts";

export type ProblemKind =
  | "missing" // values are missing
  | "not-finite" // NaN, infinite or too large
  | "not-numbers" // a few texts among numbers
  | "constant" // a column that never changes
  | "duplicates" // rows that come more than once
  | "imbalance" // classes of very different sizes
  | "identifier" // a column that numbers the rows
  | "leakage" // a column that gives the target away
  | "split" // the same rows in training and test data
  | "no-target"; // no column that can be classes

export interface Problem {
  readonly kind: ProblemKind;
  readonly column?: string;
  readonly message: string;
}

const IMBALANCE = 3;
/** Part of the rows with a value of their own, from which on a column seems to name rows: the count may be an estimate. */
const OWN_VALUES = 0.95;
/** Rows for each value of a column, on average, before it is said to give the class away. */
const LEAK_ROWS = 3;
const percent = (part: number, whole: number): string =>
  `${((100 * part) / whole).toFixed(part / whole < 0.1 ? 1 : 0)} %`;
const count = (value: number): string => value.toLocaleString("en");

/** What is wrong with one column by itself. */
export function columnProblems(column: ColumnStatistics, isTarget: boolean): Problem[] {
  const { name, rows, missing, numbers, nan, infinite } = column;
  const problems: Problem[] = [];
  const add = (kind: ProblemKind, message: string) => problems.push({ kind, column: name, message });
  const present = rows - missing;
  if (present === 0 && rows > 0) add("missing", "no row has a value");
  else if (missing > 0)
    add("missing", `${count(missing)} of ${count(rows)} values are missing (${percent(missing, rows)})`);
  if (nan + infinite > 0) add("not-finite", `${count(nan)} values are NaN, ${count(infinite)} infinite or too large`);
  const others = present - numbers - nan - infinite;
  if (column.kind === "cells" && others > 0 && numbers > 0.9 * present)
    add("not-numbers", `${count(others)} of ${count(present)} values are not numbers, the others are`);
  if (present > 1 && isConstant(column)) add("constant", "all values are the same");
  if (!isTarget && isIdentifier(column))
    add("identifier", "nearly every row has a value of its own: it looks like a number or name of the row");
  const still = column.elements?.filter((element) => element !== undefined && element.min === element.max).length ?? 0;
  if (still > 0 && still < column.elements!.length)
    add("constant", `${count(still)} of its ${count(column.elements!.length)} numbers are the same in all rows`);
  return problems;
}

function isConstant({ distinct, distinctExact, summary, shape, nan, infinite }: ColumnStatistics): boolean {
  if (shape !== undefined && shape.length > 0)
    return summary !== undefined && summary.min === summary.max && nan + infinite === 0;
  return distinct === 1 && distinctExact;
}

/** Texts, or whole numbers without large gaps, of which (nearly) every row has another one. */
function isIdentifier({ rows, missing, distinct, integers, numbers, summary }: ColumnStatistics): boolean {
  const present = rows - missing;
  if (distinct === undefined || present < 20) return false;
  if (distinct < OWN_VALUES * present) return false;
  if (numbers === 0) return true;
  return integers === present && summary !== undefined && summary.max - summary.min < 2 * present;
}

/** @param values how often each class occurs */
export function imbalanceProblem(column: string, values: ColumnStatistics["values"]): Problem | undefined {
  const [most, least] = [values[0], values.at(-1)];
  if (most === undefined || least === undefined || most.count < IMBALANCE * least.count) return undefined;
  const message = `class ${most.value} has ${count(most.count)} rows, class ${least.value} ${count(least.count)}: a model does well by guessing the former`;
  return { kind: "imbalance", column, message };
}

/** @param watch what the values of the column told */
export function leakProblem(column: ColumnStatistics, target: ColumnStatistics, watch: LeakWatch): Problem | undefined {
  const values = watch.values;
  if (values === undefined || target.distinct === undefined || target.distinct < 2) return undefined;
  if (watch.classes < target.distinct || (column.rows - column.missing) / values < LEAK_ROWS) return undefined;
  const message =
    values === target.distinct
      ? `each value stands for one class of ${target.name}: it gives the target away`
      : `each of its ${count(values)} values comes with one class of ${target.name} only: it gives the target away`;
  return { kind: "leakage", column: column.name, message };
}

export function duplicatesProblem(repeats: number, share: number, rows: number): Problem | undefined {
  if (repeats === 0) return undefined;
  const message =
    share === 1
      ? `${count(repeats)} of ${count(rows)} rows are equal to an earlier one (${percent(repeats, rows)})`
      : `about ${count(Math.round(repeats / share))} of ${count(rows)} rows are equal to an earlier one; one row in ${count(1 / share)} was looked at`;
  return { kind: "duplicates", message };
}

export function splitProblem(common: number, share: number, what: string): Problem | undefined {
  if (common === 0) return undefined;
  const message =
    share === 1
      ? `${count(common)} ${what} have the same inputs as rows of the training data`
      : `about ${count(Math.round(common / share))} ${what} have the same inputs as rows of the training data; one in ${count(1 / share)} was looked at`;
  return { kind: "split", message };
}
