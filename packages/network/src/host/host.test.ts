import { multiaddr } from "@multiformats/multiaddr";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDrops } from "./drops.ts";
import { createHost } from "./host.ts";
import type { Host } from "./types.ts";
import { createGroupKey } from "../identity/group-key.ts";
import type { RelayMessage } from "../messages/inbox.ts";
import { createNode } from "./libp2p-node.ts";
import { silent } from "./log.ts";
import { createGuard } from "../limits/guard.ts";
import { limitsOf } from "../limits/limits.ts";
import { identityOf, startNetwork, until, type TestNetwork } from "../testing.ts";
import { tcp } from "../transports/tcp.ts";
import { createTrafficMeter } from "./traffic.ts";
import { CLUSTER_ID, pubsubTopicOf } from "../messages/waku-message.ts";

let network: TestNetwork;
beforeEach(async () => {
  network = await startNetwork();
});
afterEach(() => network.stop());

const collect = (host: Host, topic: string, options?: Parameters<Host["subscribe"]>[2]) => {
  const got: RelayMessage[] = [];
  host.subscribe(topic, (message) => void got.push(message), options);
  return got;
};

test("nodes that know only the relay reach each other, every message once", async () => {
  const nodes = await Promise.all([1, 2, 3, 4, 5].map((n) => network.node(n)));
  const got = nodes.map((node) => collect(node, "news"));
  await Promise.all(
    nodes.map(async (node, i) => {
      for (let k = 0; k < 10; k++) await node.publish("news", { kind: "hello", job: null, body: [i, k] });
    }),
  );
  await until(() => got.every((messages) => messages.length === 40));
  for (const [i, messages] of got.entries()) {
    expect(new Set(messages.map(({ body }) => String(body))).size).toBe(40);
    expect(messages.some(({ from }) => from === nodes[i]!.identity.address)).toBe(false);
  }
  for (const node of nodes)
    expect(Object.keys(node.traffic().dropped).filter((it) => it !== "rateLimited")).toEqual([]);
});

test("nodes find each other's addresses, also one that joins later", async () => {
  const first = await network.node(1, { role: "worker" });
  const second = await network.node(2, { role: "requester" });
  const signal = AbortSignal.timeout(30_000);
  expect(await first.directory.find(second.identity.address, { signal })).toMatchObject({ role: "requester" });
  expect(await second.directory.find(first.identity.address)).toMatchObject({ role: "worker" });
  const connection = await first.connect(second.identity.address);
  expect(connection.remotePeer.equals(second.identity.peerId)).toBe(true);
  await until(() => second.peers().includes(first.identity.address));
  const nobody = first.connect(identityOf(50).address, { timeoutMs: 100 });
  await expect(nobody).rejects.toMatchObject({ code: "Unreachable" });
});

test("a third node on the relay sees only ciphertext of a job's messages", async () => {
  const [alice, bob, eve] = await Promise.all([1, 2, 3].map((n) => network.node(n)));
  const groupKey = createGroupKey();
  const got = collect(bob!, "job-1", { groupKey: () => [groupKey] });
  const withoutKey = collect(eve!, "job-1", { groupKey: () => [createGroupKey()] });
  const inPlain = collect(eve!, "job-1");
  const wire: Uint8Array[] = [];
  eve!.tap((bytes) => void wire.push(bytes));
  await alice!.publish("job-1", { kind: "secret-kind", job: "0x0a", body: { weights: "very secret" } }, { groupKey });
  await until(() => got.length === 1 && wire.length > 0 && (eve!.traffic().dropped.notForUs ?? 0) > 0);
  expect(got[0]).toMatchObject({ kind: "secret-kind", job: "0x0a", body: { weights: "very secret" } });
  expect([...withoutKey, ...inPlain]).toEqual([]);
  const ofTheJob = wire.map((bytes) => Buffer.from(bytes)).filter((bytes) => bytes.includes("/skynet/1/job-1/cbor"));
  expect(ofTheJob).toHaveLength(1);
  for (const hidden of ["very secret", "secret-kind", "weights", Buffer.from(alice!.identity.compressedPublicKey)])
    expect(ofTheJob[0]!.includes(hidden)).toBe(false);
});

