import { printable } from "@skynet/protocol";
import { distinctText, figure, typeName, type Inspection } from "@skynet/storage";
import { colours as pc } from "./colours.ts";
import { tableText } from "./table.ts";

const MAX_COLUMNS = 40;
const MAX_CLASSES = 30;
/** Columns of the table of samples that fit on a screen. */
const MAX_SAMPLE_COLUMNS = 8;
const BAR_WIDTH = 30;
const MAX_TEXT = 24;

const short = (text: string): string => {
  const clean = printable(text);
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT - 1)}…` : clean;
};
const number = (value: number): string => value.toLocaleString("en");

/** What `skynet data inspect` shows. */
export function inspectionText(inspection: Inspection): string {
  const { file, format, rows, columns, notes } = inspection;
  const head = `${pc.bold(printable(file))}: ${format}, ${number(rows)} rows, ${number(columns.length)} columns`;
  const parts = [
    head,
    ...notes.map((note) => pc.dim(`  ${printable(note)}`)),
    columnTable(inspection),
    ...jobLines(inspection),
    ...classBars(inspection),
    ...splits(inspection),
    ...samples(inspection),
    problems(inspection),
  ];
  return parts.join("\n");
}

/** What a job makes of the columns. */
function jobLines({ job }: Inspection): string[] {
  const title = `${pc.bold("As data of a job")}: `;
  if ("problem" in job) return ["", `${title}${printable(job.problem)}`, pc.dim(`  ${printable(job.hint ?? "")}`)];
  const classes = job.classes.slice(0, MAX_CLASSES).map(short).join(", ");
  const more = job.classes.length > MAX_CLASSES ? ", ..." : "";
  const ignored = job.columns.filter(({ kind }) => kind === "ignored").slice(0, MAX_COLUMNS);
  return [
    "",
    `${title}${number(job.inputs)} inputs, ${job.classes.length} classes in this order: ${classes}${more}`,
    ...ignored.map(({ name, why }) => `  ${short(name)} is not used: ${printable(why ?? "")}`),
  ];
}

const COUNTED: Readonly<Record<string, string>> = {
  category: "an input for each value",
  ordinal: "one input, by the order of the values",
  text: "hashed words",
  classes: "the classes",
  ignored: "not used",
};

/** How a column becomes inputs. */
function inputText(column: Inspection["columns"][number], { job }: Inspection): string {
  const { kind, inputs } = ("columns" in job ? job.columns.find(({ name }) => name === column.name) : undefined) ?? {};
  const counted = kind && COUNTED[kind];
  if (counted !== undefined) return inputs && inputs > 1 ? `${counted}: ${number(inputs)}` : counted;
  const { fixedPoint } = column;
  if (fixedPoint === undefined) return "";
  const { offset, divisor, bits } = fixedPoint;
  return `(x ${offset < 0 ? "+" : "-"} ${figure(Math.abs(offset))}) / ${figure(divisor)}, ${bits} bits`;
}

function columnTable(inspection: Inspection): string {
  const { columns } = inspection;
  const rows = columns.slice(0, MAX_COLUMNS).map((column) => {
    const { name, summary, missing } = column;
    const deviation = summary && Math.sqrt(summary.variance);
    const figures = [summary?.min, summary?.mean, summary?.max, deviation].map(figure);
    return [
      short(name),
      typeName(column),
      ...figures,
      number(missing),
      distinctText(column),
      inputText(column, inspection),
    ];
  });
  const head = ["column", "type", ">min", ">mean", ">max", ">std", ">missing", ">distinct", "as input"];
  const more = columns.length - rows.length;
  return `${tableText(head, rows)}${more > 0 ? `\n  and ${number(more)} more columns` : ""}`;
}

function classBars({ target, rows }: Inspection): string[] {
  if (target === undefined) return [];
  const most = Math.max(...target.classes.map(({ count }) => count));
  const shown = target.classes.slice(0, MAX_CLASSES);
  const width = Math.max(...shown.map(({ value }) => short(String(value)).length));
  const bars = shown.map(({ value, count }) => {
    const filled = "█".repeat(Math.max(1, Math.round((BAR_WIDTH * count) / most)));
    return `  ${short(String(value)).padEnd(width)}  ${pc.cyan(filled.padEnd(BAR_WIDTH))} ${number(count)} (${((100 * count) / rows).toFixed(1)} %)`;
  });
  const more = target.classes.length - shown.length;
  const title = `${pc.bold("Classes")} (column ${printable(target.name)})`;
  return ["", title, ...bars, ...(more > 0 ? [`  and ${number(more)} more`] : [])];
}

function splits({ splits }: Inspection): string[] {
  const parts = Object.entries(splits).map(([name, rows]) => `${printable(name)} ${number(rows)}`);
  return parts.length === 0 ? [] : ["", `${pc.bold("Split")} ${parts.join(", ")} rows`];
}

function samples({ samples, columns }: Inspection): string[] {
  if (samples.length === 0) return [];
  // The first columns and the last one, which is the target more often than not.
  const all = columns.map((_, i) => i);
  const shown = all.length > MAX_SAMPLE_COLUMNS ? [...all.slice(0, MAX_SAMPLE_COLUMNS - 1), all.length - 1] : all;
  const head = ["where", ...shown.map((i) => short(columns[i]!.name))];
  const rows = samples.map(({ where, values }) => [
    short(where),
    ...shown.map((i) => (values[i] === null ? pc.dim("missing") : short(String(values[i])))),
  ]);
  const left = all.length - shown.length;
  return ["", pc.bold(`Samples${left > 0 ? ` (${left} columns are not shown)` : ""}`), tableText(head, rows)];
}

function problems({ problems, comparedShare, rows }: Inspection): string {
  const looked =
    comparedShare === 1
      ? `all ${number(rows)} rows were compared with each other`
      : `one row in ${number(1 / comparedShare)} was compared with the others`;
  if (problems.length === 0) return `\n${pc.green("No problems were found")} (${looked})`;
  const lines = problems.map(
    ({ kind, column, message }) =>
      `  ${pc.yellow("!")} ${column === undefined ? "" : `${printable(column)}: `}${printable(message)} ${pc.dim(`[${kind}]`)}`,
  );
  return ["", pc.bold(`Problems (${looked})`), ...lines].join("\n");
}
