import { SkyNetError } from "@skynet/protocol";
import { reasonOf } from "../errors.ts";
import type { Log } from "../host/log.ts";
import type { Target } from "./frame.ts";
import type { Outgoing, OutgoingMessage, Pending } from "./outgoing-stream.ts";

/** Copies that relays are asked to keep: the first ones, and one more from time to time. */
const KEPT_COPIES = 2;
const KEEP_AGAIN_MS = 300_000;

/** Puts a frame on the wire; `content` is empty in a question. Resolves with the number of neighbours that took it. */
export type Transmit = (frame: {
  readonly job: string | null;
  readonly targets: readonly Target[];
  readonly content: Uint8Array;
  readonly ephemeral: boolean;
}) => Promise<number>;

export interface SentCounters {
  /** Frames with content, and those of them that repeat it. */
  sent: number;
  repeated: number;
  probes: number;
}

/** A message for one of its recipients. */
export interface Addressed {
  readonly stream: Outgoing;
  readonly pending: Pending;
}

/** Makes frames of messages and questions; times are on the monotonic clock. */
export class FrameSender {
  readonly counters: SentCounters = { sent: 0, repeated: 0, probes: 0 };
  readonly #transmit: Transmit;
  readonly #log: Log;

  constructor(transmit: Transmit, log: Log) {
    this.#transmit = transmit;
    this.#log = log;
  }

  /** Sends one message to several recipients. */
  send(message: OutgoingMessage, group: readonly Addressed[], nowMs: number): void {
    this.counters.sent++;
    if (message.copies > 0) this.counters.repeated++;
    const ephemeral = message.copies >= KEPT_COPIES && nowMs < message.keptMs + KEEP_AGAIN_MS;
    if (!ephemeral) message.keptMs = nowMs;
    message.copies++;
    for (const { stream, pending } of group) stream.sent(pending, nowMs);
    const targets = group.map(({ stream, pending }) => targetOf(stream, pending.seq));
    this.#put({ job: message.job, targets, content: message.content, ephemeral }, () => {
      message.copies--;
    });
  }

  /** Asks recipients that have everything, but have not confirmed it. */
  ask(streams: readonly Outgoing[], nowMs: number): void {
    for (const stream of streams) stream.probed(nowMs);
    for (const group of Map.groupBy(streams, ({ job, to }) => job ?? to).values()) {
      this.counters.probes++;
      const targets = group.map((stream) => targetOf(stream, 0));
      this.#put({ job: group[0]!.job, targets, content: new Uint8Array(), ephemeral: true }, () => undefined);
    }
  }

  #put(frame: Parameters<Transmit>[0], failed: () => void): void {
    const lost = (error: unknown) => {
      failed();
      const level = error instanceof SkyNetError ? "debug" : "warn";
      this.#log[level]({ job: frame.job, error: reasonOf(error) }, "a frame was not sent; it will be repeated");
    };
    this.#transmit(frame).then((neighbours) => {
      if (neighbours === 0) failed();
    }, lost);
  }
}

const targetOf = (stream: Outgoing, seq: number): Target => ({
  to: stream.to,
  session: stream.session,
  seq,
  base: stream.base(),
});
