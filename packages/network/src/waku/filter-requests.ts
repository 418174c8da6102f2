import type { PeerId } from "@libp2p/interface";
import { proto_filter_v2 } from "@waku/proto";
import { NetworkError } from "../errors.ts";
import { Status } from "./protocols.ts";

const { FilterSubscribeRequest, FilterSubscribeResponse } = proto_filter_v2;
const { FilterSubscribeType } = FilterSubscribeRequest;
type Request = proto_filter_v2.FilterSubscribeRequest;

/** Content topics of one request, and characters of one. */
const MAX_TOPICS = 100;
const MAX_TOPIC_LENGTH = 256;

/** Who gets which content topics. */
export interface FilterSubscribers {
  /** @throws NetworkError `Refused` when a limit is reached */
  subscribe(from: PeerId, topics: readonly string[]): void;
  /** @returns whether the peer had a subscription */
  unsubscribe(from: PeerId, topics: readonly string[]): boolean;
  unsubscribeAll(from: PeerId): boolean;
  /** Refreshes. @returns whether the peer has a subscription */
  ping(from: PeerId): boolean;
}

type Answer = readonly [statusCode: number, statusDesc: string];

const OK: Answer = [Status.ok, "OK"];
const NONE: Answer = [Status.notFound, "peer has no subscriptions"];
const TOO_MANY: Answer = [Status.tooManyRequests, "too many requests: ask again later"];
const wrong = (reason: string): Answer => [Status.badRequest, reason];

/**
 * Answers requests of 12/WAKU2-FILTER, version 2.
 * @param pubsubTopic the only one that is served
 */
export function createFilterAnswers(pubsubTopic: string, subscribers: FilterSubscribers) {
  const subscribe = ({ contentTopics }: Request, from: PeerId): Answer => {
    try {
      subscribers.subscribe(from, contentTopics);
      return OK;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      return [Status.unavailable, error.message];
    }
  };
  const answer = (request: Request, from: PeerId): Answer => {
    switch (request.filterSubscribeType) {
      case FilterSubscribeType.SUBSCRIBE:
        return topicsError(request, pubsubTopic) ?? subscribe(request, from);
      case FilterSubscribeType.UNSUBSCRIBE:
        return topicsError(request, pubsubTopic) ?? (subscribers.unsubscribe(from, request.contentTopics) ? OK : NONE);
      case FilterSubscribeType.UNSUBSCRIBE_ALL:
        return subscribers.unsubscribeAll(from) ? OK : NONE;
      case FilterSubscribeType.SUBSCRIBER_PING:
        return subscribers.ping(from) ? OK : NONE;
      default:
        return wrong("unknown filter_subscribe_type");
    }
  };
  return (bytes: Uint8Array, from: PeerId, limited: boolean): Uint8Array => {
    const encode = (requestId: string, [statusCode, statusDesc]: Answer) =>
      FilterSubscribeResponse.encode({ requestId, statusCode, statusDesc });
    let request;
    try {
      request = FilterSubscribeRequest.decode(bytes);
    } catch {
      return encode("", wrong("not a filter request"));
    }
    return encode(request.requestId, limited ? TOO_MANY : answer(request, from));
  };
}

function topicsError(request: Request, pubsubTopic: string): Answer | undefined {
  const { contentTopics } = request;
  if (!request.pubsubTopic || contentTopics.length === 0) return wrong("pubsub_topic and content_topics are needed");
  if (request.pubsubTopic !== pubsubTopic) return wrong(`this node serves ${pubsubTopic} only`);
  if (contentTopics.length > MAX_TOPICS) return wrong(`at most ${MAX_TOPICS} content topics in a request`);
  if (contentTopics.some(({ length }) => length === 0 || length > MAX_TOPIC_LENGTH))
    return wrong(`a content topic has 1 to ${MAX_TOPIC_LENGTH} characters`);
  return undefined;
}
