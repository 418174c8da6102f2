import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";

export type Row = Record<string, SQLOutputValue>;

/** A connection whose statements are prepared once. */
export interface Rows {
  run(sql: string, ...values: SQLInputValue[]): void;
  /** A new row; the names of table and columns are ours. */
  insert(table: string, row: Readonly<Record<string, SQLInputValue>>): void;
  get(sql: string, ...values: SQLInputValue[]): Row | undefined;
  all(sql: string, ...values: SQLInputValue[]): Row[];
}

export function createRows(database: DatabaseSync): Rows {
  const prepared = new Map<string, StatementSync>();
  const statement = (sql: string): StatementSync => {
    const known = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, known);
    return known;
  };
  return {
    run: (sql, ...values) => void statement(sql).run(...values),
    insert: (table, row) => {
      const places = Object.keys(row).map(() => "?");
      statement(`INSERT INTO ${table} (${Object.keys(row).join()}) VALUES (${places.join()})`).run(
        ...Object.values(row),
      );
    },
    get: (sql, ...values) => statement(sql).get(...values),
    all: (sql, ...values) => statement(sql).all(...values),
  };
}
