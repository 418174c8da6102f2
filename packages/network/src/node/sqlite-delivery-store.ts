import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { Hex } from "@skynet/protocol";
import { MAX_SESSION } from "../delivery/frame.ts";
import { verifyDeliveryReceipt } from "../delivery/receipt.ts";
import {
  laneOf,
  type DeliveryStore,
  type Handled,
  type IncomingStream,
  type Lane,
  type OutgoingRecord,
  type OutgoingStream,
  type PruneOptions,
  type ReceiptFilter,
  type Settlement,
  type StoredDelivery,
  type StoredReceipt,
} from "../delivery/store.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { silent, type Log } from "../host/log.ts";
import { openSqliteFile, type SqliteLayout } from "./sqlite-file.ts";

const FLOORS = "CREATE TABLE floors (lane TEXT PRIMARY KEY, session INTEGER NOT NULL) STRICT;";

// A job is "" for messages outside jobs, so that it can be part of a key.
const SCHEMA = `
  CREATE TABLE outgoing_streams (
    job TEXT NOT NULL, peer TEXT NOT NULL, session INTEGER NOT NULL, next INTEGER NOT NULL,
    public_key BLOB NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (job, peer)
  ) STRICT;
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY, job TEXT NOT NULL, content BLOB NOT NULL, deadline_ms INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE outbox (
    job TEXT NOT NULL, peer TEXT NOT NULL, seq INTEGER NOT NULL, message INTEGER NOT NULL REFERENCES messages (id),
    PRIMARY KEY (job, peer, seq)
  ) STRICT;
  CREATE INDEX outbox_message ON outbox (message);
  CREATE TABLE incoming_streams (
    job TEXT NOT NULL, peer TEXT NOT NULL, session INTEGER NOT NULL, up_to INTEGER NOT NULL, base INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (job, peer)
  ) STRICT;
  CREATE TABLE handled (
    job TEXT NOT NULL, peer TEXT NOT NULL, session INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    refused TEXT,
    PRIMARY KEY (job, peer, session, seq)
  ) STRICT;
  CREATE TABLE receipts (
    id INTEGER PRIMARY KEY, job TEXT NOT NULL, receiver TEXT NOT NULL, at_ms INTEGER NOT NULL, receipt TEXT NOT NULL
  ) STRICT;
  CREATE INDEX receipts_job ON receipts (job, receiver);
  CREATE TABLE heard (topic TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;
  ${FLOORS}`;

/** From the layout before: messages of unknown age count as old. */
const FROM_1 = `
  ALTER TABLE messages ADD COLUMN accepted_ms INTEGER NOT NULL DEFAULT 0;
  ${FLOORS}`;

/** An acknowledgement must not outlive what it says, even when the power fails. */
const LAYOUT: SqliteLayout = { version: 2, from: { 0: SCHEMA, 1: FROM_1 }, synchronous: "FULL", secret: true };

export interface SqliteDeliveryStore extends DeliveryStore {
  close(): void;
}

/**
 * The store of delivery in one SQLite file, which one process at a time may open. What a call has written survives a
 * crash of the machine. A damaged entry is passed over with a warning.
 * @throws NetworkError `BrokenStore` when the file cannot be opened or is of another kind
 */
export function openSqliteDeliveryStore(file: string, { log = silent }: { log?: Log } = {}): SqliteDeliveryStore {
  const rows = openRows(file);
  const { run, atomically } = rows;
  const saveStream = ({ job, to, session, next, publicKey, atMs }: OutgoingStream) =>
    run(
      "INSERT OR REPLACE INTO outgoing_streams VALUES (?, ?, ?, ?, ?, ?)",
      job ?? "",
      to,
      session,
      next,
      publicKey,
      atMs,
    );
  return {
    discardDamaged: async (floor) => atomically(() => discardDamaged(rows, floor)),
    load: async () => load(rows, log),
    addOutgoing: async (record, streams) =>
      atomically(() => {
        addMessage(rows, record);
        for (const stream of streams) saveStream(stream);
      }),
    renewOutgoing: async (stream, givenUp) =>
      atomically(() => {
        settle(rows, givenUp, stream.atMs);
        saveStream(stream);
      }),
    settle: async (settlements, atMs) => atomically(() => settle(rows, settlements, atMs)),
    addHandled: async (stream, handled) => atomically(() => addHandled(rows, stream, handled)),
    removeIncomingStream: async (job, from, floor) =>
      atomically(() => {
        raiseFloor(rows, laneOf(job), floor);
        run("DELETE FROM incoming_streams WHERE job = ? AND peer = ?", job ?? "", from);
        run("DELETE FROM handled WHERE job = ? AND peer = ?", job ?? "", from);
      }),
    setHeard: async (topic, atMs) => run("INSERT OR REPLACE INTO heard VALUES (?, ?)", topic, atMs),
    receipts: async (filter = {}) => receipts(rows, filter, log),
    prune: async (options) => atomically(() => prune(rows, options)),
    close: () => rows.close(),
  };
}

type Value = string | number | bigint | Uint8Array | null;
type Row = Record<string, SQLOutputValue>;

