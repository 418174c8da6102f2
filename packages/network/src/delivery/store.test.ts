import "fake-indexeddb/auto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Hex } from "@skynet/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silent } from "../host/log.ts";
import { identityOf } from "../testing.ts";
import { openSqliteDeliveryStore } from "../node/sqlite-delivery-store.ts";
import { openIndexedDbDeliveryStore } from "../browser/indexeddb-delivery-store.ts";
import { createMemoryStore } from "./memory-store.ts";
import { openConfirmation, signConfirmation, type DeliveryReceipt } from "./receipt.ts";
import type { DeliveryStore, OutgoingStream } from "./store.ts";

let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-delivery-"));
});
afterEach(() => fs.rm(folder, { recursive: true }));

const [alice, bob, carol] = [identityOf(1), identityOf(2), identityOf(3)];
const hash = (n: number) => new Uint8Array(32).fill(n);
const stream = (to: Hex, next: number, atMs = 5): OutgoingStream => ({
  job: "0x0a",
  to,
  session: 100,
  next,
  publicKey: new Uint8Array(),
  atMs,
});

function receiptOf(seq: number, job: string | null = "0x0a"): DeliveryReceipt {
  const id = { job, sender: alice.address, session: 100 };
  const got = [{ seq, hash: hash(seq) }];
  return openConfirmation(id, got, signConfirmation(id, got, bob), bob.address)(0);
}

/** A place of stores; each `open` is a restart. */
function openersOf(kind: "memory" | "sqlite" | "indexedDb"): {
  open(): Promise<DeliveryStore>;
  close(): void;
} {
  let opened: { close(): void } | undefined;
  const close = () => opened?.close();
  if (kind === "memory") {
    const store = createMemoryStore();
    return { open: async () => store, close };
  }
  const place = path.join(folder, "delivery");
  const open = async () => {
    close();
    const store = kind === "sqlite" ? openSqliteDeliveryStore(place) : await openIndexedDbDeliveryStore(place);
    opened = store;
    return store;
  };
  return { open, close };
}

