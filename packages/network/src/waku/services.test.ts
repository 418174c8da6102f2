import { proto_lightpush, proto_message, proto_metadata, proto_peer_exchange } from "@waku/proto";
import { toHex } from "@skynet/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import type { Host, HostOptions } from "../host/types.ts";
import { wakuMessageHash } from "../messages/waku-message.ts";
import { identityOf, until } from "../testing.ts";
import { LIGHT_PUSH_V2_PROTOCOL, METADATA_PROTOCOL, PEER_EXCHANGE_PROTOCOL } from "./protocols.ts";
import { decodeRecord } from "./relay-record.ts";
import {
  FilterSubscribeType as Type,
  PUBSUB,
  startClient,
  TOPIC,
  wakuMessage,
  type TestClient,
} from "./testing-client.ts";

let relay: Host;
const clients: TestClient[] = [];
const hosts: Host[] = [];
let nowMs = 0;

async function startRelay(options: Partial<HostOptions> = {}): Promise<Host> {
  const monotonic = () => performance.now() + nowMs;
  const n = 99 - hosts.length;
  const host = await createHost({ identity: identityOf(n), relayService: true, monotonic, ...options });
  hosts.push(host);
  return host;
}
async function client(n: number, host = relay): Promise<TestClient> {
  const started = await startClient(n, host.multiaddrs()[0]!);
  clients.push(started);
  return started;
}
beforeEach(async () => {
  nowMs = 0;
  relay = await startRelay();
});
afterEach(async () => {
  await Promise.all([...clients.splice(0).map(({ node }) => node.stop()), ...hosts.splice(0).map((it) => it.stop())]);
});

const topics = { contentTopics: [TOPIC] };

test("light push answers with the code for what happened, and with the id of the request", async () => {
  const [alice, bob] = await Promise.all([client(1), client(2)]);
  const ephemeral = { ephemeral: true };
  const codes: Record<string, number> = {};
  const push = async (name: string, request: Partial<proto_lightpush.LightPushRequestV3>) => {
    const { requestId, statusCode } = await alice.push({ pubsubTopic: PUBSUB, ...request });
    expect(requestId).toBe("p1");
    codes[name] = statusCode;
  };
  await push("nobody hears it and it is not kept", { message: wakuMessage(1, ephemeral) });
  await push("kept", { message: wakuMessage(2) });
  await bob.filter(Type.SUBSCRIBE, topics);
  const message = wakuMessage(3, ephemeral);
  await push("heard", { message });
  await push("again", { message });
  await push("no message", {});
  await push("no payload", { message: { ...wakuMessage(4), payload: new Uint8Array() } });
  await push("no content topic", { message: { ...wakuMessage(4), contentTopic: "" } });
  await push("too large", { message: wakuMessage(4, { bytes: 65_536 }) });
  await push("another shard", { pubsubTopic: "/waku/2/rs/1729/1", message: wakuMessage(5) });
  await push("another cluster", { pubsubTopic: "/waku/2/rs/1/0", message: wakuMessage(5) });
  expect(codes).toEqual({
    "nobody hears it and it is not kept": 505,
    kept: 200,
    heard: 200,
    again: 200,
    "no message": 400,
    "no payload": 420,
    "no content topic": 420,
    "too large": 413,
    "another shard": 421,
    "another cluster": 421,
  });
  const garbage = proto_lightpush.LightPushResponseV3.decode(
    await alice.call("/vac/waku/lightpush/3.0.0", new Uint8Array(20).fill(255)),
  );
  expect(garbage).toMatchObject({ requestId: "", statusCode: 400 });
  await until(() => bob.got.length === 1);
  const neighbour = await createHost({ identity: identityOf(50), relays: relay.multiaddrs() });
  hosts.push(neighbour);
  await neighbour.connected({ signal: AbortSignal.timeout(30_000) });
  const wire: Uint8Array[] = [];
  neighbour.tap((bytes) => void wire.push(bytes));
  expect(await alice.push({ pubsubTopic: PUBSUB, message: wakuMessage(6, ephemeral) })).toMatchObject({
    statusCode: 200,
    relayPeerCount: 2,
  });
  await until(() => wire.some((bytes) => proto_message.WakuMessage.decode(bytes).payload[0] === 6));
});

