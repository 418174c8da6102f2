import type { PeerId, Stream } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { proto_filter_v2, proto_message } from "@waku/proto";
import type { Drops } from "../host/drops.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { reasonOf } from "../errors.ts";
import { MAX_MESSAGE_BYTES } from "../messages/waku-message.ts";
import { FILTER_PUSH_PROTOCOL, FILTER_SUBSCRIBE_PROTOCOL, succeeded } from "./protocols.ts";
import { callRpc } from "./rpc.ts";
import { servicePeers } from "./service-peers.ts";

const { FilterSubscribeRequest, FilterSubscribeResponse, MessagePush } = proto_filter_v2;
const { FilterSubscribeType: Type } = FilterSubscribeRequest;

/** Relays that push to us: when one dies, the other one has lost nothing. */
const RELAYS = 2;
/** Content topics of one request. */
const MAX_TOPICS = 100;
const PING_EVERY_MS = 10_000;
const TIMEOUT_MS = 5000;
/** A relay that failed is not asked again for this time. */
const PENALTY_MS = 15_000;

interface FilterOptions {
  readonly node: BaseNode;
  readonly pubsubTopic: string;
  readonly drops: Drops;
  readonly log: Log;
  readonly clock: () => number;
  readonly signal: AbortSignal;
  /** Whether a message is not one that we had, or sent. */
  readonly isNew: (bytes: Uint8Array) => boolean;
  readonly onMessage: (bytes: Uint8Array) => void;
  /** Called when a relay has begun to push all that is wanted. */
  readonly onReady: () => void;
}

/** Hears the messages of content topics from relays (12/WAKU2-FILTER). */
export interface FilterClient {
  want(contentTopic: string, wanted: boolean): void;
  /** Whether a relay pushes all that is wanted. */
  ready(): boolean;
}

type RequestType = proto_filter_v2.FilterSubscribeRequest.FilterSubscribeType;

/** A relay that pushes to us, and what. */
interface Session {
  readonly relay: PeerId;
  readonly topics: Set<string>;
}