describe.each(["memory", "sqlite", "indexedDb"] as const)("the %s store", (kind) => {
  let store: DeliveryStore;
  let reopen: () => Promise<DeliveryStore>;
  let close: () => void;
  beforeEach(async () => {
    ({ open: reopen, close } = openersOf(kind));
    store = await reopen();
  });
  afterEach(() => close());

  test("gives back after a restart what is not settled, and forgets what is", async () => {
    const recipients = [
      { to: bob.address, seq: 1 },
      { to: carol.address, seq: 1 },
    ];
    const record = { job: "0x0a", content: hash(1), deadlineMs: 1000, acceptedMs: 3, recipients };
    await store.addOutgoing(record, [stream(bob.address, 2), stream(carol.address, 2)]);
    const alone = {
      ...record,
      job: null,
      content: hash(2),
      recipients: [{ to: bob.address, seq: 7 }],
    };
    const sealed = { ...stream(bob.address, 8), job: null, publicKey: bob.compressedPublicKey };
    await store.addOutgoing(alone, [sealed]);
    await store.settle([{ job: "0x0a", to: bob.address, seq: 1, receipt: receiptOf(1) }], 50);
    const loaded = await (await reopen()).load();
    expect(loaded.outgoing).toEqual([{ ...record, recipients: [recipients[1]] }, alone]);
    expect(loaded.outgoingStreams).toHaveLength(3);
    expect(loaded.outgoingStreams).toContainEqual(sealed);
    await (await reopen()).settle([{ job: "0x0a", to: carol.address, seq: 1 }], 60);
    expect((await (await reopen()).load()).outgoing).toEqual([alone]);
    expect(await (await reopen()).receipts()).toEqual([{ receipt: receiptOf(1), atMs: 50 }]);
  });

  test("a later session and what is given up for it are written together", async () => {
    const recipients = [bob, carol].map(({ address }) => ({ to: address, seq: 1 }));
    const record = { job: "0x0a", content: hash(1), deadlineMs: 1000, acceptedMs: 3, recipients };
    await store.addOutgoing(record, [stream(bob.address, 2), stream(carol.address, 2)]);
    const renewed = { ...stream(bob.address, 2), session: 200 };
    const givenUp = [{ job: "0x0a", to: bob.address, seq: 1 }];
    const left = async () => {
      const { outgoing, outgoingStreams } = await (await reopen()).load();
      const { session } = outgoingStreams.find(({ to }) => to === bob.address)!;
      return [session, new Set(outgoing.flatMap((it) => it.recipients).map(({ to }) => to))];
    };
    if (kind !== "memory") {
      const unwritable = { ...renewed, next: (() => 0) as never };
      await expect(store.renewOutgoing(unwritable, givenUp)).rejects.toThrow();
      expect(await left(), "nothing of it").toEqual([100, new Set([bob.address, carol.address])]);
    }
    await (await reopen()).renewOutgoing(renewed, givenUp);
    expect(await left()).toEqual([200, new Set([carol.address])]);
    expect(await (await reopen()).receipts()).toEqual([]);
  });

  test("keeps what was handled until the sender has settled it, and only of the latest session", async () => {
    const from = alice.address;
    const state = (session: number, upTo: number, base: number) => ({ job: null, from, session, upTo, base, atMs: 9 });
    await store.addHandled(state(1, 1, 1), { seq: 1, hash: hash(1), refused: null });
    await store.addHandled(state(1, 2, 1), { seq: 2, hash: hash(2), refused: "no" });
    await store.addHandled(state(1, 3, 2), { seq: 3, hash: hash(3), refused: null });
    const handled = async () =>
      (await (await reopen()).load()).incomingStreams.map((it) => it.handled.map(({ seq }) => seq));
    expect(await handled()).toEqual([[2, 3]]);
    expect((await (await reopen()).load()).incomingStreams[0]).toMatchObject({ ...state(1, 3, 2), from });
    await (await reopen()).addHandled(state(2, 1, 1), { seq: 1, hash: hash(4), refused: null });
    expect(await handled()).toEqual([[1]]);
    await (await reopen()).removeIncomingStream(null, from, 3);
    expect(await handled()).toEqual([]);
  });

  test("finds receipts by job and receiver, newest first, and prunes by age and number", async () => {
    for (const seq of [1, 2, 3, 4]) {
      const job = seq === 4 ? null : "0x0a";
      await store.settle([{ job, to: bob.address, seq, receipt: receiptOf(seq, job) }], seq * 10);
    }
    const seqs = async (filter = {}) => (await (await reopen()).receipts(filter)).map(({ receipt }) => receipt.seq);
    expect(await seqs()).toEqual([4, 3, 2, 1]);
    expect(await seqs({ job: "0x0a", limit: 2 })).toEqual([3, 2]);
    expect(await seqs({ job: null })).toEqual([4]);
    expect(await seqs({ receiver: carol.address })).toEqual([]);
    await (await reopen()).prune({ beforeMs: 20, maxReceipts: 2 });
    expect(await seqs()).toEqual([4, 3]);
  });

  test("remembers of forgotten senders the number above their sessions: jobs and strangers apart, the highest", async () => {
    const state = (job: string | null, session: number, atMs: number) => {
      const from = identityOf(session).address;
      return store.addHandled({ job, from, session, upTo: 1, base: 1, atMs }, { seq: 1, hash: hash(1), refused: null });
    };
    expect((await store.load()).floors).toEqual({ jobs: 0, strangers: 0 });
    for (const session of [10, 30, 20]) await state(null, session, 5);
    for (const session of [40, 50]) await state("0x0a", session, 5);
    await state("0x0a", 60, 15);
    await store.removeIncomingStream(null, identityOf(10).address, 11);
    expect((await (await reopen()).load()).floors).toEqual({ jobs: 0, strangers: 11 });
    await (await reopen()).prune({ beforeMs: 10, maxReceipts: 10 });
    await (await reopen()).removeIncomingStream(null, identityOf(9).address, 10);
    const { floors, incomingStreams } = await (await reopen()).load();
    expect(floors).toEqual({ jobs: 51, strangers: 31 });
    expect(incomingStreams.map(({ session }) => session)).toEqual([60]);
  });

  test("forgets streams that were silent for long, but not while a message waits", async () => {
    const recipients = [{ to: bob.address, seq: 1 }];
    const record = { job: "0x0a", content: hash(1), deadlineMs: 1e9, acceptedMs: 3, recipients };
    await store.addOutgoing(record, [stream(bob.address, 2), stream(carol.address, 9)]);
    const incoming = { job: null, from: alice.address, session: 1, upTo: 1, base: 1, atMs: 5 };
    await store.addHandled(incoming, { seq: 1, hash: hash(1), refused: null });
    await store.setHeard("inbox", 5);
    await store.setHeard("job", 15);
    await (await reopen()).prune({ beforeMs: 10, maxReceipts: 10 });
    const { outgoingStreams, incomingStreams, heard } = await (await reopen()).load();
    expect(outgoingStreams.map(({ to }) => to)).toEqual([bob.address]);
    expect(incomingStreams).toEqual([]);
    expect([...heard]).toEqual([["job", 15]]);
  });
});

