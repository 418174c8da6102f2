// What hostile peers do to a relay, one function each. Each runs until its signal aborts or the relay has dropped it.
import { randomBytes } from "node:crypto";
import type { Connection, Stream } from "@libp2p/interface";
import { RPC } from "@libp2p/gossipsub/message";
import { lpStream } from "@libp2p/utils";
import { concatBytes } from "@skynet/protocol";
import { proto_message } from "@waku/proto";
import { RELAY_PROTOCOL } from "../host/libp2p-node.ts";
import { createIdentity } from "../identity/identity.ts";
import { sealEnvelope } from "../messages/envelope.ts";
import { contentTopicOf, encodeWakuMessage, pubsubTopicOf } from "../messages/waku-message.ts";
import { FILTER_SUBSCRIBE_PROTOCOL, LIGHT_PUSH_PROTOCOL, STORE_PROTOCOL } from "../waku/protocols.ts";
import { varint, varintFramed, yamuxHeader } from "./bytes.ts";
import { listenerAttacks } from "./listener-attacks.ts";
import { createPeer, createRawPeer, keepSending, openSocket, untilEnded, type Target } from "./client.ts";

/** How an attack must end for its author. */
export type Outcome =
  | "banned" // the relay drops the peer and refuses it
  | "refused" // sockets without an identity are closed
  | "contained"; // no rule is broken that a relay can see: nothing gets worse for others

export interface Attack {
  readonly outcome: Outcome;
  run(target: Target): Promise<void>;
}

const PUBSUB_TOPIC = pubsubTopicOf(1729, 0);
const text = new TextEncoder();

const many = (count: number, part: (i: number) => Uint8Array) =>
  concatBytes(...Array.from({ length: count }, (_, i) => part(i)));

/** A Waku message of the presence topic, as a gossip message. */
function wakuMessage(payload: Uint8Array, timestamp: bigint, topic = "peers"): { topic: string; data: Uint8Array } {
  const contentTopic = contentTopicOf(topic);
  return { topic: PUBSUB_TOPIC, data: encodeWakuMessage({ payload, contentTopic, timestamp, ephemeral: true }) };
}

type Message = ReturnType<typeof wakuMessage>;
const rpcOf = (messages: Message[]) => varintFramed(RPC.encode({ subscriptions: [], messages }));
let counter = 0n;
const fresh = (bytes: number) => wakuMessage(randomBytes(bytes), (counter += 1n));

/** Sockets that are opened again as soon as they are closed. */
const sockets = (count: number, first: () => Uint8Array | undefined): Attack["run"] => {
  return async (target) => {
    const hold = async (k: number) => {
      while (!target.signal.aborted) {
        const socket = await openSocket(target, k);
        const bytes = first();
        if (socket !== undefined && bytes !== undefined) socket.write(bytes);
        const closed = new Promise((resolve) => socket?.once("close", resolve));
        const aborted = new Promise((resolve) => target.signal.addEventListener("abort", resolve, { once: true }));
        if (socket !== undefined) await Promise.race([closed, aborted]);
        socket?.destroy();
        await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 200));
      }
    };
    await Promise.all(Array.from({ length: count }, (_, k) => hold(k)));
  };
};

/** Again and again, until the relay takes no more connections of the peer. */
async function untilRefused({ signal }: Target, attempt: () => Promise<void>): Promise<void> {
  const lasted = async () => {
    const startedMs = Date.now();
    return attempt().then(
      () => Date.now() - startedMs > 50,
      () => false,
    );
  };
  for (let failures = 0; failures < 3 && !signal.aborted;) failures = (await lasted()) ? 0 : failures + 1;
}

/** Frames below the multiplexer, again after each connection that the relay ends. */
const frames = (next: () => Uint8Array): Attack["run"] => {
  return async (target) => {
    const dial = await createRawPeer(target);
    await untilRefused(target, async () => keepSending(await dial(), target.signal, next));
  };
};

/** A stream of a protocol on which bytes of any kind are sent. */
async function openOn(connection: Connection, protocol: string): Promise<Stream> {
  const stream = await connection.newStream(protocol, { signal: AbortSignal.timeout(5000) });
  stream.addEventListener("message", () => undefined);
  return stream;
}

