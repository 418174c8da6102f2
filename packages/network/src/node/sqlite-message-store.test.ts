import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqliteMessageStore } from "./sqlite-message-store.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-history-"));
  file = path.join(folder, "new", "messages.sqlite");
});
afterEach(() => fs.rm(folder, { recursive: true }));

const everything = { contentTopics: [], hashes: [], forward: true, limit: 100, maxBytes: 1e9 };
const message = (n: number) => ({
  hash: new Uint8Array(32).fill(n),
  pubsubTopic: "/waku/2/rs/1729/0",
  contentTopic: "/a/1/b/c",
  timestamp: BigInt(Date.now()) * 1_000_000n + BigInt(n),
  bytes: new Uint8Array(1000).fill(n),
});

test("a store that is opened again has its messages and its size, within the new limits", async () => {
  const store = openSqliteMessageStore(file);
  for (const n of [1, 2, 3]) store.add(message(n));
  const { messages } = await store.query(everything);
  store.close();
  const again = openSqliteMessageStore(file);
  expect(again.size()).toEqual({ messages: 3, bytes: 3000 });
  expect(await again.query(everything)).toEqual({ messages, cursor: undefined });
  again.close();
  const smaller = openSqliteMessageStore(file, { limits: { maxBytes: 2000 } });
  smaller.prune();
  expect(smaller.size()).toEqual({ messages: 2, bytes: 2000 });
  smaller.close();
});

test("what a process has added before it was killed is there", async () => {
  const script = `
    import { openSqliteMessageStore } from ${JSON.stringify(path.join(import.meta.dirname, "sqlite-message-store.ts"))};
    const store = openSqliteMessageStore(${JSON.stringify(file)});
    const pubsubTopic = "/p", contentTopic = "/t";
    for (let n = 1; n <= 50; n++) {
      const bytes = new Uint8Array(100).fill(n);
      store.add({ hash: new Uint8Array(32).fill(n), pubsubTopic, contentTopic, timestamp: BigInt(Date.now()) * 1000000n, bytes });
    }
    console.log("added");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  const store = openSqliteMessageStore(file);
  expect(store.size()).toEqual({ messages: 50, bytes: 5000 });
  store.close();
});

test("a file of another kind or another layout is a clear error, and stays as it is", async () => {
  const broken = { code: "BrokenHistory", hint: expect.stringContaining("move the file away") as string };
  await fs.mkdir(path.dirname(file));
  await fs.writeFile(file, "this is not a database, but a text that somebody put here".repeat(100));
  expect(() => openSqliteMessageStore(file)).toThrow(expect.objectContaining(broken));
  expect(await fs.readFile(file, "utf8")).toContain("not a database");
  await fs.rm(file);
  const store = openSqliteMessageStore(file);
  store.close();
  const { DatabaseSync } = await import("node:sqlite");
  const later = new DatabaseSync(file);
  later.exec("PRAGMA user_version = 9");
  later.close();
  expect(() => openSqliteMessageStore(file)).toThrow(expect.objectContaining(broken));
});
