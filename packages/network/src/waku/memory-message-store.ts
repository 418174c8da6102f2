import { toHex } from "@skynet/protocol";
import { NetworkError } from "../errors.ts";
import {
  compareMessages,
  pageOf,
  type HistoryQuery,
  type MessageStore,
  type StoredMessage,
  type StoreLimits,
} from "./message-store.ts";

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What a store in memory keeps: two hours, 64 MiB. */
const LIMITS: StoreLimits = { maxAgeMs: DAY_MS / 12, maxBytes: 64 * MIB, maxMessages: 100_000 };

/** A history that ends with the process. */
export function createMemoryMessageStore(
  options: { clock?: () => number; limits?: Partial<StoreLimits> } = {},
): MessageStore {
  const { clock = Date.now } = options;
  const limits = { ...LIMITS, ...options.limits };
  const sorted: StoredMessage[] = []; // in the order of compareMessages
  const byHash = new Map<string, StoredMessage>();
  let bytes = 0;

  const prune = () => {
    const oldest = BigInt(clock() - limits.maxAgeMs) * 1_000_000n;
    let count = 0;
    for (const message of sorted) {
      const over = sorted.length - count > limits.maxMessages || bytes > limits.maxBytes;
      if (!over && message.timestamp >= oldest) break;
      bytes -= message.bytes.length;
      byHash.delete(toHex(message.hash));
      count += 1;
    }
    sorted.splice(0, count);
  };
  const candidates = ({ hashes }: HistoryQuery): StoredMessage[] =>
    hashes.length === 0
      ? sorted
      : [...new Set(hashes.flatMap((hash) => byHash.get(toHex(hash)) ?? []))].toSorted(compareMessages);
  return {
    prune,
    add(message) {
      const key = toHex(message.hash);
      if (byHash.has(key)) return;
      byHash.set(key, message);
      // Messages arrive nearly in order, so the place is near the end.
      let place = sorted.length;
      while (place > 0 && compareMessages(sorted[place - 1]!, message) > 0) place -= 1;
      sorted.splice(place, 0, message);
      bytes += message.bytes.length;
      prune();
    },
    async query(query) {
      prune();
      const { cursor, forward } = query;
      const from = cursor && byHash.get(toHex(cursor));
      if (cursor !== undefined && from === undefined)
        throw new NetworkError("NotFound", "the cursor is not a message of this store");
      const matching = candidates(query).filter((message) => matches(message, query));
      const inOrder = forward ? matching : matching.toReversed();
      const sign = forward ? 1 : -1;
      return pageOf(from ? inOrder.filter((message) => sign * compareMessages(message, from) > 0) : inOrder, query);
    },
    size: () => ({ messages: sorted.length, bytes }),
    close: () => undefined,
  };
}

function matches(message: StoredMessage, query: HistoryQuery): boolean {
  const { pubsubTopic, contentTopics, timeStart, timeEnd } = query;
  return (
    (pubsubTopic === undefined || message.pubsubTopic === pubsubTopic) &&
    (contentTopics.length === 0 || contentTopics.includes(message.contentTopic)) &&
    (timeStart === undefined || message.timestamp >= timeStart) &&
    (timeEnd === undefined || message.timestamp < timeEnd)
  );
}
