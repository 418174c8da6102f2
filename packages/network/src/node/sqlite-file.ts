import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { reasonOf, type NetworkError } from "../errors.ts";

export interface SqliteLayout {
  /** Number of the layout that this program knows; a file with another one that leads nowhere is refused. */
  readonly version: number;
  /** SQL that leads to it from another number; 0 is a new file. */
  readonly from: Readonly<Record<number, string>>;
  /** FULL: what was written survives a power failure. NORMAL: it survives a crash of the process, at little cost. */
  readonly synchronous: "FULL" | "NORMAL";
  /** Only this user may read the file (false). */
  readonly secret?: boolean;
}

/**
 * Opens or makes a file of SQLite, with a write-ahead log.
 * @param broken makes the error that is thrown when the file cannot be opened or is of another kind
 */
export function openSqliteFile(
  file: string,
  { version, from, synchronous, secret = false }: SqliteLayout,
  broken: (reason: string, cause: unknown) => NetworkError,
): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    database = new DatabaseSync(file);
    if (secret) fs.chmodSync(file, 0o600);
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA busy_timeout = 5000;`);
    const { user_version: found } = database.prepare("PRAGMA user_version").get() as { user_version: number };
    if (found === version) return database;
    const change = from[found];
    if (change === undefined) throw new Error(`its layout has number ${found}, this program knows ${version}`);
    database.exec(`BEGIN; ${change} PRAGMA user_version = ${version}; COMMIT;`);
    return database;
  } catch (cause) {
    database?.close();
    throw broken(reasonOf(cause), cause);
  }
}
