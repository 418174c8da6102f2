import type { Hex } from "@skynet/protocol";
import { openDB, type IDBPDatabase } from "idb";
import type { z } from "zod";
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
import * as layout from "./delivery-database.ts";
import { jobKey, jobOf, type Change, type DeliveryLayout, type StoreName } from "./delivery-database.ts";

/** A tab that is reloaded or closed gives its lock back within this time. */
const LOCK_MS = 2000;

export interface IndexedDbDeliveryStore extends DeliveryStore {
  close(): void;
}

/**
 * The store of delivery in a browser: one database of the page's origin, which one tab at a time may open. What a call
 * has written survives the end of the tab and of the browser; the browser may remove all of it when space is short,
 * unless the page was granted `navigator.storage.persist()`. A damaged entry is passed over with a warning.
 * @throws NetworkError `BrokenStore` when it cannot be opened, or another tab has it
 */
export async function openIndexedDbDeliveryStore(
  name: string,
  { log = silent }: { log?: Log } = {},
): Promise<IndexedDbDeliveryStore> {
  const release = await hold(`skynet-delivery-${name}`);
  try {
    const database = await open(name, log);
    return createStore(database, log, () => {
      database.close();
      release();
    });
  } catch (cause) {
    release();
    throw new NetworkError("BrokenStore", `the browser cannot open the stored messages: ${reasonOf(cause)}`, {
      cause,
      hint: "private windows and full disks may refuse; or clear the data of this site",
    });
  }
}

/** Two tabs would give the same numbers to different messages. @returns function that gives the name back */
async function hold(name: string): Promise<() => void> {
  if (!("locks" in navigator))
    throw new NetworkError("BrokenStore", "this page may not keep messages: the browser offers it no locks", {
      hint: "open it over https, or from this machine",
    });
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: held, resolve, reject } = Promise.withResolvers<void>();
  const grant = () => {
    resolve();
    return released;
  };
  navigator.locks.request(name, { signal: AbortSignal.timeout(LOCK_MS) }, grant).catch(reject);
  try {
    await held;
  } catch (cause) {
    throw new NetworkError("BrokenStore", "another tab uses the stored messages of this node", {
      cause,
      hint: "close the other tab",
    });
  }
  return release;
}

const open = (name: string, log: Log) =>
  openDB<DeliveryLayout>(name, layout.VERSION, {
    upgrade(database) {
      database.createObjectStore("outgoingStreams", { keyPath: ["job", "to"] });
      database.createObjectStore("messages", { autoIncrement: true });
      database.createObjectStore("outbox", { keyPath: ["job", "to", "seq"] }).createIndex("message", "message");
      database.createObjectStore("incomingStreams", { keyPath: ["job", "from"] });
      database.createObjectStore("handled", { keyPath: ["job", "from", "session", "seq"] });
      database.createObjectStore("receipts", { autoIncrement: true }).createIndex("atMs", "atMs");
      database.createObjectStore("heard", { keyPath: "topic" });
      database.createObjectStore("floors", { keyPath: "lane" });
    },
    terminated: () => log.warn({ name }, "the browser has closed the stored messages: was the site's data cleared?"),
  });

type Database = IDBPDatabase<DeliveryLayout>;

function createStore(database: Database, log: Log, close: () => void): IndexedDbDeliveryStore {
  /** All or nothing; done when it is on disk: an acknowledgement must not outlive what it says. */
  const write = async (names: StoreName[], change: (change: Change) => Promise<unknown>): Promise<void> => {
    const transaction = database.transaction(names, "readwrite", { durability: "strict" });
    const done = transaction.done.then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    try {
      await change(transaction);
    } catch (error) {
      // A request that failed has ended it already.
      if (transaction.error === null) transaction.abort();
      await done;
      throw error;
    }
    const failed = await done;
    if (failed !== undefined) throw failed.error;
  };
  return {
    discardDamaged: (floor) =>
      write(["incomingStreams", "handled", "floors"], (change) => discardDamaged(change, floor)),
    load: () => load(database, log),
    addOutgoing: (record, streams) =>
      write(["messages", "outbox", "outgoingStreams"], (change) => addOutgoing(change, record, streams)),
    renewOutgoing: (stream, givenUp) =>
      write(["messages", "outbox", "receipts", "outgoingStreams"], async (change) => {
        await settle(change, givenUp, stream.atMs);
        await saveStream(change, stream);
      }),
    settle: (settlements, atMs) =>
      write(["messages", "outbox", "receipts"], (change) => settle(change, settlements, atMs)),
    addHandled: (stream, handled) =>
      write(["incomingStreams", "handled"], (change) => addHandled(change, stream, handled)),
    removeIncomingStream: (job, from, floor) =>
      write(["incomingStreams", "handled", "floors"], async (change) => {
        await raiseFloor(change, laneOf(job), floor);
        await removeIncoming(change, jobKey(job), from);
      }),
    setHeard: (topic, atMs) => write(["heard"], (change) => change.objectStore("heard").put({ topic, atMs })),
    receipts: (filter = {}) => receipts(database, filter, log),
    prune: (options) =>
      write(
        ["receipts", "messages", "outgoingStreams", "outbox", "incomingStreams", "handled", "heard", "floors"],
        (change) => prune(change, options),
      ),
    close,
  };
}

