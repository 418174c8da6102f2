// Data cards on a terminal. Their text was cleaned by `parseCard`.
import { cleanText } from "@skynet/protocol";
import { colours as pc } from "./colours.ts";
import { tableText } from "./table.ts";

const MAX_LINES = 300;
const MAX_LINE = 400;
const MAX_CELL = 80;
/** Laying out a table takes time for each of its cells. */
const MAX_COLUMNS = 16;
const MAX_ROWS = 200;

/** Text without the escapes of Markdown. */
const unescaped = (text: string): string => text.replace(/^`([^`]*)`$/, "$1").replace(/\\([\\`*_{}[\]<>#|!&~])/g, "$1");

const line = (text: string): string => {
  const indent = /^ {0,12}/.exec(text)![0];
  return indent + unescaped(cleanText(text, MAX_LINE));
};

/** Cells of a row of a table; an escaped bar is text. */
const cellsOf = (text: string): string[] =>
  text
    .replace(/^\s*\||\|\s*$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell, i) => (i < MAX_COLUMNS ? unescaped(cleanText(cell, MAX_CELL)) : ""));

const isRow = (text: string | undefined): boolean => /^\s*\|.*\|\s*$/.test(text ?? "");
const isRule = (text: string): boolean => /^[\s|:-]+$/.test(text);
const isNumber = (text: string): boolean => text === "" || /^-?[\d.,]+( %)?(e[+-]?\d+)?$/.test(text);

function table(lines: readonly string[]): string {
  const [head = [], ...rows] = lines.filter((text) => !isRule(text)).map(cellsOf);
  const titles = head.slice(0, MAX_COLUMNS);
  const body = rows.slice(0, MAX_ROWS).map((cells) => titles.map((_, i) => cells[i] ?? ""));
  const aligned = titles.map((title, i) =>
    body.length > 0 && body.every((cells) => isNumber(cells[i]!)) ? `>${title}` : title,
  );
  const more = [
    ...(head.length > titles.length ? [`${head.length - titles.length} more columns`] : []),
    ...(rows.length > body.length ? [`${rows.length - body.length} more rows`] : []),
  ];
  return [tableText(aligned, body), ...(more.length > 0 ? [leftOut(more.join(" and "))] : [])].join("\n");
}

const leftOut = (what: string): string => pc.dim(`and ${what}: --card FILE saves all of it`);

/** A data card for people: headings, tables, and at most some hundred lines of it. */
export function cardText(card: string): string {
  const all = card.trimEnd().split("\n");
  const lines = all.slice(0, MAX_LINES);
  const shown: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const text = lines[at]!;
    const rows = lines.slice(at).findIndex((other) => !isRow(other));
    const count = rows < 0 ? lines.length - at : rows;
    if (count > 1) {
      shown.push(table(lines.slice(at, at + count)));
      at += count - 1;
    } else if (/^#{1,6} /.test(text)) shown.push(pc.bold(line(text.replace(/^#+ /, ""))));
    else if (!text.startsWith("```")) shown.push(line(text));
  }
  const left = all.length - lines.length;
  return [...shown, ...(left > 0 ? [leftOut(`${left} more lines`)] : [])].join("\n");
}
