import fs from "node:fs";
import path from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { reasonOf, StorageError } from "../errors.ts";
import type { BlockFile } from "./block-files.ts";

const LAYOUT = 1;
const SCHEMA = `
  CREATE TABLE blocks (
    digest BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    used INTEGER NOT NULL -- milliseconds since the epoch
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX by_use ON blocks (used);
  CREATE TABLE totals (blocks INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
  INSERT INTO totals VALUES (0, 0);
  CREATE TRIGGER added AFTER INSERT ON blocks BEGIN
    UPDATE totals SET blocks = blocks + 1, bytes = bytes + new.size;
  END;
  CREATE TRIGGER removed AFTER DELETE ON blocks BEGIN
    UPDATE totals SET blocks = blocks - 1, bytes = bytes - old.size;
  END;
  CREATE TABLE pins (
    name TEXT PRIMARY KEY,
    made INTEGER NOT NULL,
    used INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE pinned (
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (name, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX by_block ON pinned (digest);
  PRAGMA user_version = ${LAYOUT};`;

export interface Totals {
  readonly blocks: number;
  readonly bytes: number;
}

/** A named reference that keeps blocks. */
export interface Pin {
  /** What needs the blocks, such as `job:0x...`. */
  readonly name: string;
  /** Blocks that it names; some may not be here. */
  readonly named: number;
  /** Those that are here, and their bytes. */
  readonly blocks: number;
  readonly bytes: number;
  /** When it was made, and when it or one of its blocks was last used, milliseconds since the epoch. */
  readonly madeMs: number;
  readonly usedMs: number;
}

/** A pin and those below it, whose names go on with a slash: they end before the character that follows the slash. */
const IN_RANGE = "name = ? OR (name > ? AND name < ?)";
const withBelow = (name: string) => [name, `${name}/`, `${name}0`] as const;

/**
 * What is known of the blocks of a store, in one file of SQLite that several processes may use at once. Every file of a
 * block has a row, made before the file; a row without its file is a write that did not end, and harmless.
 */
export class BlockIndex {
  /** Whether the file was made now. */
  readonly isNew: boolean;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws StorageError `StoreFailed` */
  constructor(file: string) {
    try {
      fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      // SQLite gives the files beside it the same permissions.
      fs.closeSync(fs.openSync(file, "a", 0o600));
      fs.chmodSync(file, 0o600);
      this.#database = new DatabaseSync(file);
      this.#database.exec("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
      this.isNew = this.#transaction(() => this.#migrate());
    } catch (cause) {
      throw new StorageError("StoreFailed", `the index of blocks ${file} cannot be used: ${reasonOf(cause)}`, {
        cause,
        hint: "move it away: a new one is made from the blocks, and running nodes pin again what they need",
      });
    }
  }

