import type { Row, Rows } from "../store/rows.ts";
import type { IndexedToken } from "../schemas.ts";

export const str = (row: Row, column: string): string => String(row[column]);
export const num = (row: Row, column: string): number => Number(row[column]);
export const strOrNull = (row: Row, column: string): string | null => (row[column] === null ? null : str(row, column));
export const numOrNull = (row: Row, column: string): number | null => (row[column] === null ? null : num(row, column));
export const hexOf = (row: Row, column: string): string =>
  `0x${Buffer.from(row[column] as Uint8Array).toString("hex")}`;

/** Joined for the token in column `t.token`. */
export const TOKEN_JOIN = "LEFT JOIN tokens ON tokens.address = t.token";
export const TOKEN_COLUMNS = "t.token, tokens.symbol, tokens.decimals";
export const tokenOf = (row: Row): IndexedToken => ({
  address: str(row, "token") as IndexedToken["address"],
  symbol: strOrNull(row, "symbol"),
  decimals: numOrNull(row, "decimals"),
});

/** Name of each number of a table, such as 3 -> "COMMIT". */
export function namesOf<Name extends string>(table: Readonly<Record<Name, number>>): (value: number) => Name {
  const names = new Map(Object.entries(table).map(([name, value]) => [value, name as Name]));
  return (value) => names.get(value)!;
}

/** Number of orders of an entry by their state. */
export function countOrders(
  reader: Rows,
  table: "purchases" | "requests",
  owner: "listing" | "offer",
  id: string,
): (state: number) => number {
  const rows = reader.all(`SELECT state, count(*) AS n FROM ${table} WHERE ${owner} = ? GROUP BY state`, id);
  const counts = new Map(rows.map((row) => [num(row, "state"), num(row, "n")]));
  return (state) => counts.get(state) ?? 0;
}
