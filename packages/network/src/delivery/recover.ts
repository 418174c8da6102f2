import type { Log } from "../host/log.ts";
import { lostNumbers } from "./given-up.ts";
import type { DeliveryStore, OutgoingRecord, Settlement, StoredDelivery } from "./store.ts";

/**
 * What an earlier run has left, such that nothing is handled twice because a part of it is damaged. Messages whose
 * stream cannot be read are given up: in a new session the recipient could not know them again.
 */
export async function recover(store: DeliveryStore, nowMs: number, log: Log): Promise<StoredDelivery> {
  // Sessions are times: those that were handled are below the next millisecond.
  await store.discardDamaged(nowMs + 1);
  const stored = await store.load();
  const known = new Set(stored.outgoingStreams.map(({ job, to }) => keyOf(job, to)));
  const lost: Settlement[] = [];
  const outgoing = stored.outgoing.map((record): OutgoingRecord => {
    const recipients = record.recipients.filter(({ to }) => known.has(keyOf(record.job, to)));
    for (const { to, seq } of record.recipients)
      if (!known.has(keyOf(record.job, to))) lost.push({ job: record.job, to, seq });
    return { ...record, recipients };
  });
  // First the disk: a later restart finds the new session, and would take them for messages of it.
  if (lost.length > 0) await store.settle(lost, nowMs);
  for (const { job, to } of lost)
    log.warn({ to, job, error: lostNumbers(to).message }, "a message of an earlier run was not delivered");
  return { ...stored, outgoing };
}

const keyOf = (job: string | null, to: string): string => `${job ?? ""} ${to}`;
