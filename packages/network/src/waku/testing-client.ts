// A Waku client that sends what a test wants, for the tests of the services; not part of the package's public face.
import type { PeerId } from "@libp2p/interface";
import { lpStream } from "@libp2p/utils";
import { multiaddr } from "@multiformats/multiaddr";
import { proto_filter_v2, proto_lightpush, proto_store } from "@waku/proto";
import { createDrops } from "../host/drops.ts";
import { createNode, type Node } from "../host/libp2p-node.ts";
import { silent } from "../host/log.ts";
import { tcp } from "../transports/tcp.ts";
import { webSockets } from "../transports/websockets.ts";
import { createTrafficMeter } from "../host/traffic.ts";
import { createGuard } from "../limits/guard.ts";
import { limitsOf } from "../limits/limits.ts";
import { identityOf } from "../testing.ts";
import { FILTER_PUSH_PROTOCOL, FILTER_SUBSCRIBE_PROTOCOL, LIGHT_PUSH_PROTOCOL, STORE_PROTOCOL } from "./protocols.ts";
import { callRpc } from "./rpc.ts";

const { FilterSubscribeRequest, FilterSubscribeResponse, MessagePush } = proto_filter_v2;

export const PUBSUB = "/waku/2/rs/1729/0";
export const TOPIC = "/toy-chat/2/luzhou/proto";
export const { FilterSubscribeType } = FilterSubscribeRequest;

export const wakuMessage = (n: number, options: { bytes?: number; ephemeral?: boolean; topic?: string } = {}) => ({
  payload: new Uint8Array(options.bytes ?? 4).fill(n),
  contentTopic: options.topic ?? TOPIC,
  timestamp: BigInt(Date.now()) * 1_000_000n + BigInt(n),
  ...(options.ephemeral === undefined ? {} : { ephemeral: options.ephemeral }),
});

export interface TestClient {
  readonly node: Node;
  readonly relay: PeerId;
  /** First bytes of the payloads that were pushed to it. */
  readonly got: number[];
  call(protocol: string, request: Uint8Array): Promise<Uint8Array>;
  filter(
    filterSubscribeType: proto_filter_v2.FilterSubscribeRequest.FilterSubscribeType,
    criteria?: { pubsubTopic?: string; contentTopics?: string[] },
  ): Promise<proto_filter_v2.FilterSubscribeResponse>;
  query(request: Partial<proto_store.StoreQueryRequest>): Promise<proto_store.StoreQueryResponse>;
  push(request: Partial<proto_lightpush.LightPushRequestV3>): Promise<proto_lightpush.LightPushResponseV3>;
}

/** Connects to a relay, without being one of its neighbours. */
export async function startClient(
  n: number,
  relayAddress: string,
  listen: readonly string[] = [],
): Promise<TestClient> {
  const drops = createDrops();
  const signal = new AbortController().signal;
  const monotonic = () => performance.now();
  const node = await createNode({
    identity: identityOf(n),
    transports: [tcp(), webSockets()],
    transportContext: { stunServers: () => [], reservations: 0, limits: limitsOf(false), drops },
    listen,
    pubsubTopic: "/waku/2/rs/1/1",
    relayService: false,
    meter: createTrafficMeter(drops),
    guard: createGuard({ limits: limitsOf(false), drops, log: silent, clock: Date.now, monotonic, signal }),
    monotonic,
    signal,
    fault: () => undefined,
  });
  const { remotePeer: relay } = await node.dial(multiaddr(relayAddress));
  const got: number[] = [];
  await node.handle(FILTER_PUSH_PROTOCOL, async (stream) => {
    const frames = lpStream(stream);
    try {
      for (;;) got.push(MessagePush.decode((await frames.read()).subarray()).wakuMessage!.payload[0]!);
    } catch {
      return; // The stream has ended.
    }
  });
  const call = (protocol: string, request: Uint8Array) =>
    callRpc(node, relay, request, { protocol, maxAnswerBytes: 2 ** 23, timeoutMs: 30_000 });
  return {
    node,
    relay,
    got,
    call,
    async filter(filterSubscribeType, { pubsubTopic = PUBSUB, contentTopics = [] } = {}) {
      const request = { requestId: `f${n}`, filterSubscribeType, pubsubTopic, contentTopics };
      return FilterSubscribeResponse.decode(
        await call(FILTER_SUBSCRIBE_PROTOCOL, FilterSubscribeRequest.encode(request)),
      );
    },
    async query(request) {
      const bytes = proto_store.StoreQueryRequest.encode({ requestId: `q${n}`, ...request });
      return proto_store.StoreQueryResponse.decode(await call(STORE_PROTOCOL, bytes));
    },
    async push(request) {
      const bytes = proto_lightpush.LightPushRequestV3.encode({ requestId: `p${n}`, ...request });
      return proto_lightpush.LightPushResponseV3.decode(await call(LIGHT_PUSH_PROTOCOL, bytes));
    },
  };
}
