import type { PeerId } from "@libp2p/interface";
import { proto_lightpush, proto_message } from "@waku/proto";
import type { BaseNode } from "../host/libp2p-node.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { delay } from "../timing/delay.ts";
import { LIGHT_PUSH_PROTOCOL, Status, succeeded } from "./protocols.ts";
import { callRpc } from "./rpc.ts";
import { servicePeers } from "./service-peers.ts";

const { LightPushRequestV3, LightPushResponseV3 } = proto_lightpush;

/** js-waku and relays fail silently above about this many at once. */
const MAX_IN_FLIGHT = 64;
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 4096;
/** Wait before a push is repeated that came too early, and how often. */
const BUSY_MS = 500;
const MAX_BUSY = 20;
/** Answers after which another relay would say the same. */
const FINAL: ReadonlySet<number> = new Set([Status.badRequest, Status.tooLarge, Status.invalidMessage]);

interface LightPushOptions {
  readonly node: BaseNode;
  readonly pubsubTopic: string;
  readonly signal: AbortSignal;
}

/**
 * Publishes through a relay, and through the next one when it fails (19/WAKU2-LIGHTPUSH, version 3).
 * @returns function that resolves to how many peers got the message; 0 without a relay
 * @throws NetworkError `Refused` when the relays do not take it
 */
export function createLightPush({ node, pubsubTopic, signal }: LightPushOptions) {
  const waiting: (() => void)[] = [];
  let inFlight = 0;

  const tryRelay = async (relay: PeerId, bytes: Uint8Array): Promise<number> => {
    const message = proto_message.WakuMessage.decode(bytes);
    const request = LightPushRequestV3.encode({ requestId: crypto.randomUUID(), pubsubTopic, message });
    const options = { protocol: LIGHT_PUSH_PROTOCOL, maxAnswerBytes: MAX_ANSWER_BYTES, timeoutMs: TIMEOUT_MS, signal };
    for (let busy = 0; ; busy++) {
      const answer = LightPushResponseV3.decode(await callRpc(node, relay, request, options));
      const { statusCode, statusDesc, relayPeerCount = 0 } = answer;
      if (succeeded(statusCode)) return relayPeerCount;
      if (statusCode === Status.noPeers) return 0;
      const refused = new NetworkError("Refused", `the relay does not take the message: ${statusDesc ?? statusCode}`);
      if (FINAL.has(statusCode)) throw refused;
      if (statusCode !== Status.tooManyRequests || busy === MAX_BUSY)
        throw new NetworkError("Unreachable", refused.message);
      await delay(BUSY_MS, signal);
    }
  };
  const push = async (bytes: Uint8Array): Promise<number> => {
    let failure: unknown;
    for (const relay of await servicePeers(node, LIGHT_PUSH_PROTOCOL)) {
      try {
        const peers = await tryRelay(relay, bytes);
        if (peers > 0) return peers;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof NetworkError && error.code === "Refused") throw error;
        failure = error;
      }
    }
    if (failure !== undefined) throw new NetworkError("Unreachable", `no relay took it: ${reasonOf(failure)}`);
    return 0;
  };
  return async (bytes: Uint8Array): Promise<number> => {
    if (inFlight >= MAX_IN_FLIGHT) await new Promise<void>((resolve) => waiting.push(resolve));
    inFlight += 1;
    try {
      return await push(bytes);
    } finally {
      inFlight -= 1;
      waiting.shift()?.();
    }
  };
}
