import fs from "node:fs/promises";
import { multiaddr } from "@multiformats/multiaddr";
import { expect, test } from "vitest";
import { groupOfIp } from "../ip/group.ts";
import { addressGroup } from "./address.ts";
import { limitsOf, memoryBound } from "./limits.ts";
import { createPeerScores, type Offence } from "./scores.ts";
import { createTokenBucket } from "../timing/token-bucket.ts";

function setUp(changes = {}) {
  let nowMs = 1_000_000;
  let aheadMs = 0;
  const dropped: string[] = [];
  const limits = { ...limitsOf(true), ...changes };
  const onBan = (peerId: string) => void dropped.push(peerId);
  const scores = createPeerScores({ limits, clock: () => nowMs + aheadMs, monotonic: () => nowMs, onBan });
  const offend = (peerId: string, offence: Offence, times: number, address = "192.0.2.1") => {
    for (let i = 0; i < times; i++) scores.offend(peerId, offence, address);
  };
  return {
    scores,
    dropped,
    limits,
    offend,
    pass: (ms: number) => void (nowMs += ms),
    setClock: (ms: number) => (aheadMs += ms),
  };
}

test("an address counts for itself, an IPv6 address for its /64, and a relayed one for nobody", () => {
  const key = (text: string) => addressGroup(multiaddr(text))?.key;
  expect(key("/ip4/192.0.2.7/tcp/4000")).toBe("192.0.2.7");
  expect(key("/ip6/2001:db8:1:2:3:4:5:6/tcp/4000")).toBe("2001:db8:1:2::/64");
  expect(key("/ip6/2001:db8:1:2::9/udp/4000/quic-v1")).toBe("2001:db8:1:2::/64");
  expect(key("/ip6/2001:db8::1/tcp/4000")).toBe("2001:db8:0:0::/64");
  expect(key("/ip6/::ffff:192.0.2.7/tcp/4000")).toBe("192.0.2.7");
  expect(key("/ip4/192.0.2.7/tcp/1/p2p/16Uiu2HAm1FFXhFjqPq1ABbzDF3v8dgRdSM9B4rq4LTdNk5kYnFgM/p2p-circuit")).toBe(
    undefined,
  );
  expect(key("/memory/here")).toBe(undefined);
  expect(groupOfIp("2001:db8::1").key).toBe(groupOfIp("2001:db8:0:0:ffff::2").key);
  expect(groupOfIp("2001:db8:0:1::1").key).not.toBe(groupOfIp("2001:db8::1").key);
  expect(groupOfIp("::ffff:192.0.2.7").key).toBe("192.0.2.7");
  expect(addressGroup(multiaddr("/ip4/127.8.9.1/tcp/1"))).toEqual({ key: "127.8.9.1", loopback: true });
  expect(addressGroup(multiaddr("/ip6/::1/tcp/1"))).toMatchObject({ loopback: true });
});

test("a bucket allows a burst and then its rate; what is spent on credit must be waited for", () => {
  let nowMs = 0;
  const bucket = createTokenBucket({ perSecond: 10, burst: 20 }, () => nowMs);
  expect(Array.from({ length: 25 }, () => bucket.take(1)).filter(Boolean)).toHaveLength(20);
  nowMs = 500;
  expect(bucket.take(5)).toBe(true);
  expect(bucket.spend(5)).toBe(500);
  expect(bucket.spend(10)).toBe(1500);
  nowMs = 2000;
  expect(bucket.take(1)).toBe(false);
  nowMs = 10_000;
  expect(bucket.spend(20)).toBe(0);
});

