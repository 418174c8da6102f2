import { cleanText } from "@skynet/protocol";
import type { SQLInputValue } from "node:sqlite";
import { IndexError } from "../errors.ts";
import type { Row, Rows } from "../store/rows.ts";

/** One condition of a WHERE clause; its text is ours, its values may be a stranger's. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

export const where = (sql: string, ...values: SQLInputValue[]): Condition => ({ sql, values });

/** The column has this value, if one is wanted. */
export const equal = (column: string, value: string | undefined): Condition[] =>
  value === undefined ? [] : [where(`${column} = ?`, value)];

/** The id begins with these digits. */
export const prefixed = (prefix: string | undefined): Condition[] =>
  prefix === undefined ? [] : [where("t.id >= ? AND t.id < ?", prefix, `${prefix}g`)];

export interface PageQuery {
  readonly q?: string | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** Bytes of an answer after which a page ends, however many items were asked for. */
const MAX_PAGE_BYTES = 512 * 1024;
const MAX_WORDS = 12;

/**
 * A search in the syntax of FTS5 from what somebody typed: all words, each as the beginning of one. Everything is
 * quoted, so nothing in it is an operator.
 * @throws IndexError `BadQuery` when there is nothing to search for
 */
export function matchOf(typed: string): string {
  const words = cleanText(typed, 200)
    .split(" ")
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    .slice(0, MAX_WORDS);
  if (words.length === 0)
    throw new IndexError("BadQuery", "the search has no letters or digits", {
      hint: "search for words, such as mnist",
    });
  return words.map((word) => `"${word.replaceAll('"', '""')}"*`).join(" ");
}

const cursorOf = (position: number): string => Buffer.from(`p${position}`).toString("base64url");

/** @throws IndexError `BadCursor` */
function positionOf(cursor: string): number {
  const position = /^p([1-9][0-9]{0,14})$/.exec(Buffer.from(cursor, "base64url").toString("latin1"))?.[1];
  if (position !== undefined && cursorOf(Number(position)) === cursor) return Number(position);
  throw new IndexError("BadCursor", "the cursor does not come from this index", {
    hint: "pass on `next` of the page before, or start without a cursor",
  });
}

interface ListOptions<Item> extends PageQuery {
  readonly table: string;
  /** Of the table `t`; `position` is added. */
  readonly columns: string;
  readonly joins?: string;
  readonly conditions: readonly Condition[];
  item(row: Row): Item;
}

/** A page of a table, newest entries first. */
export function listPage<Item>(reader: Rows, options: ListOptions<Item>): Page<Item> {
  const { table, columns, joins = "", q, cursor, limit, item } = options;
  const words = `${table}_words`;
  const searching = q === undefined ? [] : [where(`${words} MATCH ?`, matchOf(q))];
  const position = q === undefined ? "t.position" : `${words}.rowid`;
  const after = cursor === undefined ? [] : [where(`${position} < ?`, positionOf(cursor))];
  const conditions = [...searching, ...after, ...options.conditions];
  // CROSS JOIN keeps the order: first the words, newest first, then whether the row fits
  const from = q === undefined ? `${table} t` : `${words} CROSS JOIN ${table} t ON t.position = ${words}.rowid`;
  const filter = conditions.length === 0 ? "" : `WHERE ${conditions.map(({ sql }) => sql).join(" AND ")}`;
  const sql = `SELECT t.position AS position, ${columns} FROM ${from} ${joins} ${filter} ORDER BY ${position} DESC LIMIT ?`;
  const rows = reader.all(sql, ...conditions.flatMap(({ values }) => values), limit + 1);
  const items: Item[] = [];
  let size = 0;
  for (const row of rows.slice(0, limit)) {
    const next = item(row);
    size += JSON.stringify(next).length;
    if (items.length > 0 && size > MAX_PAGE_BYTES) break;
    items.push(next);
  }
  const last = rows[items.length - 1];
  return { items, next: items.length < rows.length && last !== undefined ? cursorOf(Number(last.position)) : null };
}