/** What the entries say; a damaged one is passed over, since the others are still good. */
function readable<S extends z.ZodType>(schema: S, entries: readonly unknown[], what: string, log: Log): z.output<S>[] {
  return entries.flatMap((entry) => {
    const parsed = schema.safeParse(entry);
    if (parsed.success) return [parsed.data];
    log.warn({ what, error: reasonOf(parsed.error) }, "a damaged entry among the stored messages is passed over");
    return [];
  });
}

async function load(database: Database, log: Log): Promise<StoredDelivery> {
  const stores = ["outgoingStreams", "messages", "outbox", "incomingStreams", "handled", "heard", "floors"] as const;
  const transaction = database.transaction(stores, "readonly");
  const all = <S extends z.ZodType>(name: (typeof stores)[number], schema: S) =>
    transaction
      .objectStore(name)
      .getAll()
      .then((entries) => readable(schema, entries, name, log));
  const [streams, ids, messages, outbox, incoming, handled, heard, floors] = await Promise.all([
    all("outgoingStreams", layout.outgoingStream),
    transaction.objectStore("messages").getAllKeys(),
    transaction.objectStore("messages").getAll(),
    all("outbox", layout.waiting),
    all("incomingStreams", layout.incomingStream),
    all("handled", layout.handled),
    all("heard", layout.heard),
    all("floors", layout.floor),
    transaction.done,
  ]);
  const recipients = Map.groupBy(outbox, (it) => it.message);
  const results = Map.groupBy(handled, (it) => `${it.job} ${it.from} ${it.session}`);
  return {
    outgoingStreams: streams.map((it) => ({ ...it, job: jobOf(it.job) })),
    outgoing: ids.flatMap((id, i) =>
      readable(layout.message, [messages[i]], "messages", log).map((it) => ({
        ...it,
        job: jobOf(it.job),
        recipients: (recipients.get(id) ?? []).map(({ to, seq }) => ({ to, seq })),
      })),
    ),
    incomingStreams: incoming.map((it) => ({
      ...it,
      job: jobOf(it.job),
      handled: (results.get(`${it.job} ${it.from} ${it.session}`) ?? []).map(({ seq, hash, refused }) => ({
        seq,
        hash,
        refused,
      })),
    })),
    floors: { jobs: 0, strangers: 0, ...Object.fromEntries(floors.map(({ lane, session }) => [lane, session])) },
    heard: new Map(heard.map(({ topic, atMs }) => [topic, atMs])),
  };
}

async function discardDamaged(change: Change, floor: number): Promise<void> {
  const lanes = new Set<Lane>();
  const [floors, incoming] = [change.objectStore("floors"), change.objectStore("incomingStreams")];
  for (const entry of await floors.getAll()) {
    if (layout.floor.safeParse(entry).success) continue;
    await floors.delete(entry.lane);
    lanes.add(entry.lane === "jobs" ? "jobs" : "strangers");
  }
  for (const entry of await incoming.getAll()) {
    if (layout.incomingStream.safeParse(entry).success) continue;
    await removeIncoming(change, entry.job, entry.from);
    lanes.add(laneOf(jobOf(entry.job)));
  }
  for (const lane of lanes) await raiseFloor(change, lane, floor);
}

/** Of a part of a buffer, the browser would keep the whole buffer. */
const trimmed = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes.slice();

const saveStream = (change: Change, stream: OutgoingStream) =>
  change
    .objectStore("outgoingStreams")
    .put({ ...stream, job: jobKey(stream.job), publicKey: trimmed(stream.publicKey) });

async function addOutgoing(change: Change, record: OutgoingRecord, streams: readonly OutgoingStream[]): Promise<void> {
  const { content, deadlineMs, acceptedMs, recipients } = record;
  const job = jobKey(record.job);
  const message = await change.objectStore("messages").add({ job, content: trimmed(content), deadlineMs, acceptedMs });
  for (const { to, seq } of recipients) await change.objectStore("outbox").put({ job, to, seq, message });
  for (const stream of streams) await saveStream(change, stream);
}