interface Rows {
  run(sql: string, ...values: Value[]): void;
  all(sql: string, ...values: Value[]): Row[];
  /** All of it is written, or nothing. */
  atomically(change: () => void): void;
  close(): void;
}

function openRows(file: string): Rows {
  const database = openSqliteFile(file, LAYOUT, (reason, cause) => {
    const hint = "move the file away to begin anew; receipts and messages that are still on their way are then lost";
    return new NetworkError("BrokenStore", `the messages in ${file} cannot be opened: ${reason}`, { cause, hint });
  });
  const prepared = new Map<string, ReturnType<DatabaseSync["prepare"]>>();
  const statement = (sql: string) => {
    const known = prepared.get(sql);
    if (known) return known;
    const made = database.prepare(sql);
    made.setReadBigInts(true);
    prepared.set(sql, made);
    return made;
  };
  return {
    run: (sql, ...values) => void statement(sql).run(...values),
    all: (sql, ...values) => statement(sql).all(...values),
    atomically(change) {
      database.exec("BEGIN IMMEDIATE");
      try {
        change();
        database.exec("COMMIT");
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
    },
    close: () => database.close(),
  };
}

const jobOf = (row: Row): string | null => (row.job === "" ? null : String(row.job));

function peerOf(row: Row): Hex {
  const peer = String(row.peer);
  if (!/^0x[0-9a-f]{40}$/.test(peer)) throw new Error("not an address");
  return peer as Hex;
}

/** Integers are read as bigints: a single one beyond 2^53 would make the whole query fail. */
function numberOf(value: SQLOutputValue | undefined): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error("a number that no node writes");
  return number;
}

function sessionOf(row: Row): number {
  const session = numberOf(row.session);
  if (session > MAX_SESSION) throw new Error("a session that no node begins");
  return session;
}

const incomingOf = (row: Row): IncomingStream => ({
  job: jobOf(row),
  from: peerOf(row),
  session: sessionOf(row),
  upTo: numberOf(row.up_to),
  base: numberOf(row.base),
  atMs: numberOf(row.at_ms),
});

/** What the rows say; a damaged one is passed over, since the others are still good. */
function readable<T>(rows: readonly Row[], what: string, log: Log, parse: (row: Row) => T): T[] {
  return rows.flatMap((row) => {
    try {
      return [parse(row)];
    } catch (error) {
      log.warn({ what, error: reasonOf(error) }, "a damaged entry among the stored messages is passed over");
      return [];
    }
  });
}

function load({ all }: Rows, log: Log): StoredDelivery {
  const read = <T>(what: string, sql: string, parse: (row: Row) => T, ...values: Value[]) =>
    readable(all(sql, ...values), what, log, parse);
  const handledOf = (row: Row): Handled[] =>
    read(
      "handled",
      "SELECT seq, hash, refused FROM handled WHERE job = ? AND peer = ? AND session = ? ORDER BY seq",
      (it) => ({
        seq: numberOf(it.seq),
        hash: it.hash as Uint8Array,
        refused: it.refused === null ? null : String(it.refused),
      }),
      ...([row.job, row.peer, row.session] as Value[]),
    );
  const recipientsOf = (message: Row) =>
    read(
      "outbox",
      "SELECT peer, seq FROM outbox WHERE message = ?",
      (it) => ({ to: peerOf(it), seq: numberOf(it.seq) }),
      message.id as Value,
    );
  return {
    outgoingStreams: read("outgoing_streams", "SELECT * FROM outgoing_streams", (row) => ({
      job: jobOf(row),
      to: peerOf(row),
      session: sessionOf(row),
      next: numberOf(row.next),
      publicKey: row.public_key as Uint8Array,
      atMs: numberOf(row.at_ms),
    })),
    outgoing: read("messages", "SELECT * FROM messages ORDER BY id", (row) => ({
      job: jobOf(row),
      content: row.content as Uint8Array,
      deadlineMs: numberOf(row.deadline_ms),
      acceptedMs: numberOf(row.accepted_ms),
      recipients: recipientsOf(row),
    })),
    incomingStreams: read("incoming_streams", "SELECT * FROM incoming_streams", (row) => ({
      ...incomingOf(row),
      handled: handledOf(row),
    })),
    floors: {
      jobs: 0,
      strangers: 0,
      ...Object.fromEntries(read("floors", "SELECT * FROM floors", (row) => [String(row.lane), sessionOf(row)])),
    },
    heard: new Map(
      read("heard", "SELECT * FROM heard", (row): [string, number] => [String(row.topic), numberOf(row.at_ms)]),
    ),
  };
}

