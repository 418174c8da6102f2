// Layout of the database of delivery in a browser, and how its entries are read.
import type { Hex } from "@skynet/protocol";
import type { DBSchema, IDBPTransaction, StoreNames } from "idb";
import { z } from "zod";
import { MAX_SESSION } from "../delivery/frame.ts";
import type { Lane } from "../delivery/store.ts";

/** A job is "" for messages outside jobs, so that it can be part of a key. */
type Job = string;

export interface DeliveryLayout extends DBSchema {
  outgoingStreams: { key: [Job, Hex]; value: z.output<typeof outgoingStream> };
  /** Under growing numbers. */
  messages: { key: number; value: z.output<typeof message> };
  /** Recipients that have not confirmed a message. */
  outbox: { key: [Job, Hex, number]; value: z.output<typeof waiting>; indexes: { message: number } };
  incomingStreams: { key: [Job, Hex]; value: z.output<typeof incomingStream> };
  handled: { key: [Job, Hex, number, number]; value: z.output<typeof handled> };
  /** Under growing numbers. */
  receipts: { key: number; value: z.output<typeof receipt>; indexes: { atMs: number } };
  heard: { key: string; value: z.output<typeof heard> };
  floors: { key: Lane; value: z.output<typeof floor> };
}

export type StoreName = StoreNames<DeliveryLayout>;
export type Change = IDBPTransaction<DeliveryLayout, StoreName[], "readwrite">;

export const VERSION = 1;

export const jobKey = (job: string | null): Job => job ?? "";
export const jobOf = (job: Job): string | null => (job === "" ? null : job);

const address = z.custom<Hex>((value) => typeof value === "string" && /^0x[0-9a-f]{40}$/.test(value));
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const session = count.max(MAX_SESSION);
const bytes = z.instanceof(Uint8Array);
const job = z.string();

export const outgoingStream = z.object({ job, to: address, session, next: count, publicKey: bytes, atMs: count });
export const message = z.object({ job, content: bytes, deadlineMs: count, acceptedMs: count });
export const waiting = z.object({ job, to: address, seq: count, message: count });
export const incomingStream = z.object({ job, from: address, session, upTo: count, base: count, atMs: count });
export const handled = z.object({
  job,
  from: address,
  session,
  seq: count,
  hash: bytes,
  refused: z.string().nullable(),
});
/** The receipt itself is checked by its signature. */
export const receipt = z.object({ job, receiver: address, atMs: count, receipt: z.unknown() });
export const heard = z.object({ topic: z.string(), atMs: count });
export const floor = z.object({ lane: z.enum(["jobs", "strangers"]), session: count });
