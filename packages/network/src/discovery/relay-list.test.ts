import { encode } from "@skynet/protocol";
import { expect, test } from "vitest";
import { silent } from "../host/log.ts";
import { identityOf } from "../testing.ts";
import { bootstrapRelays } from "./bootstrap.ts";
import type { DocumentStore } from "./document-store.ts";
import { checkRelayList, readRelayList, signRelayList } from "./relay-list.ts";

const publisher = identityOf(7);
const relay = (n: number) => `/ip4/203.0.113.${n}/tcp/4000/p2p/${identityOf(n).peerId.toString()}`;
const DAY_MS = 86_400_000;
const NOW_MS = 1_800_000_000_000;
const content = { network: 1729, sequence: 3, issuedMs: NOW_MS, expiresMs: NOW_MS + DAY_MS, relays: [relay(1)] };
const bytesOf = (text: string) => new TextEncoder().encode(text);
const signed = (change: Partial<typeof content> = {}, by = publisher) =>
  bytesOf(signRelayList({ ...content, ...change }, by));
const check = { publishers: [publisher.address], network: 1729, nowMs: NOW_MS };
const refused = (hint: RegExp) =>
  expect.objectContaining({ code: "BadList", hint: expect.stringMatching(hint) as string });

test("a list tells who signed it, and is accepted from its publisher only", () => {
  const list = readRelayList(signed());
  expect(list).toMatchObject({ ...content, publisher: publisher.address });
  expect(() => checkRelayList(list, check)).not.toThrow();
  expect(() => checkRelayList(list, { ...check, publishers: [identityOf(8).address] })).toThrow(refused(/right key/));
  expect(() => checkRelayList(list, { ...check, network: 1 })).toThrow(expect.objectContaining({ code: "BadList" }));
});

