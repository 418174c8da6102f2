import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "@skynet/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMemoryMessageStore } from "./memory-message-store.ts";
import { openSqliteMessageStore } from "../node/sqlite-message-store.ts";
import { compareMessages, type HistoryQuery, type MessageStore, type StoredMessage } from "./message-store.ts";

const pubsubTopic = "/waku/2/rs/1729/0";
const everything: HistoryQuery = { contentTopics: [], hashes: [], forward: true, limit: 100, maxBytes: 1e9 };
const NOW_MS = 1_000_000_000;

function message(n: number, timestamp: bigint, contentTopic = "/a/1/b/c", bytes = 100): StoredMessage {
  const content = new Uint8Array(bytes);
  new DataView(content.buffer).setUint32(0, n);
  return { hash: sha256(content), pubsubTopic, contentTopic, timestamp, bytes: content };
}

const stores: [string, (limits?: object) => MessageStore][] = [
  ["in memory", (limits = {}) => createMemoryMessageStore({ clock: () => NOW_MS, limits })],
  ["in SQLite", (limits = {}) => openSqliteMessageStore(":memory:", { clock: () => NOW_MS, limits })],
];

describe.each(stores)("a store %s", (_name, create) => {
  const recent = (ns: number) => BigInt(NOW_MS) * 1_000_000n - 1_000_000n + BigInt(ns);

  test("pages in both directions give every matching message once, in order", async () => {
    const query = fc.record({
      forward: fc.boolean(),
      limit: fc.integer({ min: 1, max: 7 }),
      topics: fc.subarray(["/a", "/b", "/c"]),
      start: fc.option(fc.integer({ min: 0, max: 20 })),
      end: fc.option(fc.integer({ min: 0, max: 20 })),
    });
    const messages = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.constantFrom("/a", "/b", "/c")), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(messages, query, async (list, { forward, limit, topics, start, end }) => {
        const store = create();
        const all = list.map(([time, topic], n) => message(n, recent(time), topic));
        for (const it of all) store.add(it);
        const expected = all
          .filter(({ contentTopic }) => topics.length === 0 || topics.includes(contentTopic))
          .filter(({ timestamp }) => start === null || timestamp >= recent(start))
          .filter(({ timestamp }) => end === null || timestamp < recent(end))
          .toSorted(compareMessages);
        const got: StoredMessage[] = [];
        let cursor: Uint8Array | undefined;
        do {
          const timeStart = start === null ? undefined : recent(start);
          const timeEnd = end === null ? undefined : recent(end);
          const pubsub = topics.length > 0 ? { pubsubTopic } : {};
          const asked = { ...everything, ...pubsub, contentTopics: topics, timeStart, timeEnd, forward, limit, cursor };
          const page = await store.query(asked);
          expect(page.messages.length).toBeLessThanOrEqual(limit);
          if (forward) got.push(...page.messages);
          else got.unshift(...page.messages);
          cursor = page.cursor;
        } while (cursor !== undefined);
        expect(got.map(({ hash }) => toHex(hash))).toEqual(expected.map(({ hash }) => toHex(hash)));
        store.close();
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  test("messages are found by hash, and content comes back byte for byte", async () => {
    const store = create();
    const list = [3, 1, 2].map((n) => message(n, recent(n)));
    for (const it of list) store.add(it);
    const hashes = [list[0]!.hash, list[1]!.hash, new Uint8Array(32)];
    expect((await store.query({ ...everything, hashes })).messages).toEqual([list[1], list[0]]);
    const first = await store.query({ ...everything, hashes, limit: 1 });
    expect(first).toEqual({ messages: [list[1]], cursor: list[1]!.hash });
    const second = await store.query({ ...everything, hashes, limit: 1, cursor: first.cursor });
    expect(second).toEqual({ messages: [list[0]], cursor: undefined });
    store.close();
  });

  test("a page ends before it has too many bytes; one large message is given alone", async () => {
    const store = create();
    for (let n = 0; n < 5; n++) store.add(message(n, recent(n), "/a", 400));
    const page = await store.query({ ...everything, maxBytes: 1000 });
    expect(page.messages).toHaveLength(2);
    expect((await store.query({ ...everything, maxBytes: 10 })).messages).toHaveLength(1);
    expect((await store.query({ ...everything, maxBytes: 1000, cursor: page.cursor })).messages).toHaveLength(2);
    store.close();
  });

  test("an unknown cursor is an error, and a message twice is one", async () => {
    const store = create();
    store.add(message(1, recent(1)));
    store.add(message(1, recent(1)));
    expect(store.size()).toEqual({ messages: 1, bytes: 100 });
    const asked = store.query({ ...everything, cursor: new Uint8Array(32) });
    await expect(asked).rejects.toMatchObject({ code: "NotFound" });
    store.close();
  });

  test("what is too old, too many or too large makes room, the oldest first", async () => {
    const numbers = async (store: MessageStore) => {
      store.prune();
      const { messages } = await store.query(everything);
      store.close();
      return messages.map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
    };
    const filled = (limits: object) => {
      const store = create(limits);
      for (let n = 0; n < 6; n++) store.add(message(n, recent(0) - BigInt(6 - n) * 1_000_000_000n));
      return store;
    };
    expect(await numbers(filled({ maxMessages: 2 }))).toEqual([4, 5]);
    expect(await numbers(filled({ maxBytes: 350 }))).toEqual([3, 4, 5]);
    expect(await numbers(filled({ maxAgeMs: 3500 }))).toEqual([3, 4, 5]);
  });
});
