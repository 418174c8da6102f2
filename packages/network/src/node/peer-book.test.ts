import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DirectoryEntry } from "../discovery/directory.ts";
import { openPeerBook } from "../discovery/peer-book.ts";
import type { RelayStatus } from "../discovery/relay-pool.ts";
import { createHost } from "../host/host.ts";
import { silent } from "../host/log.ts";
import { identityOf, until } from "../testing.ts";
import { fileStore } from "./file-store.ts";

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-peers-"));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const NOW_MS = 1_800_000_000_000;
const DAY_MS = 86_400_000;
const addressOf = (n: number) =>
  `/ip4/203.0.113.${n % 250}/tcp/${n}/p2p/${identityOf(1 + (n % 250)).peerId.toString()}`;
const relay = (n: number, lastSeenMs: number | undefined): RelayStatus => ({
  peer: identityOf(1 + (n % 250)).peerId.toString(),
  multiaddrs: [addressOf(n)],
  sources: ["exchange"],
  pinned: false,
  state: "idle",
  latencyMs: 7,
  lastSeenMs,
  failures: 0,
  reason: undefined,
});
const peer = (n: number, heardMs: number): DirectoryEntry => ({
  address: identityOf(1 + n).address,
  multiaddrs: [addressOf(n)],
  role: "worker",
  heardMs,
});
const open = (name: string, warn: (fields: Record<string, unknown>) => void = () => undefined) =>
  openPeerBook(fileStore(path.join(folder, name)), { ...silent, warn }, () => NOW_MS);

test("what answered is there after a restart, the last one first; what never did, or long ago, is not", async () => {
  const book = await open("a.json");
  await book.save(
    [relay(1, NOW_MS - 5), relay(2, NOW_MS), relay(3, undefined), relay(4, NOW_MS - 31 * DAY_MS)],
    [peer(5, NOW_MS)],
  );
  const again = await open("a.json");
  expect(again.relays().relays(new AbortController().signal)).toEqual([addressOf(2), addressOf(1)]);
  expect(again.peers()).toEqual([peer(5, NOW_MS)]);
  expect(fs.readdirSync(folder)).toEqual(["a.json"]);
});

test("it is bounded, and the newest stay", async () => {
  const book = await open("b.json");
  const many = Array.from({ length: 100 }, (_, n) => relay(n, NOW_MS - n));
  await book.save(many, []);
  const kept = (await open("b.json")).relays().relays(new AbortController().signal) as string[];
  expect(kept).toEqual(many.slice(0, 64).map(({ multiaddrs }) => multiaddrs[0]));
});

test.each([
  ["cut off", (text: string) => text.slice(0, -10)],
  ["of another version", (text: string) => text.replace('"version": 1', '"version": 2')],
  ["with an address that is none", (text: string) => text.replace("/ip4/", "/nonsense/")],
  ["with another node's address", (text: string) => text.replace(identityOf(6).address, identityOf(7).address)],
])("a book %s is moved aside with a warning, and a new one begins", async (name, damage) => {
  const file = `${name}.json`;
  await (await open(file)).save([relay(1, NOW_MS)], [peer(5, NOW_MS)]);
  const text = fs.readFileSync(path.join(folder, file), "utf8");
  const damaged = damage(text);
  expect(damaged).not.toBe(text);
  fs.writeFileSync(path.join(folder, file), damaged);
  const warnings: Record<string, unknown>[] = [];
  const book = await open(file, (fields) => void warnings.push(fields));
  expect(book.peers()).toEqual([]);
  expect(warnings).toHaveLength(1);
  expect(fs.readFileSync(String(warnings[0]!.movedTo), "utf8")).toBe(damaged);
  await book.save([relay(1, NOW_MS)], []);
  expect((await open(file)).relays().relays(new AbortController().signal)).toEqual([addressOf(1)]);
});

test("a folder that cannot be written stops nobody", async () => {
  fs.writeFileSync(path.join(folder, "plain"), "");
  const warnings: unknown[] = [];
  const store = fileStore(path.join(folder, "plain", "c.json"));
  const empty = { ...store, read: async () => undefined };
  const book = await openPeerBook(empty, { ...silent, warn: (it) => void warnings.push(it) }, () => NOW_MS);
  await book.save([relay(1, NOW_MS)], []);
  expect(warnings).toHaveLength(1);
});

test("a node that starts with its book alone finds its relay again", async () => {
  const relayHost = await createHost({ identity: identityOf(99), relayService: true });
  const log = silent;
  const file = fileStore(path.join(folder, "peers.json"));
  const start = async (relays: string[]) =>
    createHost({ identity: identityOf(1), relays, peerBook: await openPeerBook(file, log, Date.now) });
  // Named without its PeerId, as users do.
  const first = await start(relayHost.multiaddrs().map((address) => address.replace(/\/p2p\/.*/, "")));
  await until(() => first.reachability().live === 1);
  await first.stop();
  const second = await start([]);
  await second.connected({ signal: AbortSignal.timeout(30_000) });
  await until(() => second.reachability().live === 1);
  expect(second.relays()[0]!.sources).toContain("book");
  await second.stop();
  await relayHost.stop();
});
