import type { PeerId } from "@libp2p/interface";
import { proto_message, proto_store } from "@waku/proto";
import type { BaseNode } from "../host/libp2p-node.ts";
import { NetworkError } from "../errors.ts";
import { STORE_PROTOCOL, Status, succeeded } from "./protocols.ts";
import { callRpc } from "./rpc.ts";
import { delay } from "../timing/delay.ts";

const { StoreQueryRequest, StoreQueryResponse } = proto_store;

const TIMEOUT_MS = 15_000;
/** Largest page that is read; our relays send 1 MiB, others perhaps a hundred messages of 150 KB. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
const PAGE = 100n;
/** Wait before a request is repeated that came too early, and how often. */
const BUSY_MS = 500;
const MAX_BUSY = 20;

export interface StoreQueryOptions {
  readonly pubsubTopic: string;
  readonly contentTopics: readonly string[];
  /** Nanoseconds since the epoch, inclusive. */
  readonly timeStart?: bigint | undefined;
  /** Nanoseconds since the epoch, exclusive. */
  readonly timeEnd?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A message of a relay's history: its serialised form and when its sender says that it was sent. */
export interface HistoricMessage {
  readonly bytes: Uint8Array;
  /** Nanoseconds since the epoch. */
  readonly timestamp: bigint;
}

/**
 * The stored messages of content topics, oldest first, page by page from one relay (13/WAKU2-STORE, version 3).
 * @throws NetworkError `Unreachable`, `Stalled`, `Refused`, `Malformed`
 */
export async function* queryStore(
  node: BaseNode,
  relay: PeerId,
  options: StoreQueryOptions,
): AsyncGenerator<HistoricMessage> {
  let cursor: Uint8Array | undefined;
  do {
    const page = await askPage(node, relay, options, cursor);
    for (const { message } of page.messages) {
      if (message === undefined) throw new NetworkError("Malformed", "the relay sent a message without its content");
      yield { bytes: proto_message.WakuMessage.encode(message), timestamp: message.timestamp ?? 0n };
    }
    // A relay that gives the same cursor again would keep us for ever.
    if (cursor !== undefined && page.messages.length === 0) return;
    cursor = page.paginationCursor?.length ? page.paginationCursor : undefined;
  } while (cursor !== undefined);
}

async function askPage(
  node: BaseNode,
  relay: PeerId,
  { pubsubTopic, contentTopics, timeStart, timeEnd, signal }: StoreQueryOptions,
  cursor: Uint8Array | undefined,
) {
  const requestId = crypto.randomUUID();
  const request = StoreQueryRequest.encode({
    requestId,
    includeData: true,
    pubsubTopic,
    contentTopics: [...contentTopics],
    ...(timeStart === undefined ? {} : { timeStart }),
    ...(timeEnd === undefined ? {} : { timeEnd }),
    ...(cursor === undefined ? {} : { paginationCursor: cursor }),
    paginationForward: true,
    paginationLimit: PAGE,
  });
  const options = { protocol: STORE_PROTOCOL, maxAnswerBytes: MAX_PAGE_BYTES, timeoutMs: TIMEOUT_MS, signal };
  for (let busy = 0; ; busy++) {
    const bytes = await callRpc(node, relay, request, options);
    let answer;
    try {
      answer = StoreQueryResponse.decode(bytes);
    } catch (cause) {
      throw new NetworkError("Malformed", "the relay's answer is not a page of history", { cause });
    }
    if (succeeded(answer.statusCode)) return answer;
    if (answer.statusCode !== Status.tooManyRequests || busy === MAX_BUSY)
      throw new NetworkError("Refused", `the relay gives no history: ${answer.statusDesc ?? answer.statusCode}`);
    await delay(BUSY_MS, signal);
  }
}
