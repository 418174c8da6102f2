import { expect, test } from "vitest";
import { identityOf } from "../testing.ts";
import { Candidates, type Candidate } from "./candidates.ts";
import { parseRelayAddress } from "./relay-address.ts";

const peers = Array.from({ length: 251 }, (_, n) => (n === 0 ? "" : identityOf(n).peerId.toString()));
const peerOf = (n: number) => peers[n]!;
const relay = (n: number, host = `10.0.${n}.1`) => `/ip4/${host}/tcp/4000/p2p/${peerOf(n)}`;

function setUp() {
  let nowMs = 1_000_000;
  const candidates = new Candidates({ self: peerOf(250), monotonic: () => nowMs, random: () => 0.5 });
  const chosen = (count: number) => candidates.choose(count).map(({ addresses }) => addresses[0]!.text);
  const live = (candidate: Candidate) => void (candidate.state = "live");
  return { candidates, chosen, live, pass: (ms: number) => (nowMs += ms) };
}

test("trusted sources come first, and as many as are missing", () => {
  const { candidates, chosen, live } = setUp();
  candidates.update("exchange", [relay(1)], "loopback");
  candidates.update("registry", [relay(2)], "loopback");
  candidates.update("bootstrap", [relay(3)], "loopback");
  expect(chosen(2)).toEqual([relay(3), relay(2)]);
  candidates.choose(1).forEach(live);
  expect(chosen(2)).toEqual([relay(2)]);
  expect(chosen(1)).toEqual([]);
});

test("relays of other networks than the live ones are preferred", () => {
  const { candidates, chosen } = setUp();
  candidates.update("bootstrap", [relay(1, "9.1.1.1"), relay(2, "9.1.1.2"), relay(3, "9.2.1.1")], "loopback");
  const [first, second] = chosen(2).map((text) => parseRelayAddress(text)!.group);
  expect(first).not.toBe(second);
});

test("flags are always dialled, and one that fails does not keep others from taking its place", () => {
  const { candidates, chosen, pass } = setUp();
  candidates.update("flag", [relay(1), "/ip4/127.0.0.1/tcp/5"], "loopback");
  candidates.update("exchange", [relay(2)], "loopback");
  expect(chosen(1)).toEqual([relay(1), "/ip4/127.0.0.1/tcp/5"]);
  for (const one of candidates.choose(1)) candidates.failed(one, "no answer");
  expect(chosen(1)).toEqual([relay(2)]);
  pass(20_000);
  expect(chosen(1)).toEqual([relay(1), "/ip4/127.0.0.1/tcp/5", relay(2)]);
});

test("a relay that is known with and without its PeerId counts once", () => {
  const { candidates, chosen } = setUp();
  candidates.update("flag", ["/ip4/9.9.9.9/tcp/1"], "loopback");
  candidates.update("exchange", [relay(1), relay(2)], "loopback");
  for (const one of candidates.all().filter(({ key }) => key !== peerOf(2))) {
    one.state = "live";
    one.peer = peerOf(1);
  }
  expect(candidates.live()).toHaveLength(1);
  expect(chosen(2)).toEqual([relay(2)]);
});

test("a relay that fails waits longer each time, but never long while there is no other", () => {
  const { candidates, chosen, live, pass } = setUp();
  candidates.update("exchange", [relay(1), relay(2)], "loopback");
  const [first, second] = candidates.choose(2) as [Candidate, Candidate];
  for (let n = 0; n < 30; n++) candidates.failed(first, "no answer");
  live(second);
  pass(60_000);
  expect(chosen(2)).toEqual([]);
  candidates.failed(second, "gone");
  pass(300);
  expect(chosen(2)).toEqual([relay(2), relay(1)]);
});