  #migrate(): boolean {
    const { user_version: found } = this.#prepare("PRAGMA user_version").get() as { user_version: number };
    if (found === LAYOUT) return false;
    if (found !== 0) throw new Error(`its layout has number ${found}, this program knows ${LAYOUT}`);
    this.#database.exec(SCHEMA);
    return true;
  }

  totals(): Totals {
    return this.#prepare("SELECT blocks, bytes FROM totals").get() as unknown as Totals;
  }

  /** Notes a use. @returns false when the block is not known */
  touch(digest: Uint8Array, nowMs: number): boolean {
    return this.#run("UPDATE blocks SET used = max(used, ?) WHERE digest = ?", nowMs, digest) > 0;
  }

  touchAll(uses: Iterable<readonly [digest: Uint8Array, usedMs: number]>): void {
    this.#transaction(() => {
      for (const [digest, usedMs] of uses) this.touch(digest, usedMs);
    });
  }

  /** Makes room for a block, or notes that it is there. @returns false when that would be more than the quota */
  reserve({ digest, size }: BlockFile, nowMs: number, quotaBytes: number): boolean {
    return this.#transaction(() => {
      if (this.touch(digest, nowMs)) return true;
      if (this.totals().bytes + size > quotaBytes) return false;
      this.#run("INSERT INTO blocks VALUES (?, ?, ?)", digest, size, nowMs);
      return true;
    });
  }

  /** Blocks that were found on disk. */
  adopt(found: readonly BlockFile[], nowMs: number): number {
    return this.#transaction(() =>
      found.reduce(
        (count, { digest, size }) =>
          count + this.#run("INSERT INTO blocks VALUES (?, ?, ?) ON CONFLICT DO NOTHING", digest, size, nowMs),
        0,
      ),
    );
  }

  /** Forgets a block and removes its file, unless `keep` says that it is good: no other process comes in between. */
  drop(digest: Uint8Array, keep: () => boolean, remove: () => void): boolean {
    return this.#transaction(() => {
      if (keep()) return false;
      this.#run("DELETE FROM blocks WHERE digest = ?", digest);
      remove();
      return true;
    });
  }

  /** Blocks after this one, by their hash. */
  page(after: Uint8Array, limit: number): BlockFile[] {
    const sql = "SELECT digest, size FROM blocks WHERE digest > ? ORDER BY digest LIMIT ?";
    return this.#prepare(sql).all(after, limit) as unknown as BlockFile[];
  }

  /** Blocks that no pin holds and that were not used since, those that were used least recently first. */
  unheld(beforeMs: number, limit: number): BlockFile[] {
    const sql = `SELECT digest, size FROM blocks WHERE used < ?
      AND NOT EXISTS (SELECT 1 FROM pinned WHERE pinned.digest = blocks.digest) ORDER BY used LIMIT ?`;
    return this.#prepare(sql).all(beforeMs, limit) as unknown as BlockFile[];
  }

  /** Takes away pins that begin so and that neither were nor had a block used since. */
  lapse(prefix: string, beforeMs: number): void {
    const names = `SELECT pins.name FROM pins LEFT JOIN pinned ON pinned.name = pins.name
      LEFT JOIN blocks ON blocks.digest = pinned.digest WHERE substr(pins.name, 1, ?) = ?
      GROUP BY pins.name HAVING max(pins.used, coalesce(max(blocks.used), 0)) < ?`;
    const old = this.#prepare(names).all(prefix.length, prefix, beforeMs);
    if (old.length === 0) return;
    this.#lasting(() => {
      for (const { name } of old) {
        this.#run("DELETE FROM pinned WHERE name = ?", name as string);
        this.#run("DELETE FROM pins WHERE name = ?", name as string);
      }
    });
  }

  unheldTotals(beforeMs: number): Totals {
    const sql = `SELECT count(*) AS blocks, coalesce(sum(size), 0) AS bytes FROM blocks WHERE used < ?
      AND NOT EXISTS (SELECT 1 FROM pinned WHERE pinned.digest = blocks.digest)`;
    return this.#prepare(sql).get(beforeMs) as unknown as Totals;
  }

  /** Removes those of these blocks that still are not held and were not used since. @returns what was removed */
  collect(candidates: readonly BlockFile[], beforeMs: number, remove: (digest: Uint8Array) => void): Totals {
    const sql = `DELETE FROM blocks WHERE digest = ? AND used < ?
      AND NOT EXISTS (SELECT 1 FROM pinned WHERE pinned.digest = blocks.digest)`;
    return this.#transaction(() => {
      let [blocks, bytes] = [0, 0];
      for (const { digest, size } of candidates) {
        if (this.#run(sql, digest, beforeMs) === 0) continue;
        remove(digest);
        blocks += 1;
        bytes += size;
      }
      return { blocks, bytes };
    });
  }

  /** Adds blocks to a pin; lasts through a power failure. */
  pin(name: string, digests: Iterable<Uint8Array>, nowMs: number): void {
    this.#lasting(() => {
      this.#run(
        "INSERT INTO pins VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET used = excluded.used",
        name,
        nowMs,
        nowMs,
      );
      for (const digest of digests) this.#run("INSERT INTO pinned VALUES (?, ?) ON CONFLICT DO NOTHING", name, digest);
    });
  }

  unpin(name: string): boolean {
    const range = withBelow(name);
    if (this.#prepare(`SELECT 1 FROM pins WHERE ${IN_RANGE} LIMIT 1`).get(...range) === undefined) return false;
    return this.#lasting(() => {
      this.#run(`DELETE FROM pinned WHERE ${IN_RANGE}`, ...range);
      return this.#run(`DELETE FROM pins WHERE ${IN_RANGE}`, ...range) > 0;
    });
  }

  /** Blocks that are here and that a pin, or one below it, holds. */
  heldBy(name: string): BlockFile[] {
    const sql = `SELECT DISTINCT blocks.digest AS digest, size FROM pinned JOIN blocks ON blocks.digest = pinned.digest
      WHERE ${IN_RANGE}`;
    return this.#prepare(sql).all(...withBelow(name)) as unknown as BlockFile[];
  }

  pins(): Pin[] {
    const sql = `SELECT pins.name AS name, count(pinned.digest) AS named, count(blocks.digest) AS blocks,
        coalesce(sum(blocks.size), 0) AS bytes, made AS madeMs,
        max(pins.used, coalesce(max(blocks.used), 0)) AS usedMs
      FROM pins LEFT JOIN pinned ON pinned.name = pins.name LEFT JOIN blocks ON blocks.digest = pinned.digest
      GROUP BY pins.name ORDER BY pins.name`;
    return this.#prepare(sql).all() as unknown as Pin[];
  }

  pinsOf(digest: Uint8Array): string[] {
    const rows = this.#prepare("SELECT name FROM pinned WHERE digest = ? ORDER BY name").all(digest);
    return rows.map(({ name }) => name as string);
  }

  close(): void {
    this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }

  #run(sql: string, ...values: (string | number | Uint8Array)[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  #lasting<Result>(work: () => Result): Result {
    this.#database.exec("PRAGMA synchronous = FULL");
    try {
      return this.#transaction(work);
    } finally {
      this.#database.exec("PRAGMA synchronous = NORMAL");
    }
  }

  #transaction<Result>(work: () => Result): Result {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}
