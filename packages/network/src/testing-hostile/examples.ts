// A valid beginning of a conversation in every protocol that a host serves, as bytes of its stream.
import { RPC } from "@libp2p/gossipsub/message";
import { cidOf, concatBytes } from "@skynet/protocol";
import { proto_filter_v2, proto_lightpush, proto_metadata, proto_peer_exchange, proto_store } from "@waku/proto";
import { BLOCK_PROTOCOL, encodeBlockRequest } from "../bulk/block-messages.ts";
import { encodeOffer, UPDATE_PROTOCOL } from "../bulk/update-messages.ts";
import { RELAY_PROTOCOL } from "../host/libp2p-node.ts";
import { createIdentity } from "../identity/identity.ts";
import { sealEnvelope } from "../messages/envelope.ts";
import { contentTopicOf, encodeWakuMessage, pubsubTopicOf } from "../messages/waku-message.ts";
import { PROBE_PROTOCOL } from "../nat/probe.ts";
import { encodeReach, REACH_PROTOCOL } from "../nat/reach-messages.ts";
import * as waku from "../waku/protocols.ts";
import { varintFramed, yamuxHeader } from "./bytes.ts";

const text = new TextEncoder();
const PUBSUB_TOPIC = pubsubTopicOf(1729, 0);
const CONTENT_TOPIC = contentTopicOf("peers");

/** A frame of our own protocols: length as 32-bit integer. */
function framed(bytes: Uint8Array): Uint8Array {
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, bytes.length);
  return concatBytes(header, bytes);
}

const field = (number: number, bytes: Uint8Array) => concatBytes(Uint8Array.of((number << 3) | 2), varintFramed(bytes));

function presence(): Uint8Array {
  const identity = createIdentity(new Uint8Array(32).fill(5));
  const address = `/ip4/127.0.0.1/tcp/4000/p2p/${identity.peerId.toString()}`;
  const message = { kind: "presence", job: null, body: { multiaddrs: [address], role: "worker" } };
  const random = (length: number) => new Uint8Array(length);
  const payload = sealEnvelope(message, { identity, contentTopic: CONTENT_TOPIC, seq: 1, random });
  return encodeWakuMessage({ payload, contentTopic: CONTENT_TOPIC, timestamp: 1n, ephemeral: false });
}

function gossip(): Uint8Array {
  const ids = { messageIDs: [new Uint8Array(32).fill(1)] };
  const control = {
    ihave: [{ topicID: PUBSUB_TOPIC, ...ids }],
    iwant: [ids],
    graft: [{ topicID: PUBSUB_TOPIC }],
    prune: [{ topicID: PUBSUB_TOPIC, peers: [], backoff: 1 }],
    idontwant: [ids],
  };
  const subscriptions = [{ subscribe: true, topic: PUBSUB_TOPIC }];
  return varintFramed(RPC.encode({ subscriptions, messages: [{ topic: PUBSUB_TOPIC, data: presence() }], control }));
}

const identifyMessage = () =>
  varintFramed(
    concatBytes(
      field(5, text.encode("ipfs/0.1.0")),
      field(6, text.encode("agent")),
      field(2, Uint8Array.of(4, 127, 0, 0, 1, 6, 15, 160)),
      field(3, text.encode(RELAY_PROTOCOL)),
    ),
  );