test("what nobody heard is not taken for delivered when it is pushed again, and goes out once somebody is there", async () => {
  const [alice, bob] = await Promise.all([client(1), client(2)]);
  const push = (n: number) => alice.push({ pubsubTopic: PUBSUB, message: messages[n]! });
  const messages = [wakuMessage(0, { ephemeral: true }), wakuMessage(1, { ephemeral: true })];
  expect(await push(0)).toMatchObject({ statusCode: 505 });
  expect(await push(0)).toMatchObject({ statusCode: 505 });
  expect(await push(1)).toMatchObject({ statusCode: 505 });
  await bob.filter(Type.SUBSCRIBE, topics);
  expect(await push(0)).toMatchObject({ statusCode: 200, relayPeerCount: 1 });
  await until(() => bob.got.length === 1);
  await bob.filter(Type.UNSUBSCRIBE_ALL);
  const neighbour = await createHost({ identity: identityOf(50), relays: relay.multiaddrs() });
  hosts.push(neighbour);
  await neighbour.connected({ signal: AbortSignal.timeout(30_000) });
  const wire: Uint8Array[] = [];
  neighbour.tap((bytes) => void wire.push(bytes));
  expect(await push(1)).toMatchObject({ statusCode: 200, relayPeerCount: 1 });
  await until(() => wire.some((bytes) => proto_message.WakuMessage.decode(bytes).payload[0] === 1));
});

test("version 2 of light push says what happened in words", async () => {
  const alice = await client(1);
  const { PushRpc } = proto_lightpush;
  const push = async (pubsubTopic: string) => {
    const request = PushRpc.encode({ requestId: "old", request: { pubsubTopic, message: wakuMessage(1) } });
    return PushRpc.decode(await alice.call(LIGHT_PUSH_V2_PROTOCOL, request));
  };
  expect(await push(PUBSUB)).toMatchObject({ requestId: "old", response: { isSuccess: true, info: "OK" } });
  expect(await push("/other")).toMatchObject({ response: { isSuccess: false, info: expect.stringContaining("only") } });
});

test("a subscriber gets what it asked for, until it unsubscribes", async () => {
  const [alice, bob] = await Promise.all([client(1), client(2)]);
  expect(await bob.filter(Type.SUBSCRIBER_PING)).toMatchObject({ requestId: "f2", statusCode: 404 });
  expect(await bob.filter(Type.SUBSCRIBE, topics)).toMatchObject({
    requestId: "f2",
    statusCode: 200,
    statusDesc: "OK",
  });
  expect(await bob.filter(Type.SUBSCRIBE, { contentTopics: ["/b/1/c/d"] })).toMatchObject({ statusCode: 200 });
  expect(await bob.filter(Type.SUBSCRIBER_PING)).toMatchObject({ statusCode: 200 });
  const push = async (n: number, topic: string) =>
    (await alice.push({ pubsubTopic: PUBSUB, message: wakuMessage(n, { topic }) })).relayPeerCount;
  expect([await push(1, TOPIC), await push(2, "/other/1/a/b"), await push(3, "/b/1/c/d")]).toEqual([1, 0, 1]);
  await until(() => bob.got.length === 2);
  expect(bob.got).toEqual([1, 3]);
  expect(await bob.filter(Type.UNSUBSCRIBE, topics)).toMatchObject({ statusCode: 200 });
  expect([await push(4, TOPIC), await push(5, "/b/1/c/d")]).toEqual([0, 1]);
  await until(() => bob.got.length === 3);
  expect(await bob.filter(Type.UNSUBSCRIBE_ALL)).toMatchObject({ statusCode: 200 });
  expect(await bob.filter(Type.UNSUBSCRIBE_ALL)).toMatchObject({ statusCode: 404 });
  expect(await bob.filter(Type.UNSUBSCRIBE, topics)).toMatchObject({ statusCode: 404 });
  expect(await push(6, "/b/1/c/d")).toBe(0);
  expect(bob.got).toEqual([1, 3, 5]);
});

