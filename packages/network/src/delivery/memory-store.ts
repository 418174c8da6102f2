import type { Hex } from "@skynet/protocol";
import {
  laneOf,
  type DeliveryStore,
  type Handled,
  type IncomingStream,
  type Lane,
  type OutgoingRecord,
  type OutgoingStream,
  type Settlement,
  type StoredDelivery,
  type StoredReceipt,
} from "./store.ts";

const keyOf = (job: string | null, peer: Hex): string => `${job ?? ""} ${peer}`;

/** A store without a disk: keep the object to restart a node with its memory. */
export function createMemoryStore(): DeliveryStore {
  const outgoingStreams = new Map<string, OutgoingStream>();
  const incoming = new Map<string, IncomingStream & { handled: readonly Handled[] }>();
  const heard = new Map<string, number>();
  const floors: Record<Lane, number> = { jobs: 0, strangers: 0 };
  let outgoing: OutgoingRecord[] = [];
  let receipts: StoredReceipt[] = [];

  const forget = (job: string | null, from: Hex, floor: number) => {
    const lane = laneOf(job);
    floors[lane] = Math.max(floors[lane], floor);
    incoming.delete(keyOf(job, from));
  };
  const load = async (): Promise<StoredDelivery> => ({
    outgoingStreams: [...outgoingStreams.values()],
    outgoing: [...outgoing],
    incomingStreams: [...incoming.values()],
    floors: { ...floors },
    heard: new Map(heard),
  });
  const settle = async (settlements: readonly Settlement[], atMs: number) => {
    const settled = new Set(settlements.map(({ job, to, seq }) => `${keyOf(job, to)} ${seq}`));
    outgoing = outgoing.flatMap((record) => {
      const left = record.recipients.filter(({ to, seq }) => !settled.has(`${keyOf(record.job, to)} ${seq}`));
      if (left.length === record.recipients.length) return [record];
      return left.length === 0 ? [] : [{ ...record, recipients: left }];
    });
    for (const { receipt } of settlements) if (receipt) receipts.push({ receipt, atMs });
  };
  return {
    // Memory is not damaged.
    discardDamaged: async () => undefined,
    load,
    settle,
    async addOutgoing(record, streams) {
      outgoing.push(record);
      for (const stream of streams) outgoingStreams.set(keyOf(stream.job, stream.to), stream);
    },
    async renewOutgoing(stream, givenUp) {
      await settle(givenUp, stream.atMs);
      outgoingStreams.set(keyOf(stream.job, stream.to), stream);
    },
    async addHandled(stream, result) {
      const key = keyOf(stream.job, stream.from);
      const known = incoming.get(key);
      const before = known?.session === stream.session ? known.handled : [];
      incoming.set(key, { ...stream, handled: [...before, result].filter(({ seq }) => seq >= stream.base) });
    },
    async removeIncomingStream(job, from, floor) {
      forget(job, from, floor);
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
      outgoing = outgoing.filter(({ recipients }) => recipients.length > 0);
      receipts = receipts.filter(({ atMs }) => atMs >= beforeMs).slice(-maxReceipts);
      for (const { job, from, session, atMs } of incoming.values()) if (atMs < beforeMs) forget(job, from, session + 1);
      for (const [key, { job, to, atMs }] of outgoingStreams)
        if (atMs < beforeMs && !outgoing.some((it) => it.job === job && it.recipients.some((each) => each.to === to)))
          outgoingStreams.delete(key);
      for (const [topic, atMs] of heard) if (atMs < beforeMs) heard.delete(topic);
    },
  };
}