test("a file of the layout before is brought up to date; its messages count as old", async () => {
  const file = path.join(folder, "old.sqlite");
  openSqliteDeliveryStore(file).close();
  const old = new DatabaseSync(file);
  old.exec("DROP TABLE floors; ALTER TABLE messages DROP COLUMN accepted_ms; PRAGMA user_version = 1;");
  old.exec("INSERT INTO messages (job, content, deadline_ms) VALUES ('0x0a', x'01', 9);");
  old.close();
  for (const _ of [1, 2]) {
    const store = openSqliteDeliveryStore(file);
    const { outgoing, floors } = await store.load();
    expect(outgoing).toEqual([
      { job: "0x0a", content: Uint8Array.of(1), deadlineMs: 9, acceptedMs: 0, recipients: [] },
    ]);
    expect(floors).toEqual({ jobs: 0, strangers: 0 });
    store.close();
  }
});

test("damaged entries are passed over with a warning, and the others are read", async () => {
  const file = path.join(folder, "damaged.sqlite");
  const warnings: unknown[] = [];
  const log = { ...silent, warn: (fields: Record<string, unknown>) => void warnings.push(fields.what) };
  const store = openSqliteDeliveryStore(file, { log });
  // What a hostile acknowledgement once led to.
  const recipients = [{ to: bob.address, seq: 1 }];
  await store.addOutgoing({ job: "0x0a", content: hash(1), deadlineMs: 9, acceptedMs: 3, recipients }, [
    { ...stream(bob.address, 2), session: 2 ** 53 },
    stream(carol.address, 2),
  ]);
  await store.addHandled(
    { job: null, from: alice.address, session: 2 ** 53, upTo: 1, base: 1, atMs: 5 },
    { seq: 1, hash: hash(1), refused: null },
  );
  const receipts = [1, 2, 3].map((seq) => ({ job: "0x0a", to: bob.address, seq: seq + 10, receipt: receiptOf(seq) }));
  await store.settle([{ ...receipts[0]!, receipt: { ...receiptOf(1), index: 7 } }, ...receipts.slice(1)], 50);
  const loaded = await store.load();
  expect(loaded.outgoingStreams.map(({ to }) => to)).toEqual([carol.address]);
  expect(loaded.outgoing).toHaveLength(1);
  expect(loaded.incomingStreams).toEqual([]);
  expect((await store.receipts()).map(({ receipt }) => receipt.seq)).toEqual([3, 2]);
  expect(warnings).toEqual(["outgoing_streams", "incoming_streams", "receipts"]);
  store.close();
});

