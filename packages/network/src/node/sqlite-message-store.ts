import type { DatabaseSync, StatementSync } from "node:sqlite";
import { NetworkError } from "../errors.ts";
import {
  pageOf,
  type HistoryPage,
  type HistoryQuery,
  type MessageStore,
  type StoredMessage,
  type StoreLimits,
} from "../waku/message-store.ts";
import { openSqliteFile, type SqliteLayout } from "./sqlite-file.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** What a relay keeps on disk: seven days, 1 GiB. */
export const DISK_LIMITS: StoreLimits = { maxAgeMs: 7 * DAY_MS, maxBytes: 1024 ** 3, maxMessages: 10_000_000 };

const SCHEMA = `
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    pubsub TEXT NOT NULL,
    topic TEXT NOT NULL,
    time INTEGER NOT NULL, -- nanoseconds since the epoch
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE INDEX by_time ON messages (time, hash);
  CREATE INDEX by_topic ON messages (pubsub, topic, time, hash);`;

const LAYOUT: SqliteLayout = { version: 1, from: { 0: SCHEMA }, synchronous: "NORMAL" };

/** A place in the order of messages: time, then hash. */
type Place = readonly [time: bigint, hash: Uint8Array];

/** A message without its content. */
interface Key {
  readonly id: number;
  readonly time: bigint;
  readonly hash: Uint8Array;
}

const NOTHING = new Uint8Array();
const LOWEST: Place = [-(2n ** 63n), NOTHING];
const HIGHEST: Place = [2n ** 63n - 1n, NOTHING];

const after = (one: Place, other: Place): boolean => comparePlaces(one, other) > 0;

function comparePlaces([time, hash]: Place, [otherTime, otherHash]: Place): number {
  if (time !== otherTime) return time < otherTime ? -1 : 1;
  return Buffer.compare(hash, otherHash);
}

export interface SqliteStoreOptions {
  readonly clock?: () => number;
  readonly limits?: Partial<StoreLimits>;
}

/**
 * A history in one SQLite file, which a restarted or killed process goes on with.
 * @throws NetworkError `BrokenHistory` when the file cannot be opened or is of another kind
 */
export function openSqliteMessageStore(file: string, options: SqliteStoreOptions = {}): MessageStore {
  const { clock = Date.now } = options;
  const limits = { ...DISK_LIMITS, ...options.limits };
  const database = openSqliteFile(file, LAYOUT, (reason, cause) => {
    const hint = "move the file away to begin a new history; nothing else depends on it";
    return new NetworkError("BrokenHistory", `the history ${file} cannot be opened: ${reason}`, { cause, hint });
  });
  const run = prepare(database);
  const size = run.size();

  const prune = () => {
    const oldest = BigInt(clock() - limits.maxAgeMs) * 1_000_000n;
    for (let first = run.first(); first !== undefined; first = run.first()) {
      const over = size.messages > limits.maxMessages || size.bytes > limits.maxBytes;
      if (!over && first.time >= oldest) return;
      run.remove(first.id);
      size.messages -= 1;
      size.bytes -= first.length;
    }
  };
  return {
    prune,
    add(message) {
      if (!run.add(message)) return;
      size.messages += 1;
      size.bytes += message.bytes.length;
      prune();
    },
    query: async (query) => {
      prune();
      return findPage(run, query);
    },
    size: () => ({ ...size }),
    close: () => database.close(),
  };
}

type Statements = ReturnType<typeof prepare>;