test("a peer that keeps offending is dropped and refused, longer each time", () => {
  const { scores, dropped, limits, offend, pass } = setUp();
  offend("mallory", "undecodable", 9);
  expect(dropped).toEqual([]);
  expect(scores.snapshot()).toEqual([{ peerId: "mallory", score: -90, offences: { undecodable: 9 } }]);
  offend("mallory", "undecodable", 1);
  expect(dropped).toEqual(["mallory"]);
  expect(scores.banned("mallory")).toBe(true);
  expect(scores.banned("alice")).toBe(false);
  pass(limits.banMs);
  expect(scores.banned("mallory")).toBe(false);
  offend("mallory", "protocol", 2);
  pass(limits.banMs);
  expect(scores.banned("mallory")).toBe(true);
  pass(limits.banMs);
  expect(scores.banned("mallory")).toBe(false);
  expect(dropped).toEqual(["mallory", "mallory"]);
});

test("a change of the machine's time ends no ban and makes none longer; its end is shown by the new time", () => {
  const { scores, limits, offend, pass, setClock } = setUp();
  for (const name of ["m1", "m2", "m3", "m4"]) offend(name, "protocol", 2);
  setClock(-7_200_000);
  expect(scores.snapshot()[0]!.bannedUntilMs).toBe(1_000_000 - 7_200_000 + limits.banMs);
  setClock(14_400_000);
  expect([scores.banned("m1"), scores.addressBanned("192.0.2.1")]).toEqual([true, true]);
  pass(limits.banMs + 1);
  expect([scores.banned("m1"), scores.addressBanned("192.0.2.1")]).toEqual([false, false]);
});

test("what an honest peer may do by accident is forgiven with time", () => {
  const { scores, dropped, limits, offend, pass } = setUp();
  for (let minute = 0; minute < 60; minute++) {
    offend("alice", "stalled", 4);
    pass(limits.halfLifeMs);
  }
  expect(dropped).toEqual([]);
  expect(scores.snapshot()[0]!.score).toBeGreaterThan(-40);
});

test("an address with several bad peers is refused to strangers, not to peers that behaved", () => {
  const { scores, limits, offend, pass } = setUp();
  scores.behaved("neighbour", limits.standingMs);
  scores.behaved("newcomer", limits.standingMs - 1);
  for (const name of ["m1", "m2", "m3"]) offend(name, "protocol", 2);
  expect(scores.addressBanned("192.0.2.1")).toBe(false);
  offend("m4", "protocol", 2);
  expect(scores.addressBanned("192.0.2.1")).toBe(true);
  expect(scores.addressBanned("192.0.2.2")).toBe(false);
  expect([scores.hasStanding("neighbour"), scores.hasStanding("newcomer")]).toEqual([true, false]);
  offend("neighbour", "protocol", 2);
  expect(scores.hasStanding("neighbour")).toBe(false);
  pass(limits.banMs + 1);
  expect(scores.addressBanned("192.0.2.1")).toBe(false);
});

test("any number of made-up peers takes the memory of four thousand", () => {
  const { scores, offend } = setUp();
  for (let i = 0; i < 20_000; i++) offend(`peer${i}`, "stalled", 1, `10.0.${i >> 8}.${i & 255}`);
  expect(scores.snapshot().length).toBeLessThanOrEqual(4096);
  expect(scores.snapshot().length).toBeGreaterThan(3000);
});

test("any number of made-up peers with small offences does not make a refused one welcome", () => {
  const { scores, offend } = setUp();
  offend("mallory", "protocol", 2);
  for (let i = 0; i < 5000; i++) offend(`peer${i}`, "stalled", 1);
  expect(scores.banned("mallory")).toBe(true);
  expect(scores.snapshot().length).toBeLessThanOrEqual(4096);
  expect(scores.snapshot().length).toBeGreaterThan(3000);
});

test("docs/security.md states the limits and the bounds of memory that follow from them", async () => {
  const docs = await fs.readFile(new URL("../../../../docs/security.md", import.meta.url), "utf8");
  const bound = (relayService: boolean) => Math.round(memoryBound(limitsOf(relayService)) / 2 ** 20);
  expect(docs).toContain(`| bound of memory | ${bound(false)} MiB | ${bound(true)} MiB |`);
  const rows = Object.keys(limitsOf(true)).map((name) => `| \`${name}\` |`);
  for (const row of rows) expect(docs).toContain(row);
});