test("filter requests without criteria, of another shard, or beyond a limit are refused", async () => {
  const limits = { maxPeers: 1, maxTopicsPerPeer: 3, maxIdleMs: 60_000 };
  const small = await startRelay({ services: { filterLimits: limits } });
  const [alice, bob] = await Promise.all([client(1, small), client(2, small)]);
  const subscribe = async (from: TestClient, contentTopics: string[], pubsubTopic = PUBSUB) =>
    (await from.filter(Type.SUBSCRIBE, { contentTopics, pubsubTopic })).statusCode;
  expect(await subscribe(alice, [])).toBe(400);
  expect(await subscribe(alice, [TOPIC], "")).toBe(400);
  expect(await subscribe(alice, [TOPIC], "/waku/2/rs/1729/7")).toBe(400);
  expect(await subscribe(alice, ["x".repeat(257)])).toBe(400);
  expect(
    await subscribe(
      alice,
      Array.from({ length: 101 }, (_, i) => `/${i}`),
    ),
  ).toBe(400);
  expect(await subscribe(alice, ["/1", "/2", "/3", "/4"])).toBe(503);
  expect(await subscribe(alice, ["/1", "/2", "/3"])).toBe(200);
  expect(await subscribe(bob, ["/1"])).toBe(503);
  nowMs = 60_001;
  expect((await alice.filter(Type.SUBSCRIBER_PING)).statusCode).toBe(404);
  expect(await subscribe(bob, ["/1"])).toBe(200);
});

test("a subscriber that takes nothing for a minute is forgotten", async () => {
  const [alice, bob] = await Promise.all([client(1), client(2)]);
  await bob.filter(Type.SUBSCRIBE, topics);
  await bob.node.stop();
  await until(() => !relay.peers().includes(identityOf(2).address));
  const push = async (n: number) =>
    (await alice.push({ pubsubTopic: PUBSUB, message: wakuMessage(n, { ephemeral: true }) })).statusCode;
  expect(await push(1)).toBe(200);
  nowMs = 61_000;
  await expect.poll(async () => push(Math.floor(Math.random() * 1e6)), { timeout: 30_000 }).toBe(505);
});

test("history: by topic, time and hash, in pages of both directions, with and without content", async () => {
  const alice = await client(1);
  const messages = Array.from({ length: 25 }, (_, n) => wakuMessage(n, n % 5 === 4 ? { topic: "/b/1/c/d" } : {}));
  for (const message of messages) await alice.push({ pubsubTopic: PUBSUB, message });
  await alice.push({ pubsubTopic: PUBSUB, message: wakuMessage(100, { ephemeral: true }) });
  const late = { ...wakuMessage(101), timestamp: BigInt(Date.now() + 3_600_000) * 1_000_000n };
  await alice.push({ pubsubTopic: PUBSUB, message: late });
  const criteria = { pubsubTopic: PUBSUB, contentTopics: [TOPIC], includeData: true };
  const numbers = ({ messages: page }: Awaited<ReturnType<TestClient["query"]>>) =>
    page.map(({ message, pubsubTopic }) => (pubsubTopic === PUBSUB ? message!.payload[0] : undefined));
  const expected = messages.map((_, n) => n).filter((n) => n % 5 !== 4);

  const newest = await alice.query(criteria);
  expect(newest).toMatchObject({ requestId: "q1", statusCode: 200, statusDesc: "OK" });
  expect(numbers(newest)).toEqual(expected);
  const first = await alice.query({ ...criteria, paginationForward: true, paginationLimit: 15n });
  const paginationCursor = first.paginationCursor!;
  const rest = await alice.query({ ...criteria, paginationForward: true, paginationLimit: 15n, paginationCursor });
  expect([...numbers(first), ...numbers(rest)]).toEqual(expected);
  expect(rest.paginationCursor).toBeUndefined();
  const last = await alice.query({ ...criteria, paginationLimit: 3n });
  expect(numbers(last)).toEqual(expected.slice(-3));
  const before = await alice.query({ ...criteria, paginationLimit: 3n, paginationCursor: last.paginationCursor! });
  expect(numbers(before)).toEqual(expected.slice(-6, -3));
  const between = { timeStart: messages[5]!.timestamp, timeEnd: messages[8]!.timestamp };
  expect(numbers(await alice.query({ ...criteria, ...between }))).toEqual([5, 6, 7]);
  expect((await alice.query({})).messages).toHaveLength(20);

  const hash = wakuMessageHash(PUBSUB, proto_message.WakuMessage.encode(messages[3]!));
  const present = await alice.query({ messageHashes: [hash, new Uint8Array(32)] });
  expect(present.messages.map((message) => Object.keys(message))).toEqual([["messageHash"]]);
  expect(toHex(present.messages[0]!.messageHash!)).toBe(toHex(hash));
});

