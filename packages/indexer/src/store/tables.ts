import { keccak256, toHex } from "@skynet/protocol";
import type { DatabaseSync } from "node:sqlite";

/** A table that follows the chain. Its first column is `position INTEGER PRIMARY KEY`, which grows along the chain. */
export interface Table {
  readonly name: string;
  /** CREATE TABLE and CREATE INDEX statements. */
  readonly definition: string;
  /** Whether it has a column `search`, whose words can be searched for. */
  readonly searchable?: boolean;
}

/** Raise it when rows mean something else than before, though the tables are the same. */
const VERSION = 1;

const core = `
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE journal (id INTEGER PRIMARY KEY CHECK (id = 1), block INTEGER) STRICT;
INSERT INTO journal VALUES (1, NULL);
CREATE TABLE undo (seq INTEGER PRIMARY KEY, block INTEGER NOT NULL, statement TEXT NOT NULL) STRICT;
`;

/** Names the layout of a database: files with another one are built again. */
export function formatOf(tables: readonly Table[]): string {
  const text = JSON.stringify([VERSION, core, tables]);
  return toHex(keccak256(new TextEncoder().encode(text))).slice(0, 18);
}

/**
 * Words of the column `search`, kept by the triggers that FTS5 documents for external content. Numbers and addresses
 * are words, too: the beginning of an id finds it.
 */
function searchIndex(name: string): string {
  const [columns, added, removed] = [
    `${name}_words(rowid, search)`,
    "VALUES (NEW.position, NEW.search);",
    `INSERT INTO ${name}_words(${name}_words, rowid, search) VALUES ('delete', OLD.position, OLD.search);`,
  ];
  return `
CREATE VIRTUAL TABLE ${name}_words USING fts5(search, content='${name}', content_rowid='position',
  tokenize="unicode61 remove_diacritics 2", prefix='2 3');
CREATE TRIGGER ${name}_words_add AFTER INSERT ON ${name} BEGIN INSERT INTO ${columns} ${added} END;
CREATE TRIGGER ${name}_words_remove AFTER DELETE ON ${name} BEGIN ${removed} END;
CREATE TRIGGER ${name}_words_change AFTER UPDATE OF search ON ${name} BEGIN
  ${removed} INSERT INTO ${columns} ${added} END;`;
}

/** While the journal names a block, each change of a row also writes the statement that takes it back. */
function undoTriggers(database: DatabaseSync, name: string): string {
  const columns = database
    .prepare("SELECT name FROM pragma_table_info(?)")
    .all(name)
    .map((row) => String(row.name));
  const record = (statement: string) =>
    `BEGIN INSERT INTO undo(block, statement) SELECT block, ${statement} FROM journal WHERE block IS NOT NULL; END;`;
  const before = columns.map((column) => `quote(OLD.${column})`).join(" || ',' || ");
  const settings = columns.map((column) => `'${column}=' || quote(OLD.${column})`).join(" || ',' || ");
  return `
CREATE TRIGGER ${name}_undo_add AFTER INSERT ON ${name}
  ${record(`'DELETE FROM ${name} WHERE position=' || NEW.position`)}
CREATE TRIGGER ${name}_undo_change AFTER UPDATE ON ${name}
  ${record(`'UPDATE ${name} SET ' || ${settings} || ' WHERE position=' || OLD.position`)}
CREATE TRIGGER ${name}_undo_remove AFTER DELETE ON ${name}
  ${record(`'INSERT INTO ${name}(${columns.join(",")}) VALUES(' || ${before} || ')'`)}`;
}

export function createTables(database: DatabaseSync, tables: readonly Table[]): void {
  database.exec(core);
  for (const { name, definition, searchable } of tables) {
    database.exec(definition);
    if (searchable) database.exec(searchIndex(name));
    database.exec(undoTriggers(database, name));
  }
}
