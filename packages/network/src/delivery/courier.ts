import { jobIdSchema } from "../messages/envelope.ts";
import type { Hex } from "@skynet/protocol";
import { NetworkError, reasonOf } from "../errors.ts";
import { silent, type Log } from "../host/log.ts";
import { systemRandom } from "../identity/group-key.ts";
import type { RelayMessage } from "../messages/inbox.ts";
import { createCatchUp, type CatchUp } from "./catch-up.ts";
import { systemTimers, type Timers } from "./channel.ts";
import type {
  Delivery,
  DeliveryCounters,
  DeliveryOptions,
  DeliveryOutcome,
  JobChannel,
  JoinOptions,
  SendOptions,
  SendSealedOptions,
} from "./delivery.ts";
import { encodeContent, encodeFrame, MAX_RECIPIENTS, parseFrame, type Ack } from "./frame.ts";
import { Intake, type DeliveryHandler } from "./intake.ts";
import type { Transmit } from "./frame-sender.ts";
import { Outbox, type Recipient } from "./outbox.ts";
import type { RetryTimes } from "./outgoing-stream.ts";
import type { DeliveryReceipt } from "./receipt.ts";
import { SealedLine } from "./sealed-line.ts";
import type { ReceiptFilter, StoredDelivery, StoredReceipt } from "./store.ts";

/** Kind of a job's relay messages; they are encrypted as a whole. */
const FRAME_KIND = "delivery";
/** A message is given up after this time unless the caller says otherwise. */
const DEFAULT_TIMEOUT_MS = 600_000;
const DEFAULT_RETRY: RetryTimes = { firstMs: 500, mostMs: 15_000 };
/** What a frame may have beside its map, so that with envelope and encryption it stays below 64 KiB. */
const FRAME_BYTES = 60 * 1024;
const TARGET_BYTES = 52;
const DAY_MS = 86_400_000;
const KEEP_RECEIPTS_MS = 90 * DAY_MS;
const MAX_RECEIPTS = 100_000;
const PRUNE_EVERY_MS = 3_600_000;

/** The open channel of a job, or of messages outside jobs. */
interface Line {
  readonly topic: string;
  readonly handler: DeliveryHandler;
  readonly isMember: (address: Hex) => boolean;
  readonly hasLeft: (address: Hex) => boolean;
  readonly speakingKey: () => Uint8Array | undefined;
  readonly unsubscribe: () => void;
}

/** Joins outbox and intake to the channel; see {@link Delivery}. */
export class Courier implements Delivery {
  readonly #o: DeliveryOptions;
  readonly #timers: Timers;
  readonly #log: Log;
  readonly #sealed: SealedLine;
  readonly #outbox: Outbox;
  readonly #intake: Intake;
  readonly #catchUp: CatchUp;
  /** By job; null: messages outside jobs. */
  readonly #lines = new Map<string | null, Line>();
  readonly #stopping = new AbortController();
  readonly #ends: (() => void)[] = [];
  #cancelPrune: (() => void) | undefined;