const gossip = (next: () => Uint8Array): Attack["run"] => {
  return async (target) => {
    const peer = await createPeer(target);
    await untilRefused(target, async () => {
      const stream = await openOn(await peer.dial(), RELAY_PROTOCOL);
      await keepSending(stream, target.signal, next);
    });
  };
};

/** Requests of a protocol, sixteen at a time, one stream each. */
const requests = (protocol: string, request: () => Uint8Array): Attack["run"] => {
  return async (target) => {
    const peer = await createPeer(target);
    await untilRefused(target, async () => {
      const connection = await peer.dial();
      const ask = async () => {
        while (!target.signal.aborted && connection.status === "open")
          (await openOn(connection, protocol)).send(varintFramed(request()));
      };
      await Promise.all(Array.from({ length: 16 }, ask));
    });
  };
};

/** The same message under another time, so that the relay network takes it for a new one. */
function again(data: Uint8Array): Message {
  const message = proto_message.WakuMessage.decode(data);
  return { topic: PUBSUB_TOPIC, data: proto_message.WakuMessage.encode({ ...message, timestamp: (counter += 1n) }) };
}

/** A message whose sender is another one than who signed it. */
function forgedMessage(): Message {
  const mallory = createIdentity(randomBytes(32));
  const alice = createIdentity(new Uint8Array(32).fill(1));
  const forged = { ...mallory, compressedPublicKey: alice.compressedPublicKey };
  const sealed = sealEnvelope(
    { kind: "presence", job: null, body: { multiaddrs: [], role: "forged" } },
    { identity: forged, contentTopic: contentTopicOf("peers"), seq: Date.now(), random: (n) => randomBytes(n) },
  );
  return wakuMessage(sealed, (counter += 1n));
}

