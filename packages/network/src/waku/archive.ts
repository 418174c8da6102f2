import { decodeWakuMessage, wakuMessageHash } from "../messages/waku-message.ts";
import type { MessageStore } from "./message-store.ts";

/** How far a sender's clock may be ahead of ours, milliseconds: later messages would stay the newest for long. */
const MAX_AHEAD_MS = 60_000;

/**
 * Keeps a relayed message, if it may be kept: it is not ephemeral, and says when it was sent (13/WAKU2-STORE).
 * @returns whether the store has it
 */
export function archive(store: MessageStore, pubsubTopic: string, bytes: Uint8Array, nowMs: number): boolean {
  const { contentTopic, timestamp, ephemeral } = decodeWakuMessage(bytes);
  if (ephemeral || timestamp <= 0n || timestamp > BigInt(nowMs + MAX_AHEAD_MS) * 1_000_000n) return false;
  store.add({ hash: wakuMessageHash(pubsubTopic, bytes), pubsubTopic, contentTopic, timestamp, bytes });
  return true;
}