export async function startFilter(options: FilterOptions): Promise<FilterClient> {
  const { node, pubsubTopic, log, clock, signal, onReady } = options;
  const wanted = new Set<string>();
  const sessions = new Map<string, Session>();
  const refusedUntilMs = new Map<string, number>();
  let working = false;
  let again = false;

  const complete = ({ topics }: Session) => wanted.size > 0 && wanted.isSubsetOf(topics);
  const ready = () => sessions.values().some(complete);
  const ask = async (relay: PeerId, filterSubscribeType: RequestType, contentTopics: readonly string[] = []) => {
    const criteria = contentTopics.length > 0 ? { pubsubTopic, contentTopics: [...contentTopics] } : {};
    const request = { requestId: crypto.randomUUID(), filterSubscribeType, ...criteria };
    const call = { protocol: FILTER_SUBSCRIBE_PROTOCOL, maxAnswerBytes: 4096, timeoutMs: TIMEOUT_MS, signal };
    const bytes = await callRpc(node, relay, FilterSubscribeRequest.encode(request), call);
    const { statusCode, statusDesc } = FilterSubscribeResponse.decode(bytes);
    if (!succeeded(statusCode)) throw new Error(`${statusCode} ${statusDesc ?? ""}`);
  };
  /** Brings one relay's subscription to what is wanted. */
  const update = async (session: Session) => {
    const { relay, topics } = session;
    const before = complete(session);
    const missing = [...wanted.difference(topics)];
    const surplus = [...topics.difference(wanted)];
    for (let at = 0; at < missing.length; at += MAX_TOPICS) {
      const part = missing.slice(at, at + MAX_TOPICS);
      await ask(relay, Type.SUBSCRIBE, part);
      for (const topic of part) topics.add(topic);
    }
    for (let at = 0; at < surplus.length; at += MAX_TOPICS) {
      const part = surplus.slice(at, at + MAX_TOPICS);
      for (const topic of part) topics.delete(topic);
      await ask(relay, Type.UNSUBSCRIBE, part);
    }
    if (!before && complete(session)) onReady();
  };
  const fail = (key: string, error: unknown) => {
    sessions.delete(key);
    refusedUntilMs.set(key, clock() + PENALTY_MS);
    if (!signal.aborted) log.debug({ relay: key, error: reasonOf(error) }, "a relay does not push to us");
  };
  const reconcile = async () => {
    const connected = new Map((await servicePeers(node, FILTER_SUBSCRIBE_PROTOCOL)).map((peer) => [`${peer}`, peer]));
    for (const key of sessions.keys()) if (!connected.has(key)) sessions.delete(key);
    for (const [key, untilMs] of refusedUntilMs) if (untilMs <= clock()) refusedUntilMs.delete(key);
    for (const [key, relay] of connected) {
      if (sessions.size >= RELAYS) break;
      if (!sessions.has(key) && !refusedUntilMs.has(key)) sessions.set(key, { relay, topics: new Set() });
    }
    await Promise.all(
      [...sessions].map(([key, session]) => update(session).catch((error: unknown) => fail(key, error))),
    );
  };
  const work = async () => {
    again = true;
    if (working) return;
    working = true;
    while (again && !signal.aborted) {
      again = false;
      await reconcile();
    }
    working = false;
  };
  const ping = async () => {
    await Promise.all(
      [...sessions].map(([key, { relay }]) =>
        ask(relay, Type.SUBSCRIBER_PING).catch((error: unknown) => {
          fail(key, error);
          // A relay that was restarted knows nothing of us, and takes us again.
          refusedUntilMs.delete(key);
        }),
      ),
    );
    await work();
  };
  await servePushes(options, (peer, topic) => sessions.get(peer)?.topics.has(topic) === true && wanted.has(topic));
  const soon = () => void work();
  const timer = setInterval(() => void ping(), PING_EVERY_MS);
  for (const event of ["peer:identify", "peer:update", "peer:disconnect"] as const) node.addEventListener(event, soon);
  const end = () => {
    clearInterval(timer);
    for (const event of ["peer:identify", "peer:update", "peer:disconnect"] as const)
      node.removeEventListener(event, soon);
  };
  signal.addEventListener("abort", end, { once: true });
  return {
    ready,
    want(contentTopic, isWanted) {
      if (isWanted) wanted.add(contentTopic);
      else wanted.delete(contentTopic);
      soon();
    },
  };
}

/** Takes what relays push, once, and only what we asked them for. */
async function servePushes(
  { node, pubsubTopic, drops, isNew, onMessage }: FilterOptions,
  isWanted: (peer: string, contentTopic: string) => boolean,
): Promise<void> {
  const take = (peer: string, frame: Uint8Array) => {
    const push = MessagePush.decode(frame);
    const message = push.wakuMessage;
    if (message === undefined || push.pubsubTopic !== pubsubTopic || !isWanted(peer, message.contentTopic))
      return drops.count("unsolicited");
    const bytes = proto_message.WakuMessage.encode(message);
    if (isNew(bytes)) onMessage(bytes);
  };
  const serve = async (stream: Stream, peer: string) => {
    const frames = lpStream(stream, { maxDataLength: MAX_MESSAGE_BYTES + 1024 });
    try {
      for (;;) take(peer, (await frames.read()).subarray());
    } catch (error) {
      // The end of the stream is an error too.
      if (stream.status === "open" && stream.remoteWriteStatus !== "closed") {
        drops.count("badStream");
        stream.abort(error as Error);
      } else await stream.close().catch(() => undefined);
    }
  };
  await node.handle(FILTER_PUSH_PROTOCOL, (stream, { remotePeer }) => serve(stream, remotePeer.toString()), {
    maxInboundStreams: 16,
  });
}
