import type { IdentifyResult, PeerId } from "@libp2p/interface";
import { proto_peer_exchange } from "@waku/proto";
import type { BaseNode } from "../host/libp2p-node.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import type { Identity } from "../identity/identity.ts";
import type { RandomNumber } from "../timing/delay.ts";
import { PEER_EXCHANGE_PROTOCOL } from "./protocols.ts";
import { decodeRecord, encodeRecord, sequenceAt, type RelayRecord } from "./relay-record.ts";
import { createRelayRecords } from "./relay-records.ts";
import { callRpc, serveRpc, type ServiceContext } from "./rpc.ts";
import { servicePeers } from "./service-peers.ts";
import type { Rate } from "../timing/token-bucket.ts";

const { PeerExchangeRPC } = proto_peer_exchange;

/** Most records of an answer, and how many a request gets that does not say. */
const MAX_RECORDS = 60;
const DEFAULT_RECORDS = 5;
const MAX_ANSWER_BYTES = 32 * 1024;
const TIMEOUT_MS = 10_000;
/** How often a relay asks the others that it is connected to, milliseconds. */
const REFRESH_MS = 10 * 60_000;

interface PeerExchangeOptions {
  readonly identity: Identity;
  readonly clusterId: number;
  readonly shard: number;
  readonly rate: Rate;
  readonly random: RandomNumber;
  /** Our addresses for others, the best first: also those that only a router knows. */
  readonly announced: () => readonly string[];
}

/**
 * Serves 34/WAKU2-PEER-EXCHANGE: our own record and a random choice of other relays'. They are learned from relays that
 * we are connected to, by the same protocol; every record is signed by its relay. Unlike the specification asks, the
 * choice may contain our neighbours: relays are public services, and there is no discovery beside this one to draw from.
 */
export async function servePeerExchange(context: ServiceContext, options: PeerExchangeOptions): Promise<void> {
  const { node, clock, log, signal } = context;
  const { identity, clusterId, shard, random, announced } = options;
  const self = node.peerId.toString();
  const records = createRelayRecords({ self, clusterId, shard, clock, random });

  const ownRecord = () => {
    const seq = sequenceAt(clock());
    return encodeRecord(identity, { seq, multiaddrs: announced(), clusterId, shards: [shard] });
  };
  const learn = async (peer: PeerId) => {
    try {
      for (const bytes of await askRecords(node, peer, MAX_RECORDS, signal)) records.add(bytes);
    } catch (error) {
      if (!signal.aborted) log.debug({ peer: peer.toString(), error: reasonOf(error) }, "a relay names no others");
    }
  };
  const rpc = { protocol: PEER_EXCHANGE_PROTOCOL, maxRequestBytes: 1024, rate: options.rate };
  await serveRpc(context, rpc, (request, _from, limited) => {
    const asked = Number(PeerExchangeRPC.decode(request).query?.numPeers ?? DEFAULT_RECORDS);
    const count = Math.min(asked, MAX_RECORDS);
    const answer = limited || count === 0 ? [] : [ownRecord(), ...records.sample(count - 1)];
    return PeerExchangeRPC.encode({ response: { peerInfos: answer.map((enr) => ({ enr })) } });
  });
  const identified = ({ detail }: CustomEvent<IdentifyResult>) => {
    if (detail.protocols.includes(PEER_EXCHANGE_PROTOCOL)) void learn(detail.peerId);
  };
  node.addEventListener("peer:identify", identified);
  const refresh = async () => {
    for (const peer of await servicePeers(node, PEER_EXCHANGE_PROTOCOL)) await learn(peer);
  };
  const timer = setInterval(() => void refresh(), REFRESH_MS);
  const end = () => {
    clearInterval(timer);
    node.removeEventListener("peer:identify", identified);
  };
  signal.addEventListener("abort", end, { once: true });
}

/** @throws NetworkError `Unreachable`, `Stalled`, `Malformed` */
async function askRecords(node: BaseNode, peer: PeerId, count: number, signal: AbortSignal): Promise<Uint8Array[]> {
  const request = PeerExchangeRPC.encode({ query: { numPeers: BigInt(count) } });
  const options = { protocol: PEER_EXCHANGE_PROTOCOL, maxAnswerBytes: MAX_ANSWER_BYTES, timeoutMs: TIMEOUT_MS, signal };
  const answer = await callRpc(node, peer, request, options);
  try {
    const { response } = PeerExchangeRPC.decode(answer);
    return (response?.peerInfos ?? []).flatMap(({ enr }) => enr ?? []).slice(0, count);
  } catch (cause) {
    throw new NetworkError("Malformed", "not an answer of peer exchange", { cause });
  }
}

/**
 * Asks a relay for relays.
 * @returns the valid ones of its records, at most `count`, of any cluster
 * @throws NetworkError `Unreachable`, `Stalled`, `Malformed`
 */
export async function askRelays(
  node: BaseNode,
  peer: PeerId,
  count: number,
  signal: AbortSignal,
): Promise<RelayRecord[]> {
  return (await askRecords(node, peer, count, signal)).flatMap((bytes) => recordOf(bytes) ?? []);
}

function recordOf(bytes: Uint8Array): RelayRecord | undefined {
  try {
    return decodeRecord(bytes);
  } catch {
    return undefined; // One bad record does not spoil the others of its relay.
  }
}
