import { concatBytes } from "@skynet/protocol";
import { proto_message } from "@waku/proto";
import { sha256Now } from "#platform";
import { NetworkError } from "../errors.ts";

/** Cluster of SkyNet in Waku's numbering; 0 to 1023 are reserved (51/WAKU2-RELAY-SHARDING). */
export const CLUSTER_ID = 1729;

/** Most bytes that a serialised Waku message may have: 64 KiB. What is larger travels over a stream. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

const CONTENT_TOPIC = /^\/skynet\/1\/([a-z0-9][a-z0-9-]{0,95})\/cbor$/;
const text = new TextEncoder();

/** Longest content topic that is relayed, of any application. */
const MAX_CONTENT_TOPIC = 256;

/** The fields of a Waku message that SkyNet uses (14/WAKU2-MESSAGE). */
export interface WakuMessage {
  readonly payload: Uint8Array;
  readonly contentTopic: string;
  /** Nanoseconds since the epoch, 0 if the message has none; unsigned, so only a hint. */
  readonly timestamp: bigint;
  readonly ephemeral: boolean;
}

/** Pubsub topic of a shard with static sharding (51/WAKU2-RELAY-SHARDING). */
export function pubsubTopicOf(clusterId: number, shard: number): string {
  return `/waku/2/rs/${clusterId}/${shard}`;
}

/** `/skynet/1/<name>/cbor`. @throws NetworkError `BadOption` unless the name is lower-case letters, digits, hyphens */
export function contentTopicOf(name: string): string {
  const topic = `/skynet/1/${name}/cbor`;
  if (!CONTENT_TOPIC.test(topic))
    throw new NetworkError("BadOption", `not a topic name: ${JSON.stringify(name.slice(0, 100))}`, {
      hint: "use up to 96 lower-case letters, digits and hyphens",
    });
  return topic;
}

/** Whether a content topic is one of SkyNet's; what comes under another name is relayed and not read. */
export const isOurTopic = (contentTopic: string): boolean => CONTENT_TOPIC.test(contentTopic);

/** @throws NetworkError `TooLarge` above 64 KiB */
export function encodeWakuMessage(message: WakuMessage): Uint8Array {
  const bytes = proto_message.WakuMessage.encode({ ...message, version: 0 });
  if (bytes.length > MAX_MESSAGE_BYTES)
    throw new NetworkError(
      "TooLarge",
      `the message has ${bytes.length} bytes, at most ${MAX_MESSAGE_BYTES} are relayed`,
      {
        hint: "publish the content's hash and send the content over a stream",
      },
    );
  return bytes;
}

/** A message of any application. @throws NetworkError `TooLarge`, or `Malformed` for what is not a Waku message */
export function decodeWakuMessage(bytes: Uint8Array): WakuMessage {
  if (bytes.length > MAX_MESSAGE_BYTES)
    throw new NetworkError("TooLarge", `a relayed message of ${bytes.length} bytes`);
  let decoded;
  try {
    decoded = proto_message.WakuMessage.decode(bytes);
  } catch (cause) {
    throw new NetworkError("Malformed", "not a Waku message", { cause });
  }
  const { payload, contentTopic, timestamp = 0n, ephemeral = false } = decoded;
  if (payload.length === 0) throw new NetworkError("Malformed", "a message without payload");
  if (contentTopic.length === 0 || contentTopic.length > MAX_CONTENT_TOPIC)
    throw new NetworkError("Malformed", `a content topic has 1 to ${MAX_CONTENT_TOPIC} characters`);
  return { payload, contentTopic, timestamp, ephemeral };
}

/**
 * Waku's deterministic message hash (14/WAKU2-MESSAGE): sha256(pubsub topic, payload, content topic, meta, timestamp).
 * Never throws: bytes that are not a Waku message get the hash of the bytes.
 */
export function wakuMessageHash(pubsubTopic: string, bytes: Uint8Array): Uint8Array {
  let decoded;
  try {
    decoded = proto_message.WakuMessage.decode(bytes);
  } catch {
    return sha256Now(bytes);
  }
  const { payload, contentTopic, meta = new Uint8Array(), timestamp } = decoded;
  const time = new Uint8Array(timestamp === undefined ? 0 : 8);
  if (timestamp !== undefined) new DataView(time.buffer).setBigInt64(0, timestamp);
  return sha256Now(concatBytes(text.encode(pubsubTopic), payload, text.encode(contentTopic), meta, time));
}
