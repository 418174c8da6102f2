import { NetworkError } from "../errors.ts";
import type { RandomNumber } from "../timing/delay.ts";
import { decodeRecord, isCurrent, type RelayRecord } from "./relay-record.ts";

/** Ten times what a node asks for (34/WAKU2-PEER-EXCHANGE recommends at least 60). */
const MAX_RECORDS = 256;

/** Records of other relays of our cluster and shard. */
export interface RelayRecords {
  /** Keeps a record if it is newer than what is known of its relay. @throws NetworkError `Malformed`, `BadSignature` */
  add(bytes: Uint8Array): void;
  /** At most `count` records, chosen at random. */
  sample(count: number): Uint8Array[];
}

interface RecordsOptions {
  readonly self: string;
  readonly clusterId: number;
  readonly shard: number;
  readonly clock: () => number;
  readonly random: RandomNumber;
}

export function createRelayRecords({ self, clusterId, shard, clock, random }: RecordsOptions): RelayRecords {
  const known = new Map<string, { record: RelayRecord; bytes: Uint8Array }>();
  return {
    add(bytes) {
      const record = decodeRecord(bytes);
      if (record.clusterId !== clusterId || !record.shards.includes(shard))
        throw new NetworkError("Malformed", "a relay of another cluster or shard");
      if (!isCurrent(record, clock())) return;
      const before = known.get(record.peerId);
      if (record.peerId === self || (before !== undefined && before.record.seq > record.seq)) return;
      known.delete(record.peerId);
      if (known.size >= MAX_RECORDS) known.delete(known.keys().next().value!);
      known.set(record.peerId, { record, bytes });
    },
    sample(count) {
      for (const [peer, { record }] of known) if (!isCurrent(record, clock())) known.delete(peer);
      const all = [...known.values()];
      // The first places of a Fisher-Yates shuffle.
      for (let i = 0; i < Math.min(count, all.length); i++) {
        const other = i + Math.floor(random() * (all.length - i));
        [all[i], all[other]] = [all[other]!, all[i]!];
      }
      return all.slice(0, count).map(({ bytes }) => bytes);
    },
  };
}
