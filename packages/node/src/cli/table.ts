import Table from "cli-table3";
import { colours as pc } from "./colours.ts";

/** A table for people; `right` names the columns of numbers. */
export function tableText(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
) {
  const table = new Table({
    head: head.map((title) => pc.bold(title)),
    style: { head: [], border: pc.isColorSupported ? ["gray"] : [] },
    colAligns: head.map((_, i) => (right.includes(i) ? "right" : "left")),
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}
