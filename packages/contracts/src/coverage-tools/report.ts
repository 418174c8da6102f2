import type { Mark } from "./instrument.ts";

export interface Count {
  readonly covered: number;
  readonly total: number;
  /** 100 when there is nothing to cover. */
  readonly percent: number;
}

export interface Row {
  readonly file: string;
  readonly lines: Count;
  readonly branches: Count;
}

export interface Summary {
  readonly files: readonly Row[];
  readonly total: Omit<Row, "file">;
  /** Lines that no test ran, and ways of decisions that none took. */
  readonly missing: readonly string[];
}

function countOf(items: readonly boolean[]): Count {
  const covered = items.filter(Boolean).length;
  return { covered, total: items.length, percent: items.length === 0 ? 100 : (100 * covered) / items.length };
}

/** Lines on which a statement begins; each counts once, and is covered when one of its statements ran. */
function linesOf(marks: readonly Mark[], hits: ReadonlySet<number>): Map<number, boolean> {
  const lines = new Map<number, boolean>();
  for (const { kind, line, id } of marks)
    if (kind === "statement") lines.set(line, (lines.get(line) ?? false) || hits.has(id));
  return lines;
}

/** Both ways of every condition of `if`, `require`, `? :` and loops. */
const branchesOf = (marks: readonly Mark[], hits: ReadonlySet<number>): boolean[] =>
  marks.flatMap(({ kind, id }) => (kind === "decision" ? [hits.has(id), hits.has(id + 1)] : []));

function missingOf(file: string, marks: readonly Mark[], hits: ReadonlySet<number>): string[] {
  return marks.flatMap(({ kind, id, line, text }) => {
    const place = `${file}:${line}  ${text}`;
    if (kind === "statement") return hits.has(id) ? [] : [`never ran   ${place}`];
    const reached = hits.has(id) || hits.has(id + 1);
    if (!reached) return [`never asked ${place}`];
    return hits.has(id) && hits.has(id + 1) ? [] : [`always ${hits.has(id) ? "no" : "yes"}  ${place}`];
  });
}

export function summarize(marks: readonly Mark[], hits: ReadonlySet<number>): Summary {
  const names = [...new Set(marks.map(({ file }) => file))].toSorted();
  const parts = names.map((file) => ({ file, own: marks.filter((mark) => mark.file === file) }));
  const measured = parts.map(({ file, own }) => ({
    file,
    lines: [...linesOf(own, hits).values()],
    branches: branchesOf(own, hits),
  }));
  return {
    files: measured.map(({ file, lines, branches }) => ({ file, lines: countOf(lines), branches: countOf(branches) })),
    total: {
      lines: countOf(measured.flatMap(({ lines }) => lines)),
      branches: countOf(measured.flatMap(({ branches }) => branches)),
    },
    missing: parts.flatMap(({ file, own }) => missingOf(file, own, hits)),
  };
}

const cell = ({ covered, total, percent }: Count) => `${percent.toFixed(1)} % (${covered}/${total})`.padStart(20);

export function formatReport({ files, total, missing }: Summary): string {
  const rows = [...files, { file: "all", ...total }];
  const width = Math.max(...rows.map(({ file }) => file.length));
  const table = rows.map(({ file, lines, branches }) => `${file.padEnd(width)}${cell(lines)}${cell(branches)}`);
  const head = `${"".padEnd(width)}${"lines".padStart(20)}${"branches".padStart(20)}`;
  return [head, ...table, "", ...missing].join("\n");
}
