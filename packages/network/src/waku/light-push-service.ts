import { proto_lightpush, proto_message } from "@waku/proto";
import { NetworkError } from "../errors.ts";
import { decodeWakuMessage } from "../messages/waku-message.ts";
import { LIGHT_PUSH_PROTOCOL, LIGHT_PUSH_V2_PROTOCOL, Status } from "./protocols.ts";
import { serveRpc, type ServiceContext } from "./rpc.ts";
import type { Rate } from "../timing/token-bucket.ts";

const { LightPushRequestV3, LightPushResponseV3, PushRpc } = proto_lightpush;

/** Larger requests are not read; below, a message that is too large gets its own answer. */
const MAX_REQUEST_BYTES = 256 * 1024;

/** Relays a message for a light node. */
export type Relay = (bytes: Uint8Array) => Promise<{
  /** Neighbours and subscribers that it was sent to. */
  readonly peers: number;
  /** Whether the history has it, so that it is not lost when nobody is there. */
  readonly kept: boolean;
}>;

interface LightPushOptions {
  readonly pubsubTopic: string;
  /** Pushes of one peer, for each version. */
  readonly rate: Rate;
  readonly relay: Relay;
}

interface Outcome {
  readonly code: number;
  readonly description: string;
  readonly peers?: number;
}

/** Serves 19/WAKU2-LIGHTPUSH, versions 3 and 2. */
export async function serveLightPush(context: ServiceContext, options: LightPushOptions): Promise<void> {
  const rpc = { maxRequestBytes: MAX_REQUEST_BYTES, rate: options.rate };
  await serveRpc(context, { ...rpc, protocol: LIGHT_PUSH_PROTOCOL }, async (bytes, _from, limited) => {
    const request = decodeOr(() => LightPushRequestV3.decode(bytes));
    const { code, description, peers } = request
      ? await push(options, request.pubsubTopic, request.message, limited)
      : NOT_A_REQUEST;
    return LightPushResponseV3.encode({
      requestId: request?.requestId ?? "",
      statusCode: code,
      statusDesc: description,
      ...(peers === undefined ? {} : { relayPeerCount: peers }),
    });
  });
  await serveRpc(context, { ...rpc, protocol: LIGHT_PUSH_V2_PROTOCOL }, async (bytes, _from, limited) => {
    const rpcRequest = decodeOr(() => PushRpc.decode(bytes));
    const request = rpcRequest?.request;
    const { code, description } = request
      ? await push(options, request.pubsubTopic, request.message, limited)
      : NOT_A_REQUEST;
    const response = { isSuccess: code === Status.ok, info: description };
    return PushRpc.encode({ requestId: rpcRequest?.requestId ?? "", response });
  });
}

const NOT_A_REQUEST: Outcome = { code: Status.badRequest, description: "not a light push request" };

function decodeOr<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/** @param pubsubTopic without one: the only one that we serve */
async function push(
  options: LightPushOptions,
  pubsubTopic: string | undefined,
  message: proto_message.WakuMessage | undefined,
  limited: boolean,
): Promise<Outcome> {
  if (limited) return { code: Status.tooManyRequests, description: "too many requests: push again later" };
  if (message === undefined) return { code: Status.badRequest, description: "a request without a message" };
  if (pubsubTopic && pubsubTopic !== options.pubsubTopic)
    return { code: Status.unsupportedTopic, description: `this node relays ${options.pubsubTopic} only` };
  const bytes = proto_message.WakuMessage.encode(message);
  try {
    decodeWakuMessage(bytes);
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    const code = error.code === "TooLarge" ? Status.tooLarge : Status.invalidMessage;
    return { code, description: error.message };
  }
  const { peers, kept } = await options.relay(bytes);
  if (peers === 0 && !kept) return { code: Status.noPeers, description: "no peers to relay to" };
  return { code: Status.ok, description: "OK", peers };
}
