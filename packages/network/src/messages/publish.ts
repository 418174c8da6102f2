import { NetworkError } from "../errors.ts";
import { systemRandom, type RandomBytes } from "../identity/group-key.ts";
import type { Identity } from "../identity/identity.ts";
import type { Host } from "../host/types.ts";
import { sealEnvelope } from "./envelope.ts";
import { contentTopicOf, encodeWakuMessage } from "./waku-message.ts";

interface PublisherOptions {
  readonly identity: Identity;
  readonly clock: () => number;
  readonly randomBytes?: RandomBytes | undefined;
  readonly signal: AbortSignal;
  /** Relays a Waku message. @returns to how many neighbours it was sent */
  readonly send: (bytes: Uint8Array) => Promise<number>;
}

/** @returns what signs, encrypts and relays messages, each with a higher number than the one before */
export function createPublisher(options: PublisherOptions): Host["publish"] {
  const { identity, clock, randomBytes: random = systemRandom, signal, send } = options;
  // Starts at the clock, so that numbers grow across restarts.
  let seq = clock();
  let lastNs = 0n;
  return async (topicName, message, { groupKey, ephemeral = true } = {}) => {
    if (signal.aborted) throw new NetworkError("Stopped", "the node was stopped");
    const contentTopic = contentTopicOf(topicName);
    seq += 1;
    const payload = sealEnvelope(message, { identity, contentTopic, seq, groupKey, random });
    // Each a nanosecond later than the one before, so that histories keep the order.
    const nowNs = BigInt(clock()) * 1_000_000n;
    const timestamp = nowNs > lastNs ? nowNs : lastNs + 1n;
    lastNs = timestamp;
    return { recipients: await send(encodeWakuMessage({ payload, contentTopic, timestamp, ephemeral })) };
  };
}
