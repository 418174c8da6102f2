/** A relayed message with the key that Waku gives it. */
export interface StoredMessage {
  /** 32 bytes: Waku's deterministic hash. */
  readonly hash: Uint8Array;
  readonly pubsubTopic: string;
  readonly contentTopic: string;
  /** When its sender says that it was sent, nanoseconds since the epoch. */
  readonly timestamp: bigint;
  /** The serialised Waku message. */
  readonly bytes: Uint8Array;
}

/** Which messages, and which part of them (13/WAKU2-STORE). */
export interface HistoryQuery {
  /** Only this pubsub topic; given together with content topics. */
  readonly pubsubTopic?: string | undefined;
  /** Only these content topics; all messages when empty. */
  readonly contentTopics: readonly string[];
  /** Nanoseconds since the epoch, inclusive. */
  readonly timeStart?: bigint | undefined;
  /** Nanoseconds since the epoch, exclusive. */
  readonly timeEnd?: bigint | undefined;
  /** Only these messages; all when empty. */
  readonly hashes: readonly Uint8Array[];
  /** Hash of the message to go on from, not included. */
  readonly cursor?: Uint8Array | undefined;
  /** Forward: the oldest first. Backward: the page before the cursor, or the newest. */
  readonly forward: boolean;
  /** Most messages of the page. */
  readonly limit: number;
  /** Most bytes of the page's messages; the first message is given even if it is larger. */
  readonly maxBytes: number;
}

export interface HistoryPage {
  /** Oldest first in both directions. */
  readonly messages: readonly StoredMessage[];
  /** Where the next page begins; undefined on the last page. */
  readonly cursor: Uint8Array | undefined;
}

/** What a store keeps. The oldest messages make room. */
export interface StoreLimits {
  /** Milliseconds. */
  readonly maxAgeMs: number;
  /** Bytes of all serialised messages. */
  readonly maxBytes: number;
  readonly maxMessages: number;
}

/** Keeps relayed messages. They are ordered by timestamp, then by hash. */
export interface MessageStore {
  /** Keeps a message; one that is there already is ignored. */
  add(message: StoredMessage): void;
  /** @throws NetworkError `NotFound` when the cursor is not a message of the store */
  query(query: HistoryQuery): Promise<HistoryPage>;
  size(): { messages: number; bytes: number };
  /** Removes what exceeds the limits now. */
  prune(): void;
  close(): void;
}

/** Order of the messages of a store. */
export function compareMessages(one: StoredMessage, other: StoredMessage): number {
  if (one.timestamp !== other.timestamp) return one.timestamp < other.timestamp ? -1 : 1;
  for (let i = 0; i < one.hash.length; i++) {
    if (one.hash[i] !== other.hash[i]) return one.hash[i]! - other.hash[i]!;
  }
  return 0;
}

/**
 * Cuts a page out of messages in the order of the query's direction.
 * @param messages what follows the cursor, at least one more than the limit if there are as many
 */
export function pageOf(messages: Iterable<StoredMessage>, { forward, limit, maxBytes }: HistoryQuery): HistoryPage {
  const page: StoredMessage[] = [];
  let bytes = 0;
  let more = false;
  for (const message of messages) {
    bytes += message.bytes.length;
    more = page.length === limit || (page.length > 0 && bytes > maxBytes);
    if (more) break;
    page.push(message);
  }
  const cursor = more ? page.at(-1)?.hash : undefined;
  return { messages: forward ? page : page.toReversed(), cursor };
}