test("no source can name this node, this machine to strangers, a circuit, or a relay without a PeerId", () => {
  const { candidates } = setUp();
  const own = relay(250, "9.9.9.9");
  const circuit = `${relay(1)}/p2p-circuit/p2p/${peerOf(2)}`;
  const hidden = ["127.0.0.1", "192.168.0.1", "10.1.1.1", "169.254.1.1", "100.64.0.1"].map((host) => relay(3, host));
  const names = [`/dns4/localhost/tcp/1/p2p/${peerOf(3)}`, `/ip6/::ffff:127.0.0.1/tcp/1/p2p/${peerOf(3)}`];
  candidates.update("exchange", [own, circuit, "/ip4/9.9.9.9/tcp/1", "nonsense", ...hidden, ...names], "public");
  expect(candidates.all()).toEqual([]);
  candidates.update("registry", [relay(3)], "private");
  expect(candidates.all()).toHaveLength(1);
});

test("what a source takes back is forgotten, unless it is in use or another one names it", () => {
  const { candidates, live } = setUp();
  candidates.update("registry", [relay(1), relay(2), relay(3)], "loopback");
  candidates.update("book", [relay(2), relay(2, "9.0.0.2")], "loopback");
  live(candidates.all().find(({ key }) => key === peerOf(3))!);
  candidates.update("registry", [], "loopback");
  expect(candidates.all().map(({ key }) => key)).toEqual([peerOf(2), peerOf(3)]);
  expect(candidates.all()[0]).toMatchObject({ addresses: [{ text: relay(2) }, { text: relay(2, "9.0.0.2") }] });
  candidates.failed(candidates.all()[1]!, "gone");
  expect(candidates.all().map(({ key }) => key)).toEqual([peerOf(2)]);
});

test("memory is bounded, and strangers cannot push out what trusted sources name", () => {
  const { candidates } = setUp();
  const many = (from: number) => Array.from({ length: 200 }, (_, i) => relay(1 + ((from + i) % 240), "9.0.0.1"));
  candidates.update("exchange", many(0), "public");
  expect(candidates.all()).toHaveLength(128);
  candidates.update("bootstrap", many(20), "public");
  candidates.update("registry", many(140), "public");
  expect(candidates.all().length).toBeLessThanOrEqual(256);
  expect(candidates.all().filter(({ sources }) => sources.has("bootstrap"))).toHaveLength(128);
});

/** Tries relays, each of which is silent for eight seconds, until the wanted one is chosen. @returns attempts */
function attemptsUntil(wanted: string, { candidates, pass }: ReturnType<typeof setUp>): number {
  for (let attempts = 0; attempts < 1000; pass(8000))
    for (const one of candidates.choose(3)) {
      attempts += 1;
      if (one.key === wanted) return attempts;
      one.state = "dialling";
      candidates.failed(one, "no answer");
    }
  return Infinity;
}

const crowd = (from: number, size = 120) => Array.from({ length: size }, (_, i) => relay(from + i, `9.${i}.0.1`));

test("a list of dead relays does not keep out those of other sources", () => {
  const set = setUp();
  set.candidates.update("registry", crowd(1), "public");
  set.candidates.update("exchange", [relay(200, "8.8.8.8")], "public");
  expect(attemptsUntil(peerOf(200), set)).toBeLessThan(12);
});

test("a crowd of fresh names does not keep out a relay that was away for a moment", () => {
  const set = setUp();
  const { candidates } = set;
  candidates.update("registry", [relay(200, "8.8.8.8")], "public");
  for (let n = 0; n < 3; n++) candidates.failed(candidates.all()[0]!, "gone");
  candidates.update("exchange", crowd(1), "public");
  set.pass(2000);
  expect(attemptsUntil(peerOf(200), set)).toBeLessThan(6);
});

test("what is named again after a while has not become better", () => {
  const { candidates, live, pass } = setUp();
  candidates.update("exchange", [relay(1), relay(2)], "loopback");
  live(candidates.all()[1]!);
  for (let n = 0; n < 5; n++) candidates.failed(candidates.all()[0]!, "no answer");
  candidates.update("exchange", [relay(2)], "loopback");
  candidates.update("exchange", [relay(1), relay(2)], "loopback");
  const [, again] = candidates.all();
  expect(again).toMatchObject({ key: peerOf(1), failures: 5 });
  expect(candidates.choose(2)).toEqual([]);
  pass(60_000);
  expect(candidates.choose(2)).toEqual([again]);
  candidates.answered(again!);
  candidates.proved(again!);
  candidates.failed(again!, "gone");
  expect(again!.failures).toBe(1);
});
