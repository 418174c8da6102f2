import { proto_message, proto_store } from "@waku/proto";
import { NetworkError } from "../errors.ts";
import type { HistoryQuery, MessageStore } from "./message-store.ts";
import { Status, STORE_PROTOCOL } from "./protocols.ts";
import { serveRpc, type ServiceContext } from "./rpc.ts";
import type { Rate } from "../timing/token-bucket.ts";

const { StoreQueryRequest, StoreQueryResponse } = proto_store;

/** Most messages of a page, and how many a request gets that does not say. */
const MAX_PAGE = 100;
const DEFAULT_PAGE = 20;
/** Pages stay below what clients read (js-waku: 4 MiB). */
const MAX_PAGE_BYTES = 1024 * 1024;
/** Criteria of one request. */
const MAX_CONTENT_TOPICS = 100;
const MAX_HASHES = 1000;
const HASH_BYTES = 32;

const refused = (requestId: string, statusCode: number, statusDesc: string): Uint8Array =>
  StoreQueryResponse.encode({ requestId, statusCode, statusDesc, messages: [] });

/** The query of a request (13/WAKU2-STORE). @throws NetworkError `Malformed` with what is wrong */
function parseQuery(request: proto_store.StoreQueryRequest): HistoryQuery {
  const { pubsubTopic, contentTopics, timeStart, timeEnd, messageHashes, paginationCursor } = request;
  const wrong = (message: string) => new NetworkError("Malformed", message);
  const filtered = Boolean(pubsubTopic) || contentTopics.length > 0 || timeStart !== undefined || timeEnd !== undefined;
  if (messageHashes.length > 0 && filtered) throw wrong("message_hashes and content filters exclude each other");
  if (Boolean(pubsubTopic) !== contentTopics.length > 0)
    throw wrong("pubsub_topic and content_topics are set together, or neither");
  if (contentTopics.length > MAX_CONTENT_TOPICS) throw wrong(`at most ${MAX_CONTENT_TOPICS} content topics`);
  if (messageHashes.length > MAX_HASHES) throw wrong(`at most ${MAX_HASHES} message hashes`);
  const cursor = paginationCursor?.length ? paginationCursor : undefined;
  if ([...messageHashes, ...(cursor ? [cursor] : [])].some(({ length }) => length !== HASH_BYTES))
    throw wrong(`a message hash has ${HASH_BYTES} bytes`);
  if (timeStart !== undefined && timeEnd !== undefined && timeStart > timeEnd)
    throw wrong("time_start is after time_end");
  const asked = Number(request.paginationLimit ?? 0n);
  return {
    pubsubTopic: pubsubTopic || undefined,
    contentTopics,
    timeStart,
    timeEnd,
    hashes: messageHashes,
    cursor,
    forward: request.paginationForward,
    limit: asked === 0 ? DEFAULT_PAGE : Math.min(asked, MAX_PAGE),
    maxBytes: MAX_PAGE_BYTES,
  };
}

/** Answers one request; the requests that are not one get no id back. */
export async function answerStoreQuery(store: MessageStore, bytes: Uint8Array, limited: boolean): Promise<Uint8Array> {
  let request;
  try {
    request = StoreQueryRequest.decode(bytes);
  } catch {
    return refused("", Status.badRequest, "not a store query");
  }
  const { requestId, includeData } = request;
  if (limited) return refused(requestId, Status.tooManyRequests, "too many requests: ask again later");
  try {
    const { messages, cursor } = await store.query(parseQuery(request));
    return StoreQueryResponse.encode({
      requestId,
      statusCode: Status.ok,
      statusDesc: "OK",
      messages: messages.map(({ hash, pubsubTopic, bytes: message }) => ({
        messageHash: hash,
        ...(includeData ? { message: proto_message.WakuMessage.decode(message), pubsubTopic } : {}),
      })),
      ...(cursor ? { paginationCursor: cursor } : {}),
    });
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    return refused(requestId, Status.badRequest, error.message);
  }
}

/** Serves the history (13/WAKU2-STORE, version 3). */
export function serveStore(context: ServiceContext, store: MessageStore, rate: Rate): Promise<void> {
  const options = { protocol: STORE_PROTOCOL, maxRequestBytes: 64 * 1024, rate };
  return serveRpc(context, options, (request, _from, limited) => answerStoreQuery(store, request, limited));
}