  constructor(options: DeliveryOptions, stored: StoredDelivery) {
    const { channel, identity, store, random = Math.random, log = silent, drops } = options;
    const timers = wholeMs(options.timers ?? systemTimers);
    this.#o = options;
    this.#timers = timers;
    this.#log = log;
    this.#sealed = new SealedLine(channel, identity, options.randomBytes ?? systemRandom);
    this.#outbox = new Outbox({
      self: identity.address,
      store,
      timers,
      random,
      log,
      retry: options.retry ?? DEFAULT_RETRY,
      transmit: (frame) => this.#transmit(frame),
      isOpen: (job) => job === null || this.#lines.has(job),
      hasLeft: (job, address) => this.#lines.get(job)?.hasLeft(address) === true,
    });
    this.#intake = new Intake({
      identity,
      store,
      timers,
      log,
      drops,
      maxSenders: options.maxSenders,
      handlerOf: (job) => this.#lines.get(job)?.handler,
      acknowledge: (job, to, acks) => this.#acknowledge(job, to, acks),
    });
    const { signal } = this.#stopping;
    this.#catchUp = createCatchUp({ channel, store, timers, random, log, heard: stored.heard, signal });
    for (const { job, to, publicKey } of stored.outgoingStreams)
      if (job === null && publicKey.length > 0) this.#sealed.learn(to, publicKey);
    this.#intake.resume(stored);
    this.#outbox.resume(stored);
    this.#ends.push(
      channel.subscribe(this.#sealed.topic, (message) => this.#hear(null, message)),
      channel.onReconnect(() => {
        this.#catchUp.again();
        this.#outbox.wake();
      }),
    );
    this.#catchUp.open(this.#sealed.topic);
    this.#prune();
  }

  async send(to: Hex, kind: string, body: unknown, options: SendSealedOptions = {}): Promise<DeliveryReceipt> {
    const { publicKey } = options;
    if (publicKey) this.#sealed.learn(to, publicKey);
    else if (this.#sealed.keyOf(to) === undefined) this.#sealed.learn(to, await this.#findKey(to, options.signal));
    return this.#deliver(null, { to, publicKey: this.#sealed.keyOf(to) }, kind, body, options);
  }

  listen(handler: DeliveryHandler, { allow = () => true }: { allow?: (address: Hex) => boolean } = {}): () => void {
    if (this.#lines.has(null)) throw new NetworkError("BadOption", "another handler listens already");
    const none = () => undefined;
    const never = () => false;
    const { topic } = this.#sealed;
    const line = { topic, handler, isMember: allow, hasLeft: never, speakingKey: none, unsubscribe: none };
    this.#lines.set(null, line);
    this.#intake.opened(null);
    return () => {
      if (this.#lines.get(null) === line) this.#lines.delete(null);
    };
  }

  join({ job, topic, openingKeys, speakingKey, isMember, handler, ...options }: JoinOptions): JobChannel {
    if (this.#stopping.signal.aborted) throw new NetworkError("Stopped", "the node was stopped");
    if (!jobIdSchema.safeParse(job).success || this.#lines.has(job))
      throw new NetworkError("BadOption", `not a job, or its channel is open already: ${job.slice(0, 80)}`);
    const unsubscribe = this.#o.channel.subscribe(topic, (message) => this.#hear(job, message), {
      groupKey: openingKeys,
      allow: isMember,
    });
    const hasLeft = options.hasLeft ?? ((address: Hex) => !isMember(address));
    const line = { topic, handler, isMember, hasLeft, speakingKey, unsubscribe };
    this.#lines.set(job, line);
    this.#catchUp.open(topic);
    this.#intake.opened(job);
    this.#outbox.wake();
    return {
      send: (to, kind, body, options = {}) => this.#deliver(job, { to }, kind, body, options),
      sendToAll: (to, kind, body, options = {}) => this.#deliverToAll(job, to, kind, body, options),
      leave: () => this.#leave(job, line),
    };
  }

  receipts(filter?: ReceiptFilter): Promise<StoredReceipt[]> {
    return this.#o.store.receipts(filter);
  }

  counters(): DeliveryCounters {
    return { ...this.#outbox.counters, ...this.#intake.counters, waiting: this.#outbox.waiting() };
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort(new NetworkError("Stopped", "the node was stopped"));
    this.#cancelPrune?.();
    this.#outbox.stop();
    await this.#intake.stop();
    for (const end of this.#ends) end();
    for (const { unsubscribe } of this.#lines.values()) unsubscribe();
    this.#lines.clear();
  }

  async #findKey(to: Hex, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { publicKeyOf } = this.#o;
    if (publicKeyOf === undefined)
      throw new NetworkError("Unreachable", `no public key of ${to} is known`, { hint: "give the option publicKey" });
    return publicKeyOf(to, signal);
  }

  async #deliver(
    job: string | null,
    recipient: Recipient,
    kind: string,
    body: unknown,
    options: SendOptions,
  ): Promise<DeliveryReceipt> {
    const [outcome] = await this.#accept(job, [recipient], kind, body, options);
    const settled = await outcome!;
    if ("error" in settled) throw settled.error;
    return settled.receipt;
  }

  async #deliverToAll(
    job: string | null,
    to: readonly Hex[],
    kind: string,
    body: unknown,
    options: SendOptions,
  ): Promise<DeliveryOutcome[]> {
    const recipients = [...new Set(to)].map((address) => ({ to: address }));
    const outcomes = await this.#accept(job, recipients, kind, body, options);
    return Promise.all(outcomes.map(async (outcome, i) => ({ to: recipients[i]!.to, ...(await outcome) })));
  }

  async #accept(
    job: string | null,
    recipients: readonly Recipient[],
    kind: string,
    body: unknown,
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: SendOptions,
  ) {
    const content = encodeContent(kind, body);
    if (recipients.length === 0 || recipients.length > MAX_RECIPIENTS)
      throw new NetworkError("BadOption", `a message has 1 to ${MAX_RECIPIENTS} recipients, not ${recipients.length}`);
    if (recipients.some(({ to }) => to === this.#o.identity.address))
      throw new NetworkError("BadOption", "a node sends no messages to itself");
    if (!(timeoutMs > 0)) throw new NetworkError("BadOption", `not a time to wait: ${timeoutMs} ms`);
    signal?.throwIfAborted();
    if (job !== null && !this.#lines.has(job)) throw new NetworkError("Stopped", `the channel of ${job} was left`);
    const deadlineMs = Math.min(this.#timers.nowMs() + Math.ceil(timeoutMs), Number.MAX_SAFE_INTEGER);
    return this.#outbox.accept(job, content, recipients, { deadlineMs, signal });
  }

  #leave(job: string, line: Line): void {
    if (this.#lines.get(job) !== line) return;
    this.#intake.flush();
    line.unsubscribe();
    this.#lines.delete(job);
    this.#catchUp.close(line.topic);
    this.#outbox.close(job);
  }

  #transmit({ job, targets, content, ephemeral }: Parameters<Transmit>[0]): Promise<number> {
    const to = targets[0]!.to;
    const room = Math.max(0, FRAME_BYTES - content.length - targets.length * TARGET_BYTES);
    const acks = this.#intake.takeAcks(job, job === null ? to : undefined, room);
    return this.#publish(job, to, encodeFrame({ to: [...targets], content, acks }), ephemeral);
  }

  #acknowledge(job: string | null, to: Hex, acks: readonly Ack[]): void {
    const frame = encodeFrame({ to: [], content: new Uint8Array(), acks: [...acks] });
    this.#publish(job, to, frame, true).catch((error: unknown) => {
      this.#log.debug({ job, to, error: reasonOf(error) }, "an acknowledgement was not sent; the sender will ask");
    });
  }

  async #publish(job: string | null, to: Hex, frame: Uint8Array, ephemeral: boolean): Promise<number> {
    if (job === null) return this.#sealed.publish(frame, to, ephemeral);
    const line = this.#lines.get(job);
    const groupKey = line?.speakingKey();
    if (line === undefined || groupKey === undefined) return 0;
    const message = { kind: FRAME_KIND, job, body: frame };
    return (await this.#o.channel.publish(line.topic, message, { groupKey, ephemeral })).recipients;
  }

  #hear(job: string | null, message: RelayMessage): void {
    try {
      if (job !== null && (message.kind !== FRAME_KIND || message.job !== job))
        throw new NetworkError("Malformed", "not a message of this job");
      const { from } = message;
      const frame = parseFrame(job === null ? this.#sealed.open(message) : message.body);
      const self = this.#o.identity.address;
      for (const ack of frame.acks) if (ack.to === self) this.#hearAck(job, from, ack);
      const line = this.#lines.get(job);
      for (const target of frame.to)
        if (target.to === self && line?.isMember(from)) this.#intake.take(job, from, target, frame.content);
      this.#catchUp.heard(line?.topic ?? this.#sealed.topic);
    } catch (error) {
      this.#o.drops?.count(
        error instanceof NetworkError && error.code === "CannotDecrypt" ? "notForUs" : "undecodable",
      );
      this.#log.debug({ job, from: message.from, error: reasonOf(error) }, "a frame was dropped");
    }
  }

  #hearAck(job: string | null, from: Hex, ack: Ack): void {
    this.#outbox.hear(job, from, ack).catch((error: unknown) => {
      const code = error instanceof NetworkError ? error.code : undefined;
      // Anything else went wrong here, on the disk: it says nothing about the peer.
      if (code === "BadReceipt") this.#o.drops?.count("badSignature");
      else if (code === "Malformed") this.#o.drops?.count("undecodable");
      this.#log.warn({ job, from, error: reasonOf(error) }, "an acknowledgement was dropped");
    });
  }

  #prune(): void {
    const beforeMs = this.#timers.nowMs() - KEEP_RECEIPTS_MS;
    this.#outbox.forget(beforeMs);
    this.#o.store.prune({ beforeMs, maxReceipts: MAX_RECEIPTS }).catch((error: unknown) => {
      this.#log.warn({ error: reasonOf(error) }, "old receipts could not be removed");
    });
    this.#cancelPrune = this.#timers.after(PRUNE_EVERY_MS, () => this.#prune());
  }
}

/** Sessions and deadlines are whole numbers, whatever the clock says. */
const wholeMs = (timers: Timers): Timers => ({
  nowMs: () => Math.floor(timers.nowMs()),
  monotonicMs: () => timers.monotonicMs(),
  after: (ms, callback) => timers.after(ms, callback),
});
