import type { Hex } from "@skynet/protocol";
import type { DeliveryReceipt } from "./receipt.ts";

/** Numbers that a sender gives to its messages for one recipient, in one job or outside jobs. */
export interface OutgoingStream {
  readonly job: string | null;
  readonly to: Hex;
  readonly session: number;
  /** Number of the next message. */
  readonly next: number;
  /** Of the recipient, where messages are sealed to it; empty in jobs. */
  readonly publicKey: Uint8Array;
  /** Last message, milliseconds since the epoch. */
  readonly atMs: number;
}

/** A message that not every recipient has confirmed. */
export interface OutgoingRecord {
  readonly job: string | null;
  readonly content: Uint8Array;
  /** When the sender gives up, milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** When it was accepted, milliseconds since the epoch. */
  readonly acceptedMs: number;
  readonly recipients: readonly { readonly to: Hex; readonly seq: number }[];
}

/** The end of one message for one recipient. */
export interface Settlement {
  readonly job: string | null;
  readonly to: Hex;
  readonly seq: number;
  /** Absent: the sender gave up, or the recipient refused. */
  readonly receipt?: DeliveryReceipt;
}

/** What became of one message that arrived. */
export interface Handled {
  readonly seq: number;
  readonly hash: Uint8Array;
  /** Why it was refused. */
  readonly refused: string | null;
}

/** How far the messages of one sender were handled. */
export interface IncomingStream {
  readonly job: string | null;
  readonly from: Hex;
  readonly session: number;
  /** Every number up to it is settled. */
  readonly upTo: number;
  /** The sender has settled every lower number. */
  readonly base: number;
  /** Last change, milliseconds since the epoch. */
  readonly atMs: number;
}

export interface StoredReceipt {
  readonly receipt: DeliveryReceipt;
  readonly atMs: number;
}

export interface ReceiptFilter {
  readonly job?: string | null | undefined;
  readonly receiver?: Hex | undefined;
  /** Newest first; 1000 by default. */
  readonly limit?: number | undefined;
}

/** Whose positions are forgotten together: strangers come and go, members of jobs stay for months. */
export type Lane = "jobs" | "strangers";

/**
 * What remains of forgotten incoming streams, one number for each lane: no message of one that was handled has a session
 * of this number or above.
 */
export type Floors = Readonly<Record<Lane, number>>;

export const laneOf = (job: string | null): Lane => (job === null ? "strangers" : "jobs");

export interface PruneOptions {
  /** Receipts and streams that were not touched since are removed, milliseconds since the epoch. */
  readonly beforeMs: number;
  readonly maxReceipts: number;
}

/** Everything that a restarted node goes on with. */
export interface StoredDelivery {
  readonly outgoingStreams: readonly OutgoingStream[];
  readonly outgoing: readonly OutgoingRecord[];
  readonly incomingStreams: readonly (IncomingStream & { readonly handled: readonly Handled[] })[];
  readonly floors: Floors;
  /** When something was last heard on a topic, milliseconds since the epoch. */
  readonly heard: ReadonlyMap<string, number>;
}

/** The disk of delivery. A call that has resolved survives a crash; each is complete or absent, in the order of calls. */
export interface DeliveryStore {
  /**
   * Removes what cannot be read of incoming streams and floors, and raises the floors of their lanes to `floor`: what
   * they told of may have been handled.
   */
  discardDamaged(floor: number): Promise<void>;
  load(): Promise<StoredDelivery>;
  /** Keeps a message, and the streams that numbered it. */
  addOutgoing(record: OutgoingRecord, streams: readonly OutgoingStream[]): Promise<void>;
  /** Keeps a stream that goes on in a later session, without the messages that are given up. */
  renewOutgoing(stream: OutgoingStream, givenUp: readonly Settlement[]): Promise<void>;
  settle(settlements: readonly Settlement[], atMs: number): Promise<void>;
  /** Keeps a result and the stream; results below the stream's base, or of another session, are forgotten. */
  addHandled(stream: IncomingStream, handled: Handled): Promise<void>;
  /** Forgets a stream and raises the floor of its lane to `floor`, if that is higher. */
  removeIncomingStream(job: string | null, from: Hex, floor: number): Promise<void>;
  setHeard(topic: string, atMs: number): Promise<void>;
  receipts(filter?: ReceiptFilter): Promise<StoredReceipt[]>;
  /** Removes what is old, and messages that nobody waits for; floors rise above the sessions of incoming streams that are removed. */
  prune(options: PruneOptions): Promise<void>;
}
