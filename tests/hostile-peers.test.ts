import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  attackNames,
  harmOf,
  LEAST_RATE_RATIO,
  outcomeOf,
  startSiege,
  type Siege,
  type SiegeResult,
} from "../packages/network/src/testing-hostile/siege.ts";

// Short times and little patience, so that minutes of abuse fit into seconds; everything else as a relay has it.
const rarely = { perSecond: 1, burst: 5 };
const serviceRates = { store: rarely, filter: rarely, lightPush: rarely };
// Rates are a fifth of a relay's, so that it is they that hold attackers back and not the processor that all share.
const KIB = 1024;
const limits = {
  handshakeMs: 3000,
  negotiationMs: 3000,
  stallMs: 3000,
  banAt: 20,
  messagesPerSecond: 100,
  messagesPerSecondOfAll: 400,
  bytesPerSecond: 256 * KIB,
  bytesPerSecondOfAll: 2048 * KIB,
};

let siege: Siege;
beforeAll(async () => {
  siege = await startSiege({ limits, serviceRates, attackMs: 30_000 });
});
afterAll(() => siege.stop());

const groups = [
  [
    "plain garbage",
    "three thousand half-open sockets",
    "half handshakes",
    "noise garbage",
    "WebSockets that say nothing",
    "half requests for WebSockets",
    "WebSockets without a handshake",
    "frames of WebSockets that are none",
    "messages of 2^40 bytes over WebSockets",
  ],
  [
    "a multiplexer frame of 4 GiB",
    "pings",
    "window updates",
    "streams opened and reset",
    "more than the window",
    "streams that negotiate nothing",
  ],
  [
    "gossip that is no protobuf",
    "gossip frames of 1 GiB",
    "100,000 topics",
    "Waku messages that are none",
    "Waku messages that are too large",
    "announcements of messages that do not exist",
  ],
  ["a flood of valid messages", "one message again and again", "large messages to peers that do not read"],
  ["store queries without end", "filter subscriptions without end", "pushes of nothing"],
  [
    "circuits without end",
    "messages of others again",
    "forged senders",
    "STUN requests without end",
    "STUN requests that are none",
    "QUIC datagrams that are none",
    "QUIC connections without a handshake",
    "offers of WebRTC that are none",
  ],
];

/** Honest messages are sent by the clock: those that keep their rate arrive soon after they were due. */
function expectUnharmed({ sent, delivered, inTime, relay }: SiegeResult): void {
  expect(sent).toBeGreaterThan(20);
  expect(delivered / sent).toBeGreaterThanOrEqual(LEAST_RATE_RATIO);
  // At less than four fifths of its rate a relay falls behind by the clock, and ever more messages are late.
  expect(inTime / sent).toBeGreaterThanOrEqual(LEAST_RATE_RATIO);
  expect(relay.failures).toEqual([]);
  expect(relay.peakBytes).toBeLessThan(siege.boundBytes);
}

describe("a relay under attack carries honest messages, within its memory, and drops who attacks", () => {
  it("every attack is tried", () => {
    expect(groups.flat().toSorted()).toEqual(attackNames().toSorted());
  });

  it.each(groups.map((names) => [names.join(", "), names] as const))("%s", async (_title, names) => {
    const result = await siege.attack(...names);
    expectUnharmed(result);
    const banned = names.filter((name) => outcomeOf(name) === "banned");
    expect(banned.filter((name) => result.welcome[name])).toEqual([]);
  });

  it("counts what it refused, forgets what attackers opened, and serves newcomers", async () => {
    const { dropped, scores } = await siege.report();
    expect(dropped.failedHandshake).toBeGreaterThan(3000);
    expect(dropped.bannedPeer).toBeGreaterThanOrEqual(15);
    expect(dropped.refusedConnection).toBeGreaterThan(15);
    expect(dropped.badSignature).toBeGreaterThan(0);
    expect(dropped.replayed).toBeGreaterThan(0);
    expect(scores.filter(({ bannedUntilMs }) => bannedUntilMs !== undefined).length).toBeGreaterThanOrEqual(15);
    await expect.poll(async () => (await siege.report()).peers, { timeout: 30_000 }).toBe(2);
    expect(await siege.servesNewcomers()).toBe(true);
  });
});

it("a run of the fuzzer fails when honest messages are slowed down or lost, or an attacker may stay", () => {
  const held = { rateRatio: 0.8, delivered: 1, refused: true };
  expect(harmOf(held, "banned")).toBe(false);
  expect(harmOf({ ...held, rateRatio: 0.1 }, "banned")).toBe(true);
  expect(harmOf({ ...held, rateRatio: NaN }, "contained")).toBe(true);
  expect(harmOf({ ...held, delivered: 0.79 }, "contained")).toBe(true);
  expect(harmOf({ ...held, refused: false }, "banned")).toBe(true);
  expect(harmOf({ ...held, refused: false }, "contained")).toBe(false);
});
