import type { Hex } from "@skynet/protocol";
import type {
  DeliveryStore,
  Handled,
  IncomingStream,
  OutgoingRecord,
  OutgoingStream,
  StoredDelivery,
  StoredReceipt,
} from "./store.ts";

const keyOf = (job: string | null, peer: Hex): string => `${job ?? ""} ${peer}`;

/** A store without a disk: keep the object to restart a node with its memory. */
export function createMemoryStore(): DeliveryStore {
  const outgoingStreams = new Map<string, OutgoingStream>();
  const incoming = new Map<string, IncomingStream & { handled: readonly Handled[] }>();
  const heard = new Map<string, number>();
  let outgoing: OutgoingRecord[] = [];
  let receipts: StoredReceipt[] = [];

  const load = async (): Promise<StoredDelivery> => ({
    outgoingStreams: [...outgoingStreams.values()],
    outgoing: [...outgoing],
    incomingStreams: [...incoming.values()],
    heard: new Map(heard),
  });
  return {
    load,
    async addOutgoing(record, streams) {
      outgoing.push(record);
      for (const stream of streams) outgoingStreams.set(keyOf(stream.job, stream.to), stream);
    },
    async saveOutgoingStream(stream) {
      outgoingStreams.set(keyOf(stream.job, stream.to), stream);
    },
    async settle(settlements, atMs) {
      const settled = new Set(settlements.map(({ job, to, seq }) => `${keyOf(job, to)} ${seq}`));
      outgoing = outgoing.flatMap((record) => {
        const left = record.recipients.filter(({ to, seq }) => !settled.has(`${keyOf(record.job, to)} ${seq}`));
        if (left.length === record.recipients.length) return [record];
        return left.length === 0 ? [] : [{ ...record, recipients: left }];
      });
      for (const { receipt } of settlements) if (receipt) receipts.push({ receipt, atMs });
    },
    async addHandled(stream, result) {
      const key = keyOf(stream.job, stream.from);
      const known = incoming.get(key);
      const before = known?.session === stream.session ? known.handled : [];
      incoming.set(key, { ...stream, handled: [...before, result].filter(({ seq }) => seq >= stream.base) });
    },
    async removeIncomingStream(job, from) {
      incoming.delete(keyOf(job, from));
    },
    async setHeard(topic, atMs) {
      heard.set(topic, atMs);
    },
    async receipts({ job, receiver, limit = 1000 } = {}) {
      const wanted = receipts.filter(
        ({ receipt }) =>
          (job === undefined || receipt.job === job) && (receiver === undefined || receipt.receiver === receiver),
      );
      return wanted.toReversed().slice(0, limit);
    },
    async prune({ beforeMs, maxReceipts }) {
      receipts = receipts.filter(({ atMs }) => atMs >= beforeMs).slice(-maxReceipts);
      for (const [key, { atMs }] of incoming) if (atMs < beforeMs) incoming.delete(key);
      for (const [key, { job, to, atMs }] of outgoingStreams)
        if (atMs < beforeMs && !outgoing.some((it) => it.job === job && it.recipients.some((each) => each.to === to)))
          outgoingStreams.delete(key);
      for (const [topic, atMs] of heard) if (atMs < beforeMs) heard.delete(topic);
    },
  };
}