async function settle(change: Change, settlements: readonly Settlement[], atMs: number): Promise<void> {
  const outbox = change.objectStore("outbox");
  for (const { job, to, seq, receipt } of settlements) {
    const key: [string, Hex, number] = [jobKey(job), to, seq];
    const entry = await outbox.get(key);
    if (entry !== undefined) {
      await outbox.delete(key);
      if ((await outbox.index("message").count(entry.message)) === 0)
        await change.objectStore("messages").delete(entry.message);
    }
    if (receipt !== undefined)
      await change.objectStore("receipts").add({ job: jobKey(job), receiver: to, atMs, receipt });
  }
}

/** Keys that begin with these parts. */
const beginningWith = (...parts: readonly (string | number)[]): IDBKeyRange =>
  IDBKeyRange.bound([...parts], [...parts, []]); // An array comes after every text and number.

async function addHandled(change: Change, stream: IncomingStream, { seq, hash, refused }: Handled): Promise<void> {
  const [job, handled] = [jobKey(stream.job), change.objectStore("handled")];
  const { from, session, base } = stream;
  await change.objectStore("incomingStreams").put({ ...stream, job });
  await handled.put({ job, from, session, seq, hash: trimmed(hash), refused });
  for (const key of await handled.getAllKeys(beginningWith(job, from)))
    if (key[2] !== session || key[3] < base) await handled.delete(key);
}

async function removeIncoming(change: Change, job: string, from: Hex): Promise<void> {
  await change.objectStore("incomingStreams").delete([job, from]);
  await change.objectStore("handled").delete(beginningWith(job, from));
}

async function raiseFloor(change: Change, lane: Lane, session: number): Promise<void> {
  const floors = change.objectStore("floors");
  const before = (await floors.get(lane))?.session ?? 0;
  await floors.put({ lane, session: Math.max(before, session) });
}

async function receipts(
  database: Database,
  { job, receiver, limit = 1000 }: ReceiptFilter,
  log: Log,
): Promise<StoredReceipt[]> {
  const found: StoredReceipt[] = [];
  let cursor = await database.transaction("receipts").store.openCursor(null, "prev");
  for (; cursor !== null && found.length < limit; cursor = await cursor.continue()) {
    const { value } = cursor;
    if (job !== undefined && value.job !== jobKey(job)) continue;
    if (receiver !== undefined && value.receiver !== receiver) continue;
    try {
      const { receipt, atMs } = layout.receipt.parse(value);
      found.push({ receipt: verifyDeliveryReceipt(receipt), atMs });
    } catch (error) {
      log.warn({ error: reasonOf(error) }, "a damaged receipt among the stored ones is passed over");
    }
  }
  return found;
}

async function prune(change: Change, { beforeMs, maxReceipts }: PruneOptions): Promise<void> {
  await pruneReceipts(change, { beforeMs, maxReceipts });
  const outgoing = change.objectStore("outgoingStreams");
  for (const { job, to, atMs } of await outgoing.getAll())
    if (atMs < beforeMs && (await change.objectStore("outbox").count(beginningWith(job, to))) === 0)
      await outgoing.delete([job, to]);
  await pruneMessages(change, beforeMs);
  for (const { job, from, session, atMs } of await change.objectStore("incomingStreams").getAll()) {
    if (atMs >= beforeMs) continue;
    await raiseFloor(change, laneOf(jobOf(job)), session + 1);
    await removeIncoming(change, job, from);
  }
  const heard = change.objectStore("heard");
  for (const { topic, atMs } of await heard.getAll()) if (atMs < beforeMs) await heard.delete(topic);
}

async function pruneMessages(change: Change, beforeMs: number): Promise<void> {
  const [messages, outbox] = [change.objectStore("messages"), change.objectStore("outbox")];
  // Long after its deadline a message waits only because a part of it was damaged.
  for (const { job, to, seq, message } of await outbox.getAll())
    if (((await messages.get(message))?.deadlineMs ?? 0) < beforeMs) await outbox.delete([job, to, seq]);
  for (const key of await messages.getAllKeys())
    if ((await outbox.index("message").count(key)) === 0) await messages.delete(key);
}

async function pruneReceipts(change: Change, { beforeMs, maxReceipts }: PruneOptions): Promise<void> {
  const store = change.objectStore("receipts");
  for (const key of await store.index("atMs").getAllKeys(IDBKeyRange.upperBound(beforeMs, true)))
    await store.delete(key);
  const keys = await store.getAllKeys();
  if (keys.length > maxReceipts) await store.delete(IDBKeyRange.upperBound(keys.at(-maxReceipts - 1)!));
}