export const attacks: Readonly<Record<string, Attack>> = {
  ...listenerAttacks,
  "plain garbage": { outcome: "refused", run: sockets(60, () => randomBytes(4096)) },
  "three thousand half-open sockets": { outcome: "refused", run: sockets(3000, () => undefined) },
  "half handshakes": { outcome: "refused", run: sockets(200, () => varintFramed(text.encode("/multistream/1.0.0\n"))) },
  "noise garbage": {
    outcome: "refused",
    run: sockets(60, () =>
      concatBytes(
        varintFramed(text.encode("/multistream/1.0.0\n")),
        varintFramed(text.encode("/noise\n")),
        Uint8Array.of(1, 0),
        randomBytes(256),
      ),
    ),
  },
  "a multiplexer frame of 4 GiB": {
    outcome: "banned",
    run: frames(() => concatBytes(yamuxHeader(0, 1, 1, 0xffffffff), new Uint8Array(65_536))),
  },
  pings: { outcome: "banned", run: frames(() => many(2000, (i) => yamuxHeader(2, 1, 0, i))) },
  "window updates": { outcome: "banned", run: frames(() => many(5000, () => yamuxHeader(1, 0, 7, 1))) },
  "streams opened and reset": {
    outcome: "banned",
    run: frames(() => many(500, (i) => concatBytes(yamuxHeader(1, 1, 2 * i + 1, 0), yamuxHeader(1, 8, 2 * i + 1, 0)))),
  },
  "more than the window": {
    outcome: "banned",
    run: frames(() => concatBytes(yamuxHeader(0, 1, 1, 300_000), new Uint8Array(300_000))),
  },
  "streams that negotiate nothing": {
    outcome: "banned",
    run: async (target) => {
      const dial = await createRawPeer(target);
      await untilRefused(target, async () => {
        const connection = await dial();
        connection.send(many(200, (i) => yamuxHeader(1, 1, 2 * i + 1, 0)));
        await untilEnded(connection, target.signal);
      });
    },
  },
  "gossip that is no protobuf": { outcome: "banned", run: gossip(() => varintFramed(randomBytes(100))) },
  "gossip frames of 1 GiB": { outcome: "banned", run: gossip(() => concatBytes(varint(2 ** 30), randomBytes(8192))) },
  "100,000 topics": {
    outcome: "banned",
    run: gossip(() => {
      const subscriptions = Array.from({ length: 250 }, (_, i) => ({ subscribe: true, topic: `topic ${i}` }));
      return varintFramed(RPC.encode({ subscriptions, messages: [] }));
    }),
  },
  "announcements of messages that do not exist": {
    outcome: "banned",
    run: gossip(() => {
      const messageIDs = Array.from({ length: 5000 }, () => randomBytes(32));
      const control = {
        ihave: [{ topicID: PUBSUB_TOPIC, messageIDs }],
        iwant: [],
        graft: [],
        prune: [],
        idontwant: [],
      };
      return varintFramed(RPC.encode({ subscriptions: [], messages: [], control }));
    }),
  },
  "Waku messages that are none": {
    outcome: "banned",
    run: gossip(() => rpcOf([{ topic: PUBSUB_TOPIC, data: randomBytes(200) }])),
  },
  "Waku messages that are too large": {
    outcome: "banned",
    run: gossip(() => rpcOf([{ topic: PUBSUB_TOPIC, data: randomBytes(200_000) }])),
  },
  "a flood of valid messages": {
    outcome: "banned",
    run: gossip(() => rpcOf(Array.from({ length: 2000 }, () => fresh(64)))),
  },
  "one message again and again": {
    outcome: "banned",
    run: gossip(() => rpcOf(Array.from({ length: 2000 }, () => wakuMessage(text.encode("again"), 1n)))),
  },
  "large messages to peers that do not read": {
    outcome: "banned",
    run: async (target) => {
      await Promise.all([1, 2, 3, 4].map((k) => joinMesh(target, k, (inbound) => inbound.pause())));
      const flood = gossip(() => rpcOf(Array.from({ length: 32 }, () => fresh(60_000))));
      await flood(target);
    },
  },
  "store queries without end": { outcome: "banned", run: requests(STORE_PROTOCOL, () => randomBytes(50)) },
  "filter subscriptions without end": {
    outcome: "banned",
    run: requests(FILTER_SUBSCRIBE_PROTOCOL, () => randomBytes(50)),
  },
  "pushes of nothing": { outcome: "banned", run: requests(LIGHT_PUSH_PROTOCOL, () => randomBytes(50)) },
  "circuits without end": {
    outcome: "contained",
    run: requests("/libp2p/circuit/relay/0.2.0/hop", () => Uint8Array.of(8, 0)),
  },
  "offers of WebRTC that are none": {
    outcome: "contained",
    run: requests("/webrtc-signaling/0.0.1", () => randomBytes(2000)),
  },
  "messages of others again": { outcome: "contained", run: (target) => replay(target) },
  "forged senders": {
    outcome: "contained",
    run: async (target) => {
      const stream = await openOn(await (await createPeer(target)).dial(), RELAY_PROTOCOL);
      const paced = async () => {
        while (!target.signal.aborted && stream.status === "open") {
          stream.send(rpcOf([forgedMessage()]));
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      await paced();
    },
  },
};

/** Joins the mesh. `read` gets the relay's stream to the peer. @returns the peer's own stream */
async function joinMesh(target: Target, k: number, read: (stream: Stream) => void): Promise<Stream> {
  const peer = await createPeer(target, k);
  await peer.node.handle(RELAY_PROTOCOL, read);
  const stream = await openOn(await peer.dial(), RELAY_PROTOCOL);
  const control = { ihave: [], iwant: [], graft: [{ topicID: PUBSUB_TOPIC }], prune: [], idontwant: [] };
  stream.send(varintFramed(RPC.encode({ subscriptions: [{ subscribe: true, topic: PUBSUB_TOPIC }], messages: [] })));
  stream.send(varintFramed(RPC.encode({ subscriptions: [], messages: [], control })));
  return stream;
}

/** Says again what it hears: of each topic the latest messages, since a relay opens only those of its own topics. */
async function replay(target: Target): Promise<void> {
  const heard = new Map<string, Uint8Array[]>();
  const listen = async (stream: Stream) => {
    const frames = lpStream(stream);
    for (;;)
      for (const { data } of RPC.decode(await frames.read()).messages) {
        if (data === undefined) continue;
        const { contentTopic } = proto_message.WakuMessage.decode(data);
        heard.set(contentTopic, [...(heard.get(contentTopic) ?? []).slice(-9), data]);
      }
  };
  const stream = await joinMesh(target, 0, (inbound) => void listen(inbound).catch(() => undefined));
  while (!target.signal.aborted && stream.status === "open") {
    for (const data of [...heard.values()].flat()) stream.send(rpcOf([again(data)]));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