function isReadable(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

function discardDamaged(rows: Rows, floor: number): void {
  const { all, run } = rows;
  const lanes = new Set<Lane>();
  for (const row of all("SELECT * FROM floors")) {
    if (isReadable(() => sessionOf(row))) continue;
    run("DELETE FROM floors WHERE lane = ?", row.lane as Value);
    lanes.add(row.lane === "jobs" ? "jobs" : "strangers");
  }
  for (const row of all("SELECT * FROM incoming_streams")) {
    if (isReadable(() => incomingOf(row))) continue;
    for (const table of ["incoming_streams", "handled"])
      run(`DELETE FROM ${table} WHERE job = ? AND peer = ?`, row.job as Value, row.peer as Value);
    lanes.add(laneOf(jobOf(row)));
  }
  for (const lane of lanes) raiseFloor(rows, lane, floor);
}

function addMessage({ run, all }: Rows, { job, content, deadlineMs, acceptedMs, recipients }: OutgoingRecord): void {
  run(
    "INSERT INTO messages (job, content, deadline_ms, accepted_ms) VALUES (?, ?, ?, ?)",
    job ?? "",
    content,
    deadlineMs,
    acceptedMs,
  );
  const id = numberOf(all("SELECT last_insert_rowid() AS id")[0]!.id);
  for (const { to, seq } of recipients) run("INSERT INTO outbox VALUES (?, ?, ?, ?)", job ?? "", to, seq, id);
}

function settle({ run, all }: Rows, settlements: readonly Settlement[], atMs: number): void {
  for (const { job, to, seq, receipt } of settlements) {
    const key = [job ?? "", to, seq] as const;
    const [entry] = all("SELECT message FROM outbox WHERE job = ? AND peer = ? AND seq = ?", ...key);
    run("DELETE FROM outbox WHERE job = ? AND peer = ? AND seq = ?", ...key);
    if (entry !== undefined) {
      const id = numberOf(entry.message);
      run("DELETE FROM messages WHERE id = ? AND NOT EXISTS (SELECT 1 FROM outbox WHERE message = ?)", id, id);
    }
    if (receipt === undefined) continue;
    const text = JSON.stringify(receipt);
    run("INSERT INTO receipts (job, receiver, at_ms, receipt) VALUES (?, ?, ?, ?)", job ?? "", to, atMs, text);
  }
}

function addHandled({ run }: Rows, stream: IncomingStream, { seq, hash, refused }: Handled): void {
  const { job, from, session, upTo, base, atMs } = stream;
  run("INSERT OR REPLACE INTO incoming_streams VALUES (?, ?, ?, ?, ?, ?)", job ?? "", from, session, upTo, base, atMs);
  run("INSERT OR REPLACE INTO handled VALUES (?, ?, ?, ?, ?, ?)", job ?? "", from, session, seq, hash, refused);
  run("DELETE FROM handled WHERE job = ? AND peer = ? AND (session < ? OR seq < ?)", job ?? "", from, session, base);
}

function receipts({ all }: Rows, { job, receiver, limit = 1000 }: ReceiptFilter, log: Log): StoredReceipt[] {
  const wanted: [string, Value][] = [];
  if (job !== undefined) wanted.push(["job = ?", job ?? ""]);
  if (receiver !== undefined) wanted.push(["receiver = ?", receiver]);
  const where = wanted.length > 0 ? `WHERE ${wanted.map(([sql]) => sql).join(" AND ")}` : "";
  const values = wanted.map(([, value]) => value);
  const rows = all(`SELECT at_ms, receipt FROM receipts ${where} ORDER BY id DESC LIMIT ?`, ...values, limit);
  return readable(rows, "receipts", log, (row) => ({
    receipt: verifyDeliveryReceipt(JSON.parse(String(row.receipt))),
    atMs: numberOf(row.at_ms),
  }));
}

function raiseFloor({ run }: Rows, lane: Lane, session: number): void {
  run(
    "INSERT INTO floors VALUES (?, ?) ON CONFLICT (lane) DO UPDATE SET session = max(session, excluded.session)",
    lane,
    session,
  );
}

function prune(rows: Rows, { beforeMs, maxReceipts }: PruneOptions): void {
  const { run, all } = rows;
  run("DELETE FROM receipts WHERE at_ms < ?", beforeMs);
  run("DELETE FROM receipts WHERE id <= (SELECT max(id) FROM receipts) - ?", maxReceipts);
  run(
    `DELETE FROM outgoing_streams WHERE at_ms < ? AND NOT EXISTS
      (SELECT 1 FROM outbox WHERE outbox.job = outgoing_streams.job AND outbox.peer = outgoing_streams.peer)`,
    beforeMs,
  );
  // Long after its deadline a message waits only because a part of it was damaged.
  run(
    `DELETE FROM outbox WHERE NOT EXISTS
      (SELECT 1 FROM messages WHERE messages.id = outbox.message AND messages.deadline_ms >= ?)`,
    beforeMs,
  );
  run("DELETE FROM messages WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.message = messages.id)");
  const old = all("SELECT job, max(session) AS last FROM incoming_streams WHERE at_ms < ? GROUP BY job", beforeMs);
  for (const row of old) raiseFloor(rows, laneOf(jobOf(row)), Number(row.last) + 1);
  run("DELETE FROM incoming_streams WHERE at_ms < ?", beforeMs);
  run(
    `DELETE FROM handled WHERE NOT EXISTS
      (SELECT 1 FROM incoming_streams WHERE incoming_streams.job = handled.job AND incoming_streams.peer = handled.peer)`,
  );
  run("DELETE FROM heard WHERE at_ms < ?", beforeMs);
}