test("garbage and oversized messages of a malicious node stop at the relay, which counts them", async () => {
  const listener = await network.node(1);
  const pubsubTopic = pubsubTopicOf(CLUSTER_ID, 0);
  const drops = createDrops();
  const guard = createGuard({
    limits: limitsOf(false),
    drops,
    log: silent,
    clock: Date.now,
    monotonic: () => performance.now(),
    signal: AbortSignal.timeout(60_000),
  });
  const options = {
    transports: [tcp()],
    transportContext: { stunServers: () => [], reservations: 0, limits: guard.limits, drops },
    listen: ["/ip4/127.0.0.1/tcp/0"],
    pubsubTopic,
    relayService: false,
    meter: createTrafficMeter(drops),
    guard,
    monotonic: () => performance.now(),
    signal: AbortSignal.timeout(60_000),
    fault: () => undefined,
  };
  const mallory = await createNode({ identity: identityOf(66), ...options });
  await mallory.dial(multiaddr(network.relay.multiaddrs()[0]!));
  await until(() => mallory.services.pubsub.getSubscribers(pubsubTopic).length === 1);
  const wire: Uint8Array[] = [];
  listener.tap((bytes) => void wire.push(bytes));
  await mallory.services.pubsub.publish(pubsubTopic, new Uint8Array(70_000));
  await mallory.services.pubsub.publish(pubsubTopic, new Uint8Array(100).fill(255));
  await until(() => (network.relay.traffic().dropped.undecodable ?? 0) > 0);
  expect(network.relay.traffic().dropped).toMatchObject({ oversized: 1, undecodable: 1 });
  expect(wire.every((bytes) => bytes.length < 1000 && bytes[0] !== 255)).toBe(true);
  await mallory.stop();
});

test("an oversized message is refused when it is sent", async () => {
  const node = await network.node(1);
  const message = { kind: "big", job: null, body: new Uint8Array(65_536) };
  await expect(node.publish("news", message)).rejects.toMatchObject({ code: "TooLarge" });
  await expect(node.publish("News!", { ...message, body: 1 })).rejects.toMatchObject({ code: "BadOption" });
});

test("a node finds its relay again after the relay was restarted", async () => {
  const node = await network.node(1);
  const [address] = network.relay.multiaddrs();
  await network.relay.stop();
  await until(() => node.peers().length === 0);
  const listen = [address!.replace(/\/p2p\/.*/, "")];
  const relay = await createHost({ identity: network.relay.identity, listen, relayService: true });
  const got = collect(relay, "news");
  await until(() => relay.peers().length === 1);
  await node.connected({ signal: AbortSignal.timeout(30_000) });
  await node.publish("news", { kind: "back", job: null, body: null });
  await until(() => got.length === 1);
  await relay.stop();
});

test("a port in use, a bad address and a bad relay are clear errors", async () => {
  const listen = network.relay.multiaddrs().map((address) => address.replace(/\/p2p\/.*/, ""));
  const inUse = { code: "PortInUse", hint: expect.stringContaining("another port") as string };
  await expect(createHost({ identity: identityOf(1), listen })).rejects.toMatchObject(inUse);
  const bad = { code: "BadOption" };
  await expect(createHost({ identity: identityOf(1), listen: ["localhost:4000"] })).rejects.toMatchObject(bad);
  await expect(createHost({ identity: identityOf(1), relays: ["nonsense"] })).rejects.toMatchObject(bad);
  await expect(createHost({ identity: identityOf(1), listen: ["/ip4/192.0.2.1/tcp/0"] })).rejects.toMatchObject(bad);
});

test("a node of which a part cannot start, or whose signal aborts meanwhile, leaves its port to the next one", async () => {
  const first = await createHost({ identity: identityOf(1) });
  const listen = first.multiaddrs().map((address) => address.replace(/\/p2p\/.*/, ""));
  await first.stop();
  const services = {
    get store(): never {
      throw new Error("a broken store");
    },
  };
  const broken = createHost({ identity: identityOf(1), listen, relayService: true, services });
  await expect(broken).rejects.toThrow("a broken store");
  await (await createHost({ identity: identityOf(1), listen })).stop();

  const controller = new AbortController();
  const unwanted = createHost({
    identity: identityOf(1),
    listen,
    signal: controller.signal,
    get upnp() {
      controller.abort(new Error("no longer wanted"));
      return false;
    },
  });
  await expect(unwanted).rejects.toThrow("no longer wanted");
  await (await createHost({ identity: identityOf(1), listen })).stop();
});

test("a signal stops a node, and a stopped node says so", async () => {
  const controller = new AbortController();
  const node = await network.node(1, { signal: controller.signal });
  controller.abort();
  const message = { kind: "late", job: null, body: null };
  await expect(node.publish("news", message)).rejects.toMatchObject({ code: "Stopped" });
  await until(() => network.relay.peers().length === 0);
  await node.stop();
});
