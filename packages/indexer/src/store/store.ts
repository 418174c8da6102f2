import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { IndexError } from "../errors.ts";
import { createRows, type Rows } from "./rows.ts";
import { createTables, formatOf, type Table } from "./tables.ts";

export interface IndexedBlock {
  readonly number: number;
  readonly hash: string;
}

/** Blocks that are written together. */
export interface Batch {
  /** Known hashes of blocks of the batch, ascending; the last one is its end. */
  readonly hashes: readonly IndexedBlock[];
  /** Whether a reorganisation may still take it back. A batch that is final ends what could be taken back before. */
  readonly final: boolean;
}

/** The database of an index: one file, one writer, and readers that see only whole batches. */
export interface Store {
  /** Reads what is committed; can write nothing. */
  readonly reader: Rows;
  /** Whether the file was built anew because its layout was another one. */
  readonly renewed: boolean;
  fact(name: string): string | undefined;
  setFact(name: string, value: string): void;
  /** Last block that is in the index. */
  tip(): IndexedBlock | undefined;
  /** Blocks to which `undoTo` can go back, newest first. */
  restorable(): IndexedBlock[];
  /** Writes rows and blocks in one transaction: after a crash both are there, or neither. */
  write(batch: Batch, apply: (rows: Rows, enter: (block: number) => void) => Promise<void>): Promise<void>;
  /** Changes that belong to no block. */
  annotate(change: (rows: Rows) => void): void;
  /** Takes back everything after this block. */
  undoTo(block: number): void;
  /** Empties the index. */
  clear(): void;
  close(): void;
}

export interface StoreOptions {
  readonly dataDir: string;
  readonly tables: readonly Table[];
  /** Blocks below the newest one that can be taken back. */
  readonly undoBlocks: number;
  /** Starts with an empty index. */
  readonly rebuild?: boolean | undefined;
}

const fileOf = (dataDir: string) => path.join(dataDir, "index.sqlite");

function removeFile(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(file + suffix, { force: true });
}

function open(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    // what a power failure takes from the log is read from the chain again
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Layout of the file; undefined when it is empty or comes from something else. */
function readFormat(database: DatabaseSync): string | undefined {
  const known = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").get() !== undefined;
  if (!known) return undefined;
  const row = database.prepare("SELECT value FROM facts WHERE name = 'format'").get();
  return row === undefined ? undefined : String(row.value);
}

function openOrCreate(file: string, tables: readonly Table[]): { database: DatabaseSync; renewed: boolean } {
  const existed = fs.existsSync(file);
  let database = open(file);
  const format = formatOf(tables);
  if (readFormat(database) === format) return { database, renewed: false };
  database.close();
  removeFile(file);
  database = open(file);
  database.exec("BEGIN");
  createTables(database, tables);
  database.prepare("INSERT INTO facts VALUES ('format', ?)").run(format);
  database.exec("COMMIT");
  return { database, renewed: existed };
}

/** @throws IndexError `IndexDamaged` when the file is no database */
export function openStore({ dataDir, tables, undoBlocks, rebuild = false }: StoreOptions): Store {
  fs.mkdirSync(dataDir, { recursive: true });
  const file = fileOf(dataDir);
  if (rebuild) removeFile(file);
  try {
    const { database, renewed } = openOrCreate(file, tables);
    return createStore(database, new DatabaseSync(file, { readOnly: true }), { tables, undoBlocks, renewed });
  } catch (cause) {
    throw new IndexError("IndexDamaged", `the index in ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
      hint: "everything in it comes from the chain: run skynet index --rebuild",
    });
  }
}

function createStore(
  database: DatabaseSync,
  readOnly: DatabaseSync,
  { tables, undoBlocks, renewed }: { tables: readonly Table[]; undoBlocks: number; renewed: boolean },
): Store {
  const rows = createRows(database);
  const asBlock = (row: { number?: unknown; hash?: unknown }): IndexedBlock => ({
    number: Number(row.number),
    hash: String(row.hash),
  });
  const setJournal = (block: number | null) => rows.run("UPDATE journal SET block = ?", block);
  /** A connection has one transaction at a time; all writing goes through here. */
  const begin = () => database.exec("BEGIN IMMEDIATE");
  const commit = () => database.exec("COMMIT");
  const rollback = () => database.exec("ROLLBACK");
  const atomically = (change: () => void) => {
    begin();
    try {
      change();
      commit();
    } catch (error) {
      rollback();
      throw error;
    }
  };
  const keepHashes = ({ hashes, final }: Batch) => {
    const end = hashes.at(-1)!.number;
    if (final) {
      rows.run("DELETE FROM blocks");
      rows.run("DELETE FROM undo");
      rows.run("INSERT INTO blocks VALUES (?, ?)", end, hashes.at(-1)!.hash);
      return;
    }
    for (const { number, hash } of hashes) rows.run("INSERT INTO blocks VALUES (?, ?)", number, hash);
    rows.run("DELETE FROM blocks WHERE number < ?", end - undoBlocks);
    rows.run("DELETE FROM undo WHERE block <= (SELECT min(number) FROM blocks)");
  };
  return {
    reader: createRows(readOnly),
    renewed,
    fact: (name) => rows.get("SELECT value FROM facts WHERE name = ?", name)?.value?.toString(),
    setFact: (name, value) =>
      rows.run("INSERT INTO facts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2", name, value),
    tip: () => {
      const row = rows.get("SELECT number, hash FROM blocks ORDER BY number DESC LIMIT 1");
      return row === undefined ? undefined : asBlock(row);
    },
    restorable: () => rows.all("SELECT number, hash FROM blocks ORDER BY number DESC").map(asBlock),
    write: async (batch, apply) => {
      begin();
      try {
        await apply(rows, (block) => setJournal(batch.final ? null : block));
        setJournal(null);
        keepHashes(batch);
        commit();
      } catch (error) {
        rollback();
        throw error;
      }
    },
    annotate: (change) => atomically(() => change(rows)),
    undoTo: (block) =>
      atomically(() => {
        for (const { statement } of rows.all("SELECT statement FROM undo WHERE block > ? ORDER BY seq DESC", block))
          database.exec(String(statement));
        rows.run("DELETE FROM undo WHERE block > ?", block);
        rows.run("DELETE FROM blocks WHERE number > ?", block);
      }),
    clear: () =>
      atomically(() => {
        for (const { name } of tables) rows.run(`DELETE FROM ${name}`);
        rows.run("DELETE FROM undo");
        rows.run("DELETE FROM blocks");
      }),
    close: () => {
      readOnly.close();
      database.close();
    },
  };
}