const incoming = (from: Hex, job: string | null, session = 1) => ({ job, from, session, upTo: 1, base: 1, atMs: 5 });
const result = { seq: 1, hash: hash(1), refused: null };

test.each(["sqlite", "indexedDb"] as const)(
  "a damaged position of a sender is discarded, and nothing older is heard in its lane (%s)",
  async (kind) => {
    const { open, close } = openersOf(kind);
    let store = await open();
    await store.addHandled(incoming(alice.address, null, 2 ** 53), result);
    await store.addHandled(incoming(bob.address, null), result);
    await store.addHandled(incoming(carol.address, "0x0a"), result);
    await store.discardDamaged(77);
    store = await open();
    const first = await store.load();
    expect(first.floors).toEqual({ jobs: 0, strangers: 77 });
    expect(first.incomingStreams.map(({ from }) => from).toSorted()).toEqual([bob.address, carol.address].toSorted());
    // A second start finds nothing damaged.
    await store.discardDamaged(99);
    expect((await store.load()).floors).toEqual({ jobs: 0, strangers: 77 });
    await store.removeIncomingStream("0x0a", carol.address, 2 ** 53);
    await store.discardDamaged(88);
    expect((await store.load()).floors, "a floor that nobody reaches").toEqual({ jobs: 88, strangers: 77 });
    close();
  },
);

test("a file of something else is refused, with what to do", async () => {
  const file = path.join(folder, "other.sqlite");
  await fs.writeFile(file, "this is no database, and long enough to be looked at by SQLite".repeat(20));
  expect(() => openSqliteDeliveryStore(file)).toThrow(
    expect.objectContaining({ code: "BrokenStore", hint: expect.any(String) as string }),
  );
});

test("messages that nobody waits for any more are pruned, also when the entry of who did was damaged", async () => {
  const file = path.join(folder, "lost.sqlite");
  const store = openSqliteDeliveryStore(file);
  const to = (seq: number) => [{ to: bob.address, seq }];
  const record = { job: "0x0a", content: hash(1), acceptedMs: 3 };
  for (const [seq, deadlineMs] of [
    [1, 1e9],
    [2, 1e9],
    [3, 8],
  ] as const)
    await store.addOutgoing({ ...record, deadlineMs, recipients: to(seq) }, [stream(bob.address, seq + 1, 20)]);
  store.close();
  const damaged = new DatabaseSync(file);
  damaged.exec(
    "PRAGMA foreign_keys = OFF; DELETE FROM outbox WHERE seq = 2; UPDATE outbox SET seq = -3 WHERE seq = 3;",
  );
  damaged.close();
  const again = openSqliteDeliveryStore(file);
  await again.prune({ beforeMs: 10, maxReceipts: 10 });
  again.close();
  const left = new DatabaseSync(file, { readOnly: true });
  expect(left.prepare("SELECT id FROM messages").all()).toEqual([{ id: 1 }]);
  expect(left.prepare("SELECT seq FROM outbox").all()).toEqual([{ seq: 1 }]);
  left.close();
});

test("a second tab does not open the messages of the first, and damaged entries are passed over", async () => {
  const warnings: unknown[] = [];
  const log = { ...silent, warn: (fields: Record<string, unknown>) => void warnings.push(fields.what) };
  const store = await openIndexedDbDeliveryStore("tab", { log });
  const second = openIndexedDbDeliveryStore("tab");
  await store.addOutgoing({ job: null, content: hash(1), deadlineMs: 9, acceptedMs: 3, recipients: [] }, [
    { ...stream(bob.address, 2), session: 2 ** 53 },
    stream(carol.address, 2),
  ]);
  expect((await store.load()).outgoingStreams).toEqual([stream(carol.address, 2)]);
  expect(warnings).toEqual(["outgoingStreams"]);
  await expect(second).rejects.toMatchObject({ code: "BrokenStore", hint: expect.stringContaining("tab") as string });
  store.close();
  (await openIndexedDbDeliveryStore("tab")).close();
});
