import { peerIdFromString } from "@libp2p/peer-id";
import { reasonOf } from "../errors.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { askRelays } from "../waku/peer-exchange.ts";
import { isCurrent, type RelayRecord } from "../waku/relay-record.ts";
import type { RelaySource } from "./relay-source.ts";

/** Most relays to remember of one answer, and most relays whose last answers are remembered. */
const MAX_NAMED = 16;
const MAX_ANSWERS = 16;
const ASK_AGAIN_MS = 60_000;
/** What a relay named so long ago is forgotten; it outlives the relay, since that is when it is needed. */
const KEEP_MS = 60 * 60_000;

/** Times are by the monotonic clock. */
interface Answer {
  askedMs: number;
  heardMs: number;
  named: readonly RelayRecord[];
}

interface Modules {
  readonly node: BaseNode;
  /** Only relays of this cluster and shard are taken. */
  readonly clusterId: number;
  readonly shard: number;
  readonly clock: () => number;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly log: Log;
}

/**
 * Relays that the relays in use name by Waku's peer exchange. Each record is signed by the relay that it is about; that
 * it is a good one, nobody says. No relay can push out what others have named.
 */
export function exchangedRelays({ node, clusterId, shard, clock, monotonic, log }: Modules): RelaySource {
  const answers = new Map<string, Answer>(); // the longest unasked first
  const isOurs = (record: RelayRecord) =>
    record.clusterId === clusterId && record.shards.includes(shard) && isCurrent(record, clock());
  const ask = async (peer: string, signal: AbortSignal) => {
    const answer = answers.get(peer) ?? { askedMs: -Infinity, heardMs: 0, named: [] };
    if (monotonic() - answer.askedMs < ASK_AGAIN_MS) return;
    answer.askedMs = monotonic();
    answers.delete(peer);
    answers.set(peer, answer);
    try {
      const records = await askRelays(node, peerIdFromString(peer), MAX_NAMED, signal);
      answer.named = records.filter(isOurs);
      answer.heardMs = monotonic();
    } catch (error) {
      if (!signal.aborted) log.debug({ peer, error: reasonOf(error) }, "a relay names no others");
    }
  };
  const forget = (live: readonly string[]) => {
    for (const [peer, { heardMs }] of answers) {
      const old = !live.includes(peer) && monotonic() - heardMs > KEEP_MS;
      if (old || answers.size > MAX_ANSWERS) answers.delete(peer);
    }
  };
  return {
    name: "exchange",
    async relays(signal, live = []) {
      await Promise.all(live.map((peer) => ask(peer, signal)));
      forget(live);
      return inTurn([...answers.values()].map(({ named }) => named)).flatMap(({ multiaddrs }) => multiaddrs);
    },
  };
}

/** The first of each list, then the second of each: whoever has to stop early has something of all. */
function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}