test("a list that was changed anywhere is not its publisher's any more", () => {
  const text = signRelayList(content, publisher);
  const changes = [
    text.replace("203.0.113.1", "203.0.113.2"),
    text.replace('"sequence": 3', '"sequence": 4'),
    text.replace(String(NOW_MS + DAY_MS), String(NOW_MS + DAY_MS + 1)),
    text.replace(/"signature": "0x../, '"signature": "0x00'),
  ];
  for (const changed of changes) {
    expect(changed).not.toBe(text);
    expect(() => checkRelayList(readRelayList(bytesOf(changed)), check)).toThrow(
      expect.objectContaining({ code: "BadList" }),
    );
  }
});

test("an expired list and one from the future are refused with a hint", () => {
  const list = readRelayList(signed());
  expect(() => checkRelayList(list, { ...check, nowMs: NOW_MS + DAY_MS })).toThrow(refused(/new one.*clock/));
  expect(() => checkRelayList(list, { ...check, nowMs: NOW_MS - DAY_MS })).toThrow(refused(/clock/));
});

test.each([
  ["no JSON", bytesOf("<html>")],
  ["other bytes", encode({ version: 1 })],
  ["a field too many", bytesOf(signRelayList(content, publisher).replace("{", '{ "extra": 1,'))],
  ["more than 64 KiB", new Uint8Array(65_537).fill(32)],
])("%s is no list", (_, bytes) => {
  expect(() => readRelayList(bytes)).toThrow(expect.objectContaining({ code: "BadList" }));
});

test.each([
  ["no relay", { relays: [] }],
  ["a relay without PeerId", { relays: ["/ip4/203.0.113.1/tcp/1"] }],
  ["an end before the beginning", { expiresMs: NOW_MS }],
  ["an end in two years", { expiresMs: NOW_MS + 800 * DAY_MS }],
  ["sequence 0", { sequence: 0 }],
])("nobody signs a list with %s", (_, change) => {
  expect(() => signed(change)).toThrow(expect.objectContaining({ code: "BadList" }));
});

const other = identityOf(8);

/** A disk with room for one document. */
function disk() {
  let kept: Uint8Array | undefined;
  const store: DocumentStore = {
    read: async () => kept,
    write: async (bytes) => void (kept = bytes),
    setAside: async () => {
      kept = undefined;
      return "aside";
    },
  };
  return { store, keep: (bytes: Uint8Array | undefined) => (kept = bytes) };
}

function setUp() {
  let served: Uint8Array | Error = signed();
  let nowMs = NOW_MS;
  const warnings: string[] = [];
  const cache = disk();
  const sequences = disk();
  const open = () =>
    bootstrapRelays({
      publishers: [publisher.address, other.address],
      network: 1729,
      load: async () => {
        if (served instanceof Error) throw served;
        return served;
      },
      cache: cache.store,
      sequences: sequences.store,
      clock: () => nowMs,
      monotonic: () => nowMs,
      log: { ...silent, warn: ({ error }) => void warnings.push(String(error)) },
    });
  const { signal } = new AbortController();
  return {
    open,
    signal,
    warnings,
    serve: (value: Uint8Array | Error) => (served = value),
    pass: (ms: number) => (nowMs += ms),
    keep: cache.keep,
    keepSequences: sequences.keep,
  };
}

test("the newest list of the publisher is used, kept, and used again while it cannot be fetched", async () => {
  const { open, signal, serve, pass, warnings } = setUp();
  const source = open();
  expect(await source.relays(signal)).toEqual([relay(1)]);
  serve(signed({ sequence: 4, relays: [relay(2)] }));
  expect(await source.relays(signal)).toEqual([relay(1)]);
  pass(3_600_000);
  expect(await source.relays(signal)).toEqual([relay(2)]);
  serve(new Error("the server is down"));
  expect(await open().relays(signal)).toEqual([relay(2)]);
  expect(warnings).toEqual(["the server is down"]);
});

test("a server that is rolled back, forged or broken does not replace the list that is known", async () => {
  const { open, signal, serve, pass, warnings } = setUp();
  const source = open();
  await source.relays(signal);
  const bad = [signed({ sequence: 2 }), signed({ sequence: 9 }, identityOf(9)), bytesOf("{}")];
  for (const list of bad) {
    serve(list);
    pass(3_600_000);
    expect(await source.relays(signal)).toEqual([relay(1)]);
  }
  expect(warnings).toHaveLength(3);
  expect(warnings[0]).toContain("older than list 3");
});

test("a kept list is checked like any other, and one that expires in use is used no more", async () => {
  const { open, signal, serve, pass, keep } = setUp();
  serve(new Error("down"));
  keep(signed({}, identityOf(9)));
  expect(await open().relays(signal)).toEqual([]);
  keep(signed());
  const source = open();
  expect(await source.relays(signal)).toEqual([relay(1)]);
  pass(DAY_MS);
  expect(await source.relays(signal)).toEqual([]);
});

test("each publisher counts for itself: a high number of one does not lock out the other", async () => {
  const { open, signal, serve, pass, warnings } = setUp();
  const source = open();
  serve(signed({ sequence: 1_000_000 }));
  expect(await source.relays(signal)).toEqual([relay(1)]);
  serve(signed({ sequence: 1, relays: [relay(2)] }, other));
  pass(3_600_000);
  expect(await source.relays(signal)).toEqual([relay(2)]);
  serve(signed({ sequence: 999_999, relays: [relay(3)] }));
  pass(3_600_000);
  expect(await source.relays(signal)).toEqual([relay(2)]);
  expect(warnings).toEqual([expect.stringContaining("older than list 1000000")]);
});

test("an older list is refused for good: after the newer one has expired, and after a restart", async () => {
  const { open, signal, serve, pass, warnings } = setUp();
  const source = open();
  serve(signed({ sequence: 4 }));
  expect(await source.relays(signal)).toEqual([relay(1)]);
  pass(DAY_MS);
  serve(signed({ sequence: 3, expiresMs: NOW_MS + 9 * DAY_MS, relays: [relay(2)] }));
  expect(await source.relays(signal)).toEqual([]);
  expect(await open().relays(signal)).toEqual([]);
  expect(warnings.filter((text) => text.includes("older than list 4"))).toHaveLength(2);
  serve(signed({ sequence: 5, issuedMs: NOW_MS + DAY_MS, expiresMs: NOW_MS + 9 * DAY_MS, relays: [relay(3)] }));
  pass(60_000);
  expect(await source.relays(signal)).toEqual([relay(3)]);
});

test("damaged numbers are put aside with a warning, and lists are taken again", async () => {
  const { open, signal, keepSequences, warnings } = setUp();
  keepSequences(bytesOf('{"0x12": -1}'));
  expect(await open().relays(signal)).toEqual([relay(1)]);
  expect(warnings).toEqual([expect.stringContaining("are damaged")]);
  expect(await open().relays(signal)).toEqual([relay(1)]);
  expect(warnings).toHaveLength(1);
});
