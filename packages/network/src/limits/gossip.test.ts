import { RPC } from "@libp2p/gossipsub/message";
import type { Connection, Stream } from "@libp2p/interface";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createHost } from "../host/host.ts";
import { RELAY_PROTOCOL } from "../host/libp2p-node.ts";
import type { Host } from "../host/types.ts";
import { identityOf } from "../testing.ts";
import { varint, varintFramed } from "../testing-hostile/bytes.ts";
import { createPeer } from "../testing-hostile/client.ts";

const STALL_MS = 500;
let relay: Host;
const ending = new AbortController();
beforeAll(async () => {
  relay = await createHost({
    identity: identityOf(99),
    relayService: true,
    limits: { stallMs: STALL_MS, exemptLoopback: true },
  });
});
afterAll(async () => {
  ending.abort();
  await relay.stop();
});

interface Neighbour {
  readonly connection: Connection;
  readonly stream: Stream;
  /** What it did wrong. */
  offences(): object | undefined;
}

async function neighbour(number: number): Promise<Neighbour> {
  const target = { relay: relay.multiaddrs()[0]!, number, from: "127.0.0.1", signal: ending.signal };
  const { node, dial } = await createPeer(target);
  const connection = await dial();
  const stream = await connection.newStream(RELAY_PROTOCOL, { signal: AbortSignal.timeout(30_000) });
  const id = node.peerId.toString();
  return { connection, stream, offences: () => relay.scores().find(({ peerId }) => peerId === id)?.offences };
}

const untilDropped = ({ connection, offences }: Neighbour) =>
  expect.poll(() => [connection.status === "open", offences()], { timeout: 30_000 }).toEqual([false, { stalled: 1 }]);

test("a gossip frame that is begun and not continued costs its author the connection", async () => {
  const silent = await neighbour(1);
  silent.stream.send(varint(1_900_000));
  silent.stream.send(new Uint8Array(1_800_000));
  await untilDropped(silent);
});

test("one that comes byte by byte, with no long pause, does too", async () => {
  const trickling = await neighbour(2);
  trickling.stream.send(varint(4000));
  const timer = setInterval(() => trickling.stream.status === "open" && trickling.stream.send(new Uint8Array(1)), 50);
  await untilDropped(trickling).finally(() => clearInterval(timer));
});

test("a neighbour on a slow line, and one that says nothing between frames, stay", async () => {
  const slow = await neighbour(3);
  const topics = Array.from({ length: 100 }, (_, i) => ({ subscribe: true, topic: `${i}`.padStart(400, "topic") }));
  const frame = varintFramed(RPC.encode({ subscriptions: topics, messages: [] }));
  for (let at = 0; at < frame.length; at += 5000) {
    slow.stream.send(frame.subarray(at, at + 5000));
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  await new Promise((resolve) => setTimeout(resolve, STALL_MS));
  expect([slow.connection.status, slow.stream.status, slow.offences()]).toEqual(["open", "open", undefined]);
});