test("history requests that the specification forbids are refused", async () => {
  const alice = await client(1);
  const messageHashes = [new Uint8Array(32)];
  for (const wrong of [
    { pubsubTopic: PUBSUB },
    { contentTopics: [TOPIC] },
    { messageHashes, pubsubTopic: PUBSUB, contentTopics: [TOPIC] },
    { messageHashes, timeStart: 1n },
    { messageHashes: [new Uint8Array(31)] },
    { paginationCursor: new Uint8Array(32).fill(1) },
    { timeStart: 2n, timeEnd: 1n },
    { pubsubTopic: PUBSUB, contentTopics: Array.from({ length: 101 }, (_, i) => `/${i}`) },
  ])
    expect(await alice.query(wrong), JSON.stringify(Object.keys(wrong))).toMatchObject({
      requestId: "q1",
      statusCode: 400,
    });
});

test("large messages come in pages that any client can read", async () => {
  const alice = await client(1);
  for (let n = 0; n < 24; n++) await alice.push({ pubsubTopic: PUBSUB, message: wakuMessage(n, { bytes: 60_000 }) });
  const criteria = { pubsubTopic: PUBSUB, contentTopics: [TOPIC], includeData: true, paginationForward: true };
  const first = await alice.query({ ...criteria, paginationLimit: 100n });
  expect(first.messages).toHaveLength(17);
  const paginationCursor = first.paginationCursor!;
  expect((await alice.query({ ...criteria, paginationCursor })).messages).toHaveLength(7);
});

test("a peer that asks too often is told so, and counted; others are served", async () => {
  const rate = { perSecond: 0.001, burst: 2 };
  const rates = { store: rate, filter: rate, lightPush: rate, metadata: rate, peerExchange: rate };
  const strict = await startRelay({ services: { rates } });
  const [alice, bob] = await Promise.all([client(1, strict), client(2, strict)]);
  const codes = async ({ filter, query, push }: TestClient) => [
    (await filter(Type.SUBSCRIBE, topics)).statusCode,
    (await query({})).statusCode,
    (await push({ pubsubTopic: PUBSUB, message: wakuMessage(1) })).statusCode,
  ];
  for (const expected of [200, 200, 429]) expect(await codes(alice)).toEqual([expected, expected, expected]);
  expect(await codes(bob)).toEqual([200, 200, 200]);
  expect(strict.traffic().dropped).toMatchObject({ rateLimited: 3 });
});

test("a request that is too large, cut off or never sent does not stay", async () => {
  const alice = await client(1);
  await expect(alice.push({ pubsubTopic: PUBSUB, message: wakuMessage(1, { bytes: 300_000 }) })).rejects.toMatchObject({
    code: "Unreachable",
  });
  const [connection] = alice.node.getConnections();
  const cut = await connection!.newStream("/vac/waku/store-query/3.0.0");
  cut.send(Uint8Array.of(200, 1, 1));
  await cut.close();
  await until(() => (relay.traffic().dropped.badStream ?? 0) >= 2);
  expect((await alice.query({})).statusCode).toBe(200);
});

test("metadata names cluster and shard", async () => {
  const alice = await client(1);
  const request = proto_metadata.WakuMetadataRequest.encode({ clusterId: 1729, shards: [] });
  const answer = proto_metadata.WakuMetadataResponse.decode(await alice.call(METADATA_PROTOCOL, request));
  expect(answer).toEqual({ clusterId: 1729, shards: [0] });
});

test("peer exchange gives signed records of relays that know each other", async () => {
  const second = await startRelay({ relays: relay.multiaddrs() });
  const third = await startRelay({ relays: second.multiaddrs() });
  await until(() => third.peers().length > 0);
  const alice = await client(1);
  const ask = async (numPeers: bigint) => {
    const { PeerExchangeRPC } = proto_peer_exchange;
    const request = PeerExchangeRPC.encode({ query: { numPeers } });
    const { response } = PeerExchangeRPC.decode(await alice.call(PEER_EXCHANGE_PROTOCOL, request));
    return response!.peerInfos.map(({ enr }) => decodeRecord(enr!));
  };
  const own = { address: relay.identity.address, multiaddrs: relay.multiaddrs(), clusterId: 1729, shards: [0] };
  await expect.poll(async () => (await ask(60n)).length, { timeout: 30_000 }).toBeGreaterThan(1);
  expect(await ask(1n)).toEqual([expect.objectContaining(own)]);
  expect((await ask(60n)).find(({ address }) => address === second.identity.address)).toMatchObject({
    multiaddrs: second.multiaddrs(),
  });
  expect(await ask(0n)).toEqual([]);
  // Nodes ask by themselves.
  const peer = second.identity.peerId.toString();
  await until(() => third.relays().some((it) => it.peer === peer && it.sources.includes("exchange")));
});
