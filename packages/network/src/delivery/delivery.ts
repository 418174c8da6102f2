import type { Hex } from "@skynet/protocol";
import type { Drops } from "../host/drops.ts";
import { silent, type Log } from "../host/log.ts";
import type { RandomBytes } from "../identity/group-key.ts";
import type { Identity } from "../identity/identity.ts";
import type { RandomNumber } from "../timing/delay.ts";
import { systemTimers, type MessageChannel, type Timers } from "./channel.ts";
import { Courier } from "./courier.ts";
import type { SentCounters } from "./frame-sender.ts";
import type { DeliveryHandler, IntakeCounters } from "./intake.ts";
import type { Outcome, RetryTimes } from "./outgoing-stream.ts";
import type { DeliveryReceipt } from "./receipt.ts";
import { recover } from "./recover.ts";
import type { DeliveryStore, ReceiptFilter, StoredReceipt } from "./store.ts";

export interface DeliveryOptions {
  readonly channel: MessageChannel;
  readonly identity: Identity;
  readonly store: DeliveryStore;
  /** Public key of a node, to seal messages to it. Default: only what the caller of `send` gives. */
  readonly publicKeyOf?: (address: Hex, signal?: AbortSignal) => Promise<Uint8Array>;
  readonly timers?: Timers;
  readonly random?: RandomNumber;
  readonly randomBytes?: RandomBytes;
  readonly retry?: RetryTimes;
  /** Senders outside jobs to remember at once (4,096). */
  readonly maxSenders?: number;
  readonly log?: Log;
  readonly drops?: Pick<Drops, "count">;
}

export interface SendOptions {
  /** Longest wait for the receipt, milliseconds (600,000). It includes the time that the recipient is offline. */
  readonly timeoutMs?: number | undefined;
  /** Withdraws the message: it may have arrived. */
  readonly signal?: AbortSignal | undefined;
}

export interface SendSealedOptions extends SendOptions {
  /** The recipient's public key, where `publicKeyOf` does not know it. */
  readonly publicKey?: Uint8Array | undefined;
}

/** What became of a message for one of its recipients. */
export type DeliveryOutcome = { readonly to: Hex } & Outcome;

/** The encrypted channel of a job. */
export interface JobChannel {
  /** Like {@link Delivery.send}, encrypted with the job's group key. */
  send(to: Hex, kind: string, body: unknown, options?: SendOptions): Promise<DeliveryReceipt>;
  /**
   * Delivers one message to several members with one copy on the wire. Resolves when each of them has confirmed it or
   * it was given up for that one.
   * @throws NetworkError `TooLarge`, `BadOption`, `QueueFull`, `Stopped`: nobody gets it
   */
  sendToAll(to: readonly Hex[], kind: string, body: unknown, options?: SendOptions): Promise<DeliveryOutcome[]>;
  /** Ends the subscription; calls that wait end with `Stopped`, their messages go on after the next `join`. */
  leave(): void;
}

export interface JoinOptions {
  readonly job: string;
  /** Name of the job's topic. */
  readonly topic: string;
  /** Keys that open messages. */
  readonly openingKeys: () => readonly Uint8Array[];
  /** Key to encrypt with; messages wait while there is none. */
  readonly speakingKey: () => Uint8Array | undefined;
  /** Members of the job now. Others are not heard. */
  readonly isMember: (address: Hex) => boolean;
  /** Members that have left: messages for them are given up. Default: whoever is no member. */
  readonly hasLeft?: (address: Hex) => boolean;
  readonly handler: DeliveryHandler;
}

export interface DeliveryCounters extends SentCounters, IntakeCounters {
  /** Unsettled messages, counted once for each recipient. */
  readonly waiting: number;
}

/** Messages that arrive: each once, in the order of its sender, with a signed receipt. */
export interface Delivery {
  /**
   * Delivers a message, sealed to the recipient, and waits for its receipt. Repeated until then, also after a restart.
   * @throws NetworkError `NotDelivered` after the time, `Forgotten` when the recipient has forgotten us and may have
   *   handled it, `Rejected` when its handler refuses it, `Stopped` (it stays on disk), `TooLarge`,
   *   `BadOption`, `QueueFull`, `Unreachable` without a public key; the signal's reason
   */
  send(to: Hex, kind: string, body: unknown, options?: SendSealedOptions): Promise<DeliveryReceipt>;
  /** Handles messages outside jobs. @returns function that ends it */
  listen(handler: DeliveryHandler, options?: { readonly allow?: (address: Hex) => boolean }): () => void;
  /** Opens the channel of a job, once at a time. @throws NetworkError `BadOption` */
  join(options: JoinOptions): JobChannel;
  /** Receipts that this node got, newest first. */
  receipts(filter?: ReceiptFilter): Promise<StoredReceipt[]>;
  counters(): DeliveryCounters;
  /** Lets running handlers end, acknowledges them, and ends every wait with `Stopped`. */
  stop(): Promise<void>;
}

/** Starts delivery on a channel. Messages that an earlier run left are sent on once their channel is open. */
export async function createDelivery(options: DeliveryOptions): Promise<Delivery> {
  const { store, timers = systemTimers, log = silent } = options;
  return new Courier(options, await recover(store, Math.floor(timers.nowMs()), log));
}