/** A session description with one data channel (RFC 8839, RFC 8841). */
const SDP_OFFER = [
  "v=0",
  "o=- 1 0 IN IP4 127.0.0.1",
  "s=-",
  "t=0 0",
  "a=group:BUNDLE 0",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "c=IN IP4 0.0.0.0",
  "a=mid:0",
  "a=sendrecv",
  "a=sctp-port:5000",
  "a=max-message-size:262144",
  "a=setup:actpass",
  "a=ice-ufrag:abcd",
  "a=ice-pwd:abcdefghijklmnopqrstuv",
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => "AB").join(":")}`,
  "",
].join("\r\n");

/** Protocol of a stream -> what a peer sends first on it. */
export async function streamExamples(): Promise<Readonly<Record<string, Uint8Array>>> {
  const { FilterSubscribeRequest, MessagePush } = proto_filter_v2;
  const wakuMessage = { payload: text.encode("payload"), contentTopic: CONTENT_TOPIC, timestamp: 1n, version: 0 };
  const query = { requestId: "r", includeData: true, contentTopics: [CONTENT_TOPIC], pubsubTopic: PUBSUB_TOPIC };
  const subscribe = {
    requestId: "r",
    filterSubscribeType: FilterSubscribeRequest.FilterSubscribeType.SUBSCRIBE,
    pubsubTopic: PUBSUB_TOPIC,
    contentTopics: [CONTENT_TOPIC],
  };
  const cid = await cidOf(text.encode("a block"));
  const hash = new Uint8Array(32).fill(1);
  const push = { requestId: "r", pubsubTopic: PUBSUB_TOPIC, message: wakuMessage };
  const circuitConnect = concatBytes(Uint8Array.of(8, 1), field(2, field(1, new Uint8Array(34).fill(1))));
  return {
    [RELAY_PROTOCOL]: gossip(),
    "/ipfs/id/1.0.0": identifyMessage(),
    "/ipfs/id/push/1.0.0": identifyMessage(),
    "/ipfs/ping/1.0.0": new Uint8Array(32).fill(9),
    "/libp2p/circuit/relay/0.2.0/hop": varintFramed(circuitConnect),
    "/libp2p/circuit/relay/0.2.0/stop": varintFramed(circuitConnect),
    "/webrtc-signaling/0.0.1": varintFramed(concatBytes(Uint8Array.of(8, 0), field(2, text.encode(SDP_OFFER)))),
    [PROBE_PROTOCOL]: framed(new Uint8Array(100)),
    // Not an address to dial back: a mutated one could be any machine's.
    [REACH_PROTOCOL]: framed(encodeReach({ t: "info" })),
    [BLOCK_PROTOCOL]: framed(encodeBlockRequest({ t: "get", id: 1, cid, from: 0, length: 100 })),
    [UPDATE_PROTOCOL]: framed(
      encodeOffer({ job: "0x0a", round: 1, kind: "weights", size: 1000, hash, chunks: new Uint8Array(32).fill(2) }),
    ),
    [waku.STORE_PROTOCOL]: varintFramed(
      proto_store.StoreQueryRequest.encode({ ...query, messageHashes: [], paginationForward: true } as never),
    ),
    [waku.FILTER_SUBSCRIBE_PROTOCOL]: varintFramed(FilterSubscribeRequest.encode(subscribe)),
    [waku.FILTER_PUSH_PROTOCOL]: varintFramed(MessagePush.encode({ wakuMessage, pubsubTopic: PUBSUB_TOPIC } as never)),
    [waku.LIGHT_PUSH_PROTOCOL]: varintFramed(lightPushV3(presence())),
    [waku.LIGHT_PUSH_V2_PROTOCOL]: varintFramed(
      proto_lightpush.PushRpc.encode({ requestId: "r", request: push } as never),
    ),
    [waku.METADATA_PROTOCOL]: varintFramed(
      proto_metadata.WakuMetadataRequest.encode({ clusterId: 1729, shards: [0] } as never),
    ),
    [waku.PEER_EXCHANGE_PROTOCOL]: varintFramed(
      proto_peer_exchange.PeerExchangeRPC.encode({ query: { numPeers: 5n } } as never),
    ),
  };
}

/** LightpushRequest of 19/WAKU2-LIGHTPUSH, version 3: request id, pubsub topic, message. */
const lightPushV3 = (message: Uint8Array) =>
  concatBytes(field(1, text.encode("r")), field(20, text.encode(PUBSUB_TOPIC)), field(21, message));

const multistream = (protocol: string) => varintFramed(text.encode(`${protocol}\n`));

/** What a peer sends on a socket before anything is encrypted. */
export const socketExamples: Readonly<Record<string, Uint8Array>> = {
  noise: concatBytes(
    multistream("/multistream/1.0.0"),
    multistream("/noise"),
    Uint8Array.of(0, 32),
    new Uint8Array(32).fill(7),
  ),
  tls: concatBytes(
    multistream("/multistream/1.0.0"),
    multistream("/tls/1.0.0"),
    Uint8Array.of(22, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3),
    new Uint8Array(54).fill(3),
  ),
};

/** What a peer sends on an encrypted connection: a multiplexed stream, and the negotiation on it. */
export function multiplexerExample(streamId: number): Uint8Array {
  const negotiation = concatBytes(multistream("/multistream/1.0.0"), multistream("/ipfs/ping/1.0.0"));
  return concatBytes(
    yamuxHeader(1, 1, streamId, 0),
    yamuxHeader(0, 0, streamId, negotiation.length),
    negotiation,
    yamuxHeader(2, 1, 0, 7),
    yamuxHeader(1, 4, streamId, 0),
  );
}
