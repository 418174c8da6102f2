import type { PeerId } from "@libp2p/interface";
import { proto_filter_v2, type WakuMessage } from "@waku/proto";
import { NetworkError } from "../errors.ts";
import { createPusher, type Pusher } from "./filter-push.ts";
import { createSubscriptions, type SubscriptionLimits } from "./filter-subscriptions.ts";
import { FILTER_SUBSCRIBE_PROTOCOL, Status } from "./protocols.ts";
import { serveRpc, type ServiceContext } from "./rpc.ts";
import type { Rate } from "../timing/token-bucket.ts";

const { FilterSubscribeRequest, FilterSubscribeResponse, MessagePush } = proto_filter_v2;
const { FilterSubscribeType } = FilterSubscribeRequest;

/** Content topics of one request, and characters of one. */
const MAX_TOPICS = 100;
const MAX_TOPIC_LENGTH = 256;

export const FILTER_LIMITS: SubscriptionLimits = { maxPeers: 1000, maxTopicsPerPeer: 200, maxIdleMs: 5 * 60_000 };

/** Pushes messages to light nodes that subscribed to their content topic. */
export interface FilterService {
  /** @returns to how many subscribers it is pushed */
  push(message: WakuMessage): number;
  /** Ends subscriptions that were not refreshed. */
  expire(): void;
  subscribers(): number;
}

interface FilterOptions {
  readonly pubsubTopic: string;
  readonly rate: Rate;
  readonly limits?: Partial<SubscriptionLimits> | undefined;
}

type Answer = readonly [statusCode: number, statusDesc: string];

const OK: Answer = [Status.ok, "OK"];
const NONE: Answer = [Status.notFound, "peer has no subscriptions"];

/** Serves 12/WAKU2-FILTER, version 2. */
export async function serveFilter(context: ServiceContext, options: FilterOptions): Promise<FilterService> {
  const { pubsubTopic, rate } = options;
  const subscriptions = createSubscriptions({ ...FILTER_LIMITS, ...options.limits }, context.clock);
  const pushers = new Map<string, Pusher>();

  const stop = (peer: string) => {
    pushers.get(peer)?.stop();
    pushers.delete(peer);
  };
  const remove = (peer: string): boolean => {
    stop(peer);
    return subscriptions.remove(peer);
  };
  const criteriaError = (request: proto_filter_v2.FilterSubscribeRequest): Answer | undefined => {
    const { contentTopics } = request;
    const wrong = (reason: string): Answer => [Status.badRequest, reason];
    if (!request.pubsubTopic || contentTopics.length === 0) return wrong("pubsub_topic and content_topics are needed");
    if (request.pubsubTopic !== pubsubTopic) return wrong(`this node serves ${pubsubTopic} only`);
    if (contentTopics.length > MAX_TOPICS) return wrong(`at most ${MAX_TOPICS} content topics in a request`);
    if (contentTopics.some(({ length }) => length === 0 || length > MAX_TOPIC_LENGTH))
      return wrong(`a content topic has 1 to ${MAX_TOPIC_LENGTH} characters`);
    return undefined;
  };
  const subscribe = (request: proto_filter_v2.FilterSubscribeRequest, from: PeerId): Answer => {
    const wrong = criteriaError(request);
    if (wrong) return wrong;
    const peer = from.toString();
    try {
      subscriptions.subscribe(peer, request.contentTopics);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return [Status.unavailable, error.message];
    }
    if (!pushers.has(peer))
      pushers.set(
        peer,
        createPusher(context, from, () => remove(peer)),
      );
    return OK;
  };
  const unsubscribe = (request: proto_filter_v2.FilterSubscribeRequest, peer: string): Answer => {
    const wrong = criteriaError(request);
    if (wrong) return wrong;
    if (!subscriptions.unsubscribe(peer, request.contentTopics)) return NONE;
    if (!subscriptions.ping(peer)) stop(peer);
    return OK;
  };
  const answer = (request: proto_filter_v2.FilterSubscribeRequest, from: PeerId): Answer => {
    const peer = from.toString();
    switch (request.filterSubscribeType) {
      case FilterSubscribeType.SUBSCRIBE:
        return subscribe(request, from);
      case FilterSubscribeType.UNSUBSCRIBE:
        return unsubscribe(request, peer);
      case FilterSubscribeType.UNSUBSCRIBE_ALL:
        return remove(peer) ? OK : NONE;
      case FilterSubscribeType.SUBSCRIBER_PING:
        return subscriptions.ping(peer) ? OK : NONE;
      default:
        return [Status.badRequest, "unknown filter_subscribe_type"];
    }
  };
  const rpc = { protocol: FILTER_SUBSCRIBE_PROTOCOL, maxRequestBytes: 32 * 1024, rate };
  await serveRpc(context, rpc, (bytes, from, limited) => answerFilter(bytes, limited, (it) => answer(it, from)));
  return {
    push(message) {
      const peers = subscriptions.matching(message.contentTopic);
      if (peers.length === 0) return 0;
      const frame = MessagePush.encode({ wakuMessage: message, pubsubTopic });
      for (const peer of peers) pushers.get(peer)?.push(frame);
      return peers.length;
    },
    expire: () => subscriptions.expire().forEach(stop),
    subscribers: subscriptions.size,
  };
}

function answerFilter(
  bytes: Uint8Array,
  limited: boolean,
  handle: (request: proto_filter_v2.FilterSubscribeRequest) => Answer,
): Uint8Array {
  const encode = (requestId: string, [statusCode, statusDesc]: Answer) =>
    FilterSubscribeResponse.encode({ requestId, statusCode, statusDesc });
  let request;
  try {
    request = FilterSubscribeRequest.decode(bytes);
  } catch {
    return encode("", [Status.badRequest, "not a filter request"]);
  }
  const tooMany: Answer = [Status.tooManyRequests, "too many requests: ask again later"];
  return encode(request.requestId, limited ? tooMany : handle(request));
}