function prepare(database: DatabaseSync) {
  const big = (sql: string): StatementSync => {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  };
  const keys = (where: string, order: string) =>
    big(
      `SELECT id, time, hash FROM messages WHERE ${where} (time, hash) > (?, ?) AND (time, hash) < (?, ?) ` +
        `ORDER BY time ${order}, hash ${order} LIMIT ?`,
    );
  const all = [keys("", "DESC"), keys("", "ASC")];
  const ofTopic = [keys("pubsub = ? AND topic = ? AND", "DESC"), keys("pubsub = ? AND topic = ? AND", "ASC")];
  const insert = database.prepare(
    "INSERT INTO messages (hash, pubsub, topic, time, bytes) VALUES (?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
  );
  const first = big("SELECT id, time, length(bytes) AS length FROM messages ORDER BY time, hash LIMIT 1");
  const remove = database.prepare("DELETE FROM messages WHERE id = ?");
  const byHash = big("SELECT id, time, hash FROM messages WHERE hash = ?");
  const content = big("SELECT hash, pubsub, topic, time, bytes FROM messages WHERE id = ?");
  const size = database.prepare("SELECT count(*) AS messages, coalesce(sum(length(bytes)), 0) AS bytes FROM messages");
  const keyOf = (row: unknown): Key => {
    const { id, time, hash } = row as { id: bigint; time: bigint; hash: Uint8Array };
    return { id: Number(id), time, hash };
  };
  return {
    add: ({ hash, pubsubTopic, contentTopic, timestamp, bytes }: StoredMessage): boolean =>
      insert.run(hash, pubsubTopic, contentTopic, timestamp, bytes).changes > 0,
    remove: (id: number) => void remove.run(id),
    first() {
      const row = first.get() as { id: bigint; time: bigint; length: bigint } | undefined;
      return row && { id: Number(row.id), time: row.time, length: Number(row.length) };
    },
    keyOf(hash: Uint8Array): Key | undefined {
      const row = byHash.get(hash);
      return row && keyOf(row);
    },
    /** Keys between two places, in the given direction; of one topic, or of all. */
    keys(from: Place, to: Place, forward: boolean, limit: number, topic?: readonly [pubsub: string, topic: string]) {
      const statement = (topic ? ofTopic : all)[Number(forward)]!;
      return statement.all(...(topic ?? []), ...from, ...to, limit).map(keyOf);
    },
    content(id: number): StoredMessage {
      const row = content.get(id) as {
        hash: Uint8Array;
        pubsub: string;
        topic: string;
        time: bigint;
        bytes: Uint8Array;
      };
      return {
        hash: row.hash,
        pubsubTopic: row.pubsub,
        contentTopic: row.topic,
        timestamp: row.time,
        bytes: row.bytes,
      };
    },
    size: () => ({ ...(size.get() as { messages: number; bytes: number }) }),
  };
}

function findPage(run: Statements, query: HistoryQuery): HistoryPage {
  const { cursor, forward, limit } = query;
  const start = cursor && run.keyOf(cursor);
  if (cursor !== undefined && start === undefined)
    throw new NetworkError("NotFound", "the cursor is not a message of this store");
  const place: Place | undefined = start && [start.time, start.hash];
  let from: Place = query.timeStart === undefined ? LOWEST : [query.timeStart, NOTHING];
  let to: Place = query.timeEnd === undefined ? HIGHEST : [query.timeEnd, NOTHING];
  if (place && forward && after(place, from)) from = place;
  if (place && !forward && after(to, place)) to = place;
  const sign = forward ? 1 : -1;
  const keys = findKeys(run, query, from, to)
    .toSorted((one, other) => sign * comparePlaces([one.time, one.hash], [other.time, other.hash]))
    .slice(0, limit + 1);
  return pageOf(contents(run, keys), query);
}

function findKeys(run: Statements, query: HistoryQuery, from: Place, to: Place): Key[] {
  const { hashes, contentTopics, pubsubTopic = "", forward, limit } = query;
  if (hashes.length > 0) {
    const unique = new Map(hashes.flatMap((hash) => run.keyOf(hash) ?? []).map((key) => [key.id, key]));
    const within = (place: Place) => after(place, from) && after(to, place);
    return [...unique.values()].filter(({ time, hash }) => within([time, hash]));
  }
  if (contentTopics.length === 0) return run.keys(from, to, forward, limit + 1);
  return [...new Set(contentTopics)].flatMap((topic) => run.keys(from, to, forward, limit + 1, [pubsubTopic, topic]));
}

/** Reads one content after the other, so that a page that is cut reads no more than it gives. */
function* contents(run: Statements, keys: readonly Key[]): Generator<StoredMessage> {
  for (const { id } of keys) yield run.content(id);
}
