import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { RelaySource } from "../discovery/relay-source.ts";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import { identityOf } from "../testing.ts";
import { createFairShare } from "./fair-share.ts";

const PER_SECOND = 100;
const BURST_SECONDS = 4;
const STRANGERS = 8;
const EACH = 150;

let relay: Host;
const strangers: Host[] = [];
const join = async (n: number) => {
  const host = await createHost({ identity: identityOf(n), relays: relay.multiaddrs(), reservations: 0 });
  await host.connected({ signal: AbortSignal.timeout(30_000) });
  return host;
};
const floods = (host: Host) => host.scores().reduce((sum, { offences }) => sum + (offences.flood ?? 0), 0);
beforeAll(async () => {
  // Each peer for itself, as behind a proxy.
  const limits = { messagesPerSecondOfAll: PER_SECOND, exemptLoopback: true };
  relay = await createHost({ identity: identityOf(99), relayService: true, role: "relay", limits });
  strangers.push(...(await Promise.all(Array.from({ length: STRANGERS }, (_, k) => join(k + 1)))));
}, 60_000);
afterAll(async () => void (await Promise.all([...strangers, relay].map((host) => host.stop()))));

test("what all neighbours say together is limited, also when each keeps its own limit; who says little is heard", async () => {
  const heard: unknown[] = [];
  const startedMs = Date.now();
  relay.subscribe("all", ({ body }) => void heard.push(body));
  const carol = await join(STRANGERS + 1);
  await Promise.all(
    strangers.flatMap((host) =>
      Array.from({ length: EACH }, () => host.publish("all", { kind: "said", job: null, body: "stranger" })),
    ),
  );
  await expect.poll(() => heard.length, { timeout: 30_000 }).toBeGreaterThan(PER_SECOND);
  await carol.publish("all", { kind: "said", job: null, body: "carol" });
  await expect.poll(() => heard.includes("carol"), { timeout: 30_000 }).toBe(true);
  const seconds = (Date.now() - startedMs) / 1000;
  expect(heard.length).toBeLessThanOrEqual((BURST_SECONDS + seconds) * PER_SECOND);
  expect(heard.length).toBeLessThan(STRANGERS * EACH);
  expect(relay.scores()).toEqual([]);
  await carol.stop();
});

test("one name gets one part, however many ask under it, and weights count", async () => {
  vi.useFakeTimers();
  const ending = new AbortController();
  const share = createFairShare({
    perSecond: { messages: 1000, bytes: 1_000_000 },
    burstSeconds: 1,
    clock: Date.now,
    signal: ending.signal,
  });
  const got: Record<string, number> = { many: 0, one: 0, heavy: 0 };
  const ask = async (who: string, weight: number) => {
    for (;;) {
      await share.turn(who, { messages: 10, bytes: 100 }, weight);
      got[who]! += 10;
    }
  };
  const asking = [...Array.from({ length: 20 }, () => ask("many", 1)), ask("one", 1), ask("heavy", 8)];
  const ended = Promise.allSettled(asking);
  await vi.advanceTimersByTimeAsync(10_000);
  ending.abort(new Error("over"));
  await ended;
  vi.useRealTimers();
  const sum = got.many! + got.one! + got.heavy!;
  expect(sum).toBeGreaterThan(9000);
  expect(sum).toBeLessThanOrEqual(11_100);
  expect(got.one! / got.many!).toBeGreaterThan(0.8);
  expect(got.one! / got.many!).toBeLessThan(1.2);
  expect(got.heavy! / got.one!).toBeGreaterThan(6);
});

test("a relay that the user named may say as much as all together; one that others told of may not", async () => {
  const limits = { messagesPerSecond: 10, banAt: 1e9 };
  const speaker = await createHost({ identity: identityOf(50), relayService: true, role: "relay" });
  const told: RelaySource = { name: "exchange", relays: () => speaker.multiaddrs() };
  const open = { limits, reservations: 0 };
  const [named, other] = await Promise.all([
    createHost({ ...open, identity: identityOf(51), relays: speaker.multiaddrs() }),
    createHost({ ...open, identity: identityOf(52), relaySources: [told] }),
  ]);
  const hosts = [named, other];
  await Promise.all(hosts.map((host) => host.connected({ signal: AbortSignal.timeout(30_000) })));
  const heard = hosts.map((host) => {
    const bodies: unknown[] = [];
    host.subscribe("named", ({ body }) => void bodies.push(body));
    return bodies;
  });
  for (let i = 0; i < 100; i++) await speaker.publish("named", { kind: "said", job: null, body: i });
  await expect.poll(() => heard[0]!.length, { timeout: 30_000 }).toBe(100);
  await expect.poll(() => floods(other), { timeout: 30_000 }).toBeGreaterThan(0);
  expect(floods(named)).toBe(0);
  await Promise.all([...hosts, speaker].map((host) => host.stop()));
});
