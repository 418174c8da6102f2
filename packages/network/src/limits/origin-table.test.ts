import { describe, expect, test } from "vitest";
import { createRandom } from "../mutate.ts";
import { groupOfIp, networkOf } from "../ip/group.ts";
import { limitsOf } from "./limits.ts";
import { createOriginTable, type Origin } from "./origin-table.ts";
import { createPeerScores } from "./scores.ts";

interface Row extends Origin {
  readonly key: string;
  worth: number;
}

/** The rule, said once more and slowly: which sets of keys may go, when `newest` was one too many. */
function victims(rows: readonly Row[], newest: string): string[][] {
  const largest = (of: readonly Row[], name: "network" | "address") => {
    const groups = [...Map.groupBy(of, (row) => row[name]).values()];
    const size = Math.max(...groups.map(({ length }) => length));
    return groups.filter(({ length }) => length === size);
  };
  return largest(rows, "network")
    .flatMap((network) => largest(network, "address"))
    .map((address) => {
      const old = address.filter(({ key }) => key !== newest).toSorted((a, b) => a.worth - b.worth);
      return old.slice(0, Math.ceil(address.length / 16)).map(({ key }) => key);
    });
}

test("a table agrees with its rule in ten thousand random steps, and never holds more than it may", () => {
  const most = 40;
  const below = createRandom(7);
  const table = createOriginTable<number>(most, (worth) => worth);
  let rows: Row[] = [];
  let evictions = 0;
  for (let step = 0; step < 10_000; step++) {
    const key = `peer${below(100)}`;
    if (below(10) === 0) {
      table.delete(key);
      rows = rows.filter((row) => row.key !== key);
      continue;
    }
    // No two are worth the same, so that there is one right choice within an address.
    const worth = 10_000 * below(100) + step;
    const network = `n${below(1 + below(6))}`;
    const known = rows.find((row) => row.key === key);
    const origin = known ?? { network, address: `${network}.${below(1 + below(4))}` };
    table.set(key, worth, origin);
    if (known === undefined) rows.push({ key, worth, network: origin.network, address: origin.address });
    else known.worth = worth;
    const held = new Map(table.entries());
    if (rows.length > most) {
      const gone = rows.filter((row) => !held.has(row.key)).map((row) => row.key);
      const choices = victims(rows, key).map((keys) => keys.toSorted());
      expect(choices).toContainEqual(gone.toSorted());
      rows = rows.filter((row) => held.has(row.key));
      evictions++;
    }
    expect(held).toEqual(new Map(rows.map((row) => [row.key, row.worth])));
  }
  expect(evictions).toBeGreaterThan(1000);
});

test("the network of an address: /24 in IPv4, /48 in IPv6", () => {
  expect(networkOf(groupOfIp("192.0.2.7").key)).toBe(networkOf(groupOfIp("192.0.2.99").key));
  expect(networkOf(groupOfIp("192.0.2.7").key)).not.toBe(networkOf(groupOfIp("192.0.3.7").key));
  expect(networkOf(groupOfIp("2001:db8:1:2::1").key)).toBe(networkOf(groupOfIp("2001:db8:1:ffff::1").key));
  expect(networkOf(groupOfIp("2001:db8:1::1").key)).not.toBe(networkOf(groupOfIp("2001:db8:2::1").key));
});

describe("a flood of identities", () => {
  const setUp = () => {
    let nowMs = 0;
    const limits = limitsOf(true);
    const scores = createPeerScores({ limits, clock: () => nowMs, monotonic: () => nowMs, onBan: () => undefined });
    const ban = (peerId: string, address?: string) => {
      for (let i = 0; i < 2; i++) scores.offend(peerId, "protocol", address);
    };
    return { scores, limits, ban, pass: (ms: number) => void (nowMs += ms) };
  };

  test.each([
    ["one address", () => "198.51.100.1"],
    ["a hundred addresses", (i: number) => `198.51.${i % 100}.1`],
    ["a /48 of IPv6", (i: number) => groupOfIp(`2001:db8:7:${(i % 60_000).toString(16)}::1`).key],
    ["no address, through relays", () => undefined],
  ])("that are all refused, from %s, makes nobody else welcome", (_, addressOf) => {
    const { scores, limits, ban, pass } = setUp();
    ban("mallory", "192.0.2.1");
    for (const k of [1, 2, 3, 4]) ban(`bad${k}`, "192.0.2.2");
    scores.behaved("alice", limits.standingMs, "192.0.2.2");
    pass(1000);
    for (let i = 0; i < 6000; i++) {
      ban(`flood${i}`, addressOf(i));
      scores.behaved(`calm${i}`, limits.standingMs, addressOf(i));
    }
    expect(scores.banned("mallory")).toBe(true);
    expect(scores.addressBanned("192.0.2.2")).toBe(true);
    expect(scores.hasStanding("alice")).toBe(true);
    expect(scores.snapshot().length).toBeLessThanOrEqual(4096);
  });

  test("pushes out of its own what ends first, and keeps what offends now", () => {
    const { scores, ban, pass } = setUp();
    ban("mallory", "192.0.2.1");
    for (let i = 0; i < 4095; i++) {
      ban(`early${i}`, "198.51.100.1");
      pass(1);
    }
    ban("late", "198.51.100.1");
    expect(scores.banned("late")).toBe(true);
    expect(scores.banned("early0")).toBe(false);
    expect(scores.banned("early4094")).toBe(true);
    expect(scores.banned("mallory")).toBe(true);
  });
});
