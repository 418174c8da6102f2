import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host, HostOptions } from "../host/types.ts";
import type { RelayMessage } from "../messages/inbox.ts";
import { identityOf, until } from "../testing.ts";

interface RelayProcess {
  readonly child: ChildProcess;
  readonly multiaddr: string;
  readonly peer: string;
}

async function startRelay(number: number, known: readonly string[] = []): Promise<RelayProcess> {
  const program = path.join(import.meta.dirname, "..", "testing-relay.ts");
  const child = fork(program, [String(number), ...known], { execArgv: [] });
  const [{ multiaddrs }] = (await once(child, "message")) as [{ multiaddrs: string[] }];
  return { child, multiaddr: multiaddrs[0]!, peer: identityOf(number).peerId.toString() };
}

const livePeers = (host: Host) =>
  host
    .relays()
    .filter(({ state }) => state === "live")
    .map(({ peer }) => peer);

/** Three relays of which two know only the first, and a node on each of the other two that uses one relay at a time. */
let relays: RelayProcess[];
let alice: Host;
let bob: Host;
/** Knows only a relay of another network. */
let dave: Host;
const hosts: Host[] = [];
const start = async (n: number, options: Partial<HostOptions>) => {
  const host = await createHost({ identity: identityOf(n), relayCount: 1, ...options });
  hosts.push(host);
  return host;
};
beforeAll(async () => {
  const first = await startRelay(201);
  relays = [first, ...(await Promise.all([startRelay(202, [first.multiaddr]), startRelay(203, [first.multiaddr])]))];
  alice = await start(1, { relays: [relays[1]!.multiaddr], role: "worker" });
  bob = await start(2, { relays: [relays[2]!.multiaddr], role: "requester" });
  const foreign = await start(210, { relayService: true, clusterId: 1 });
  dave = await start(4, { relays: foreign.multiaddrs() });
  await Promise.all([alice, bob].map((host) => host.connected({ signal: AbortSignal.timeout(20_000) })));
}, 60_000);
afterAll(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  for (const { child } of relays) child.kill("SIGKILL");
});

/** Publishes until the other one has heard it: nothing is lost for ever that is said often enough. */
async function hears(listener: Host, speaker: Host, topic: string): Promise<void> {
  const got: RelayMessage[] = [];
  const end = listener.subscribe(topic, (message) => void got.push(message));
  for (let n = 0; got.length === 0; n++) {
    if (n === 100) throw new Error("nothing was heard");
    await speaker.publish(topic, { kind: "hello", job: null, body: n });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  end();
}

test("nodes on different relays hear each other and find each other's addresses", async () => {
  await until(() => livePeers(alice).length > 0 && livePeers(bob).length > 0);
  expect([livePeers(alice), livePeers(bob)]).toEqual([[relays[1]!.peer], [relays[2]!.peer]]);
  await hears(bob, alice, "to-bob");
  await hears(alice, bob, "to-alice");
  expect(await alice.directory.find(bob.identity.address)).toMatchObject({ role: "requester" });
  expect(await bob.directory.find(alice.identity.address)).toMatchObject({ role: "worker" });
}, 60_000);

test("relays that know only the first one connect to each other, and their nodes learn of all three", async () => {
  const liveOf = async ({ child }: RelayProcess) => {
    const answer = once(child, "message");
    child.send("relays");
    return ((await answer) as [number])[0];
  };
  await expect.poll(() => Promise.all(relays.map(liveOf)), { timeout: 30_000 }).toEqual([2, 2, 2]);
  const all = relays.map(({ peer }) => peer).toSorted();
  await until(() => alice.relays().length === 3, 60_000);
  expect(
    alice
      .relays()
      .map(({ peer }) => peer)
      .toSorted(),
  ).toEqual(all);
  const first = () => alice.relays().find(({ peer }) => peer === relays[0]!.peer);
  await until(() => first()!.sources.length === 2);
  expect(first()!.sources.toSorted()).toEqual(["exchange", "presence"]);
}, 60_000);

test("a relay is killed: its node goes on with another one, without a restart", async () => {
  relays[1]!.child.kill("SIGKILL");
  await until(() => livePeers(alice).some((peer) => peer !== relays[1]!.peer), 60_000);
  await hears(bob, alice, "after-the-kill");
  await hears(alice, bob, "back-to-alice");
}, 60_000);

test("a relay that falls silent without closing its connection is replaced as well", async () => {
  const [silent] = livePeers(alice);
  relays.find(({ peer }) => peer === silent)!.child.kill("SIGSTOP");
  await until(() => livePeers(alice).length > 0 && livePeers(alice)[0] !== silent, 30_000);
  relays.find(({ peer }) => peer === silent)!.child.kill("SIGKILL");
}, 60_000);

test("what answers and does not relay this network's messages is no relay", async () => {
  await until(() => dave.relays()[0]!.failures > 0, 15_000);
  expect(dave.relays()).toMatchObject([{ reason: "it does not relay messages of this network" }]);
  expect(dave.reachability().live).toBe(0);
}, 60_000);

test("a node starts without any relay, says so, and connects as soon as one answers", async () => {
  const problems: (string | undefined)[] = [];
  const stopped = await startRelay(204);
  const port = /\/tcp\/(\d+)/.exec(stopped.multiaddr)![1]!;
  stopped.child.kill("SIGKILL");
  await once(stopped.child, "exit");
  let nowMs = performance.now();
  let clockMs = Date.now();
  const carol = await start(3, {
    relays: [stopped.multiaddr],
    clock: () => clockMs,
    monotonic: () => nowMs,
    onReachability: ({ problem }) => void problems.push(problem?.code),
  });
  const only = await start(5, { relayService: true, monotonic: () => nowMs });
  await until(() => carol.relays()[0]!.failures > 0);
  clockMs -= 2 * 60 * 60_000; // The machine asks for the time after its start, which must not make it wait.
  nowMs += 60_000;
  await until(() => carol.reachability().problem !== undefined);
  expect(carol.reachability()).toMatchObject({ live: 0, problem: { code: "NoRelay" } });
  expect(carol.reachability().problem!.message).toContain(stopped.multiaddr);
  expect(carol.reachability().problem!.hint).toContain("--relay");
  const again = await createHost({
    identity: identityOf(204),
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    relayService: true,
  });
  hosts.push(again);
  const advance = setInterval(() => (nowMs += 1000), 50);
  await carol.connected({ signal: AbortSignal.timeout(20_000) }).finally(() => clearInterval(advance));
  await until(() => carol.reachability().live === 1);
  expect(problems).toContain("NoRelay");
  // A relay that knows no other one has no problem.
  expect(only.reachability()).toEqual({ live: 0, problem: undefined });
  expect(problems.at(-1)).toBeUndefined();
}, 60_000);
