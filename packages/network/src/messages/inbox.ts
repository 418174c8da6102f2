import type { Hex } from "@skynet/protocol";
import { createVerifier } from "#platform";
import type { DropReason, Drops } from "../host/drops.ts";
import { decryptPayload, isEncrypted, parseEnvelope, plainPayload, verifyEnvelope } from "./envelope.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import { addressFromPublicKey } from "../identity/identity.ts";
import type { Log } from "../host/log.ts";
import { createReplayGuard } from "./replay-window.ts";
import { contentTopicOf, decodeWakuMessage } from "./waku-message.ts";

/** A message that was signed by `from`, is not a replay, and was decrypted where the topic asks for it. */
export interface RelayMessage {
  readonly kind: string;
  readonly job: string | null;
  readonly from: Hex;
  /** Grows with each message of a sender; gaps and reordering are normal. */
  readonly seq: number;
  /** Not validated: parse it with the schema of its kind. */
  readonly body: unknown;
}

export type RelayHandler = (message: RelayMessage) => void | Promise<void>;

export interface SubscribeOptions {
  /** Group keys that may open a message, newest first. With this option, messages in plain text are dropped. */
  readonly groupKey?: () => readonly Uint8Array[];
  /** Senders to listen to; the others are dropped as unknown. Default: everybody. */
  readonly allow?: (address: Hex) => boolean;
  readonly signal?: AbortSignal;
}

interface Subscription extends SubscribeOptions {
  readonly handler: RelayHandler;
}

/** Turns bytes from the relay into messages for handlers; whatever does not fit is dropped and counted. */
export interface Inbox {
  /** @returns function that ends the subscription */
  subscribe(name: string, handler: RelayHandler, options?: SubscribeOptions): () => void;
  /** Never throws. @returns why the message was dropped, or undefined when a handler got it or nobody listens */
  receive(bytes: Uint8Array): DropReason | undefined;
  /** The same for a message out of a relay's history; one that was received before is not counted as dropped. */
  receiveOld(bytes: Uint8Array): DropReason | undefined;
}

interface InboxOptions {
  /** Our own address: our own messages coming back are replays. */
  readonly self: Hex;
  readonly drops: Drops;
  readonly log: Log;
  /** Called when the first subscription of a content topic begins, and when the last one ends. */
  readonly onTopic?: (contentTopic: string, wanted: boolean) => void;
}

const MAX_ADDRESSES = 1024;
const REASONS: Partial<Record<string, DropReason>> = {
  TooLarge: "oversized",
  Malformed: "undecodable",
  BadSignature: "badSignature",
  CannotDecrypt: "notForUs",
  BadKey: "badSignature",
};

export function createInbox(options: InboxOptions): Inbox {
  const { self, drops, log, onTopic } = options;
  const topics = new Map<string, Set<Subscription>>();
  const replays = createReplayGuard();
  const verify = createVerifier();
  const addressOf = createAddressBook();

  const process = (bytes: Uint8Array, old: boolean): DropReason | undefined => {
    const { payload, contentTopic } = decodeWakuMessage(bytes);
    const subscriptions = topics.get(contentTopic);
    if (subscriptions === undefined) return undefined;
    const { envelope, listening } = open(payload, contentTopic, subscriptions);
    if (listening.length === 0) return "unencrypted";
    const from = addressOf(envelope.from);
    if (from === self) return "replayed";
    const allowed = listening.filter(({ allow }) => allow === undefined || allow(from));
    if (allowed.length === 0) return "unknownSender";
    const stream = `${from} ${contentTopic}`;
    // Before the signature, which costs most: a flood of replays must not.
    if (!old && replays.seen(stream, envelope.seq)) return "replayed";
    verifyEnvelope(envelope, contentTopic, verify);
    const fresh = old ? replays.acceptOld(stream, envelope.seq) : replays.accept(stream, envelope.seq);
    if (!fresh) return "replayed";
    const { kind, job, seq, body } = envelope;
    deliver({ kind, job, from, seq, body }, allowed, options);
    return undefined;
  };

  const receive = (bytes: Uint8Array, old: boolean): DropReason | undefined => {
    let reason: DropReason | undefined;
    try {
      reason = process(bytes, old);
    } catch (error) {
      reason = (error instanceof NetworkError && REASONS[error.code]) || "handlerError";
      if (reason === "handlerError") log.warn({ error: reasonOf(error) }, "a message could not be processed");
    }
    if (reason !== undefined && !(old && reason === "replayed")) drops.count(reason);
    return reason;
  };

  return {
    subscribe(name, handler, options = {}) {
      const contentTopic = contentTopicOf(name);
      const subscription = { ...options, handler };
      const set = topics.get(contentTopic) ?? new Set();
      if (set.size === 0) onTopic?.(contentTopic, true);
      topics.set(contentTopic, set.add(subscription));
      const end = () => {
        set.delete(subscription);
        if (set.size === 0 && topics.get(contentTopic) === set) {
          topics.delete(contentTopic);
          onTopic?.(contentTopic, false);
        }
        options.signal?.removeEventListener("abort", end);
      };
      if (options.signal?.aborted) end();
      else options.signal?.addEventListener("abort", end, { once: true });
      return end;
    },
    receive: (bytes) => receive(bytes, false),
    receiveOld: (bytes) => receive(bytes, true),
  };
}

/** Addresses of recent senders: to find one takes as long as all the rest but the signature. */
function createAddressBook(): (publicKey: Uint8Array) => Hex {
  const known = new Map<string, Hex>();
  return (publicKey) => {
    const name = String.fromCharCode(...publicKey);
    const address = known.get(name) ?? addressFromPublicKey(publicKey);
    if (known.size >= MAX_ADDRESSES && !known.has(name)) known.delete(known.keys().next().value!);
    known.set(name, address);
    return address;
  };
}

/** The subscriptions that a payload is for, with its envelope. */
function open(payload: Uint8Array, contentTopic: string, subscriptions: ReadonlySet<Subscription>) {
  if (!isEncrypted(payload)) {
    const listening = [...subscriptions].filter(({ groupKey }) => groupKey === undefined);
    return { envelope: parseEnvelope(plainPayload(payload)), listening };
  }
  const listening: Subscription[] = [];
  let opened: Uint8Array | undefined;
  for (const subscription of subscriptions) {
    try {
      opened = decryptPayload(payload, contentTopic, subscription.groupKey?.() ?? []);
      listening.push(subscription);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
    }
  }
  if (opened === undefined) throw new NetworkError("CannotDecrypt", "no subscription has the key");
  return { envelope: parseEnvelope(opened), listening };
}

/** Calls the handlers; one that fails is logged and counted. */
function deliver(message: RelayMessage, listening: readonly Subscription[], { drops, log }: InboxOptions): void {
  for (const { handler } of listening) {
    const failed = (error: unknown) => {
      drops.count("handlerError");
      log.warn({ kind: message.kind, from: message.from, error: reasonOf(error) }, "a message handler failed");
    };
    try {
      Promise.resolve(handler(message)).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
