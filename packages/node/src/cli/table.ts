import Table from "cli-table3";
import { colours as pc } from "./colours.ts";

/** A table for people; columns that begin with ">" are aligned to the right. */
export function tableText(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: head.map((title) => pc.bold(title.replace(/^>/, ""))),
    style: { head: [], border: pc.isColorSupported ? ["gray"] : [] },
    colAligns: head.map((title) => (title.startsWith(">") ? "right" : "left")),
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}
