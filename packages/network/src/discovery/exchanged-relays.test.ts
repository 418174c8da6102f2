import { lpStream } from "@libp2p/utils";
import { proto_peer_exchange } from "@waku/proto";
import { afterAll, expect, test } from "vitest";
import { createDrops } from "../host/drops.ts";
import { createHost } from "../host/host.ts";
import { silent } from "../host/log.ts";
import type { Host, HostOptions } from "../host/types.ts";
import { identityOf, until } from "../testing.ts";
import { askRelays, servePeerExchange } from "../waku/peer-exchange.ts";
import { PEER_EXCHANGE_PROTOCOL } from "../waku/protocols.ts";
import { encodeRecord } from "../waku/relay-record.ts";
import { startClient, type TestClient } from "../waku/testing-client.ts";
import { exchangedRelays } from "./exchanged-relays.ts";

const hosts: Host[] = [];
const start = async (n: number, options: Partial<HostOptions>) => {
  const host = await createHost({ identity: identityOf(n), ...options });
  hosts.push(host);
  return host;
};
/** A relay that does not say so in its presence: only peer exchange tells of it. */
const startRelay = (n: number, options: Partial<HostOptions> = {}) =>
  start(n, { relayService: true, role: "quiet", ...options });
afterAll(() => Promise.all(hosts.map((host) => host.stop())));

const peerOf = ({ identity }: Host) => identity.peerId.toString();
const live = (host: Host) => host.relays().flatMap(({ state, peer }) => (state === "live" ? (peer ?? []) : []));
const find = (host: Host, relay: Host) => host.relays().find(({ peer }) => peer === peerOf(relay));

test("a node that knows one relay learns another by peer exchange alone, and uses it when the first one dies", async () => {
  const first = await startRelay(1);
  const second = await startRelay(2, { relays: first.multiaddrs() });
  // Connected to the first one all the same, and in its answers, if it did not tell relays of other networks apart.
  const foreign = await startRelay(3, { relays: first.multiaddrs(), clusterId: 7 });
  const otherShard = await startRelay(4, { relays: first.multiaddrs(), shard: 5 });
  await until(() => live(second).includes(peerOf(first)));
  const node = await start(5, { relays: first.multiaddrs(), relayCount: 1 });
  await until(() => find(node, second) !== undefined);
  expect(find(node, second)).toMatchObject({ sources: ["exchange"], multiaddrs: second.multiaddrs(), state: "idle" });
  expect([foreign, otherShard].map((relay) => find(node, relay))).toEqual([undefined, undefined]);
  await first.stop();
  await until(() => live(node).includes(peerOf(second)));
  // Nobody tells of it any more: what was learned is kept.
  expect(find(node, second)).toMatchObject({ sources: ["exchange"] });
});

const recordOf = (n: number, { clusterId = 1729, shards = [0], seq = 100_000 } = {}) =>
  encodeRecord(identityOf(n), { seq, multiaddrs: [`/ip4/9.9.9.${n}/tcp/4000`], clusterId, shards });

/** A peer that answers peer exchange with anything. */
async function startTeller(
  n: number,
  relay: Host,
  records: readonly Uint8Array[],
): Promise<TestClient & { askers: string[] }> {
  const teller = {
    ...(await startClient(n, relay.multiaddrs()[0]!, ["/ip4/127.0.0.1/tcp/0"])),
    askers: new Array<string>(),
  };
  const { PeerExchangeRPC } = proto_peer_exchange;
  const answer = PeerExchangeRPC.encode({ response: { peerInfos: records.map((enr) => ({ enr })) } });
  await teller.node.handle(PEER_EXCHANGE_PROTOCOL, async (stream, { remotePeer }) => {
    const frames = lpStream(stream);
    await frames.read();
    teller.askers.push(remotePeer.toString());
    await frames.write(answer);
    await stream.close();
  });
  return teller;
}

test("a relay tells the addresses that it announces: at home, where only its router knows the best one, that too", async () => {
  const relay = await startRelay(20);
  const home = await startClient(21, relay.multiaddrs()[0]!, ["/ip4/127.0.0.1/tcp/0"]);
  const asker = await startClient(22, home.node.getMultiaddrs()[0]!.toString());
  const stopping = new AbortController();
  const [clock, monotonic] = [Date.now, () => performance.now()];
  const context = {
    drops: createDrops(),
    log: silent,
    clock,
    monotonic,
    signal: stopping.signal,
    offend: () => undefined,
  };
  const announced = ["/ip4/9.9.9.20/tcp/4000", "/ip4/192.168.1.2/tcp/4000"];
  await servePeerExchange(
    { ...context, node: home.node },
    {
      identity: identityOf(21),
      clusterId: 1,
      shard: 1,
      rate: { perSecond: 1, burst: 1 },
      random: Math.random,
      announced: () => announced,
    },
  );
  const [own] = await askRelays(asker.node, home.node.peerId, 1, stopping.signal);
  expect(own!.multiaddrs).toEqual(announced.map((text) => `${text}/p2p/${home.node.peerId.toString()}`));
  stopping.abort();
  await Promise.all([home, asker].map(({ node }) => node.stop()));
});

test("a relay that names a crowd does not hide what others name, and lies are left out", async () => {
  const relay = await startRelay(10);
  const forged = recordOf(60).map((byte, i) => (i === 20 ? byte ^ 1 : byte));
  const lies = [forged, new Uint8Array(400), recordOf(61, { clusterId: 7 }), recordOf(62, { shards: [3] })];
  const old = [recordOf(65, { seq: 96_000 }), recordOf(66, { seq: 101_000 })];
  const crowd = Array.from({ length: 54 }, (_, i) => recordOf(100 + i));
  const liar = await startTeller(11, relay, [...lies, ...old, ...crowd]);
  const honest = await startTeller(12, relay, [recordOf(63), recordOf(64)]);
  const asker = await startClient(13, liar.node.getMultiaddrs()[0]!.toString());
  await asker.node.dial(honest.node.getMultiaddrs());
  let nowMs = 100_000_000;
  const clock = () => nowMs;
  const source = exchangedRelays({ node: asker.node, clusterId: 1729, shard: 0, clock, monotonic: clock, log: silent });
  const { signal } = new AbortController();
  const peers = [liar, honest].map(({ node }) => node.peerId.toString());
  const named = async (live?: string[]) =>
    (await source.relays(signal, live)).map((text) => Number(/9\.9\.9\.(\d+)/.exec(text)![1]));
  const first = await named(peers);
  expect(first.slice(0, 4)).toEqual([100, 63, 101, 64]);
  expect(first).toHaveLength(12);
  expect(await named(peers)).toEqual(first);
  // Once within a minute; the relay asks as well.
  const own = asker.node.peerId.toString();
  for (const { askers } of [liar, honest]) expect(askers.filter((peer) => peer === own)).toHaveLength(1);
  // Also when nobody is connected any more; for an hour.
  nowMs += 59 * 60_000;
  expect(await named()).toEqual(first);
  nowMs += 2 * 60_000;
  expect(await named()).toEqual([]);
  await Promise.all([liar, honest, asker].map(({ node }) => node.stop()));
});
