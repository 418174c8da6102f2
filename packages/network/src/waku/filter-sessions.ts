import type { PeerId } from "@libp2p/interface";
import { proto_filter_v2 } from "@waku/proto";
import { reasonOf } from "../errors.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Log } from "../host/log.ts";
import { FILTER_SUBSCRIBE_PROTOCOL, succeeded } from "./protocols.ts";
import { callRpc } from "./rpc.ts";
import { servicePeers } from "./service-peers.ts";

const { FilterSubscribeRequest, FilterSubscribeResponse } = proto_filter_v2;
const { FilterSubscribeType: Type } = FilterSubscribeRequest;
type RequestType = proto_filter_v2.FilterSubscribeRequest.FilterSubscribeType;

/** Relays that push to us: when one dies, the other one has lost nothing. */
const RELAYS = 2;
/** Content topics of one request. */
const MAX_TOPICS = 100;
const TIMEOUT_MS = 5000;
/** A relay that failed is not asked again for this time. */
const PENALTY_MS = 15_000;

interface SessionsOptions {
  readonly node: BaseNode;
  readonly pubsubTopic: string;
  readonly log: Log;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly signal: AbortSignal;
  /** Called when a relay has begun to push all that is wanted. */
  readonly onReady: () => void;
}

/** A relay that pushes to us, and what. */
interface Session {
  readonly relay: PeerId;
  readonly topics: Set<string>;
}

/** Subscriptions with two relays, kept equal to what is wanted. */
export class FilterSessions {
  readonly #o: SessionsOptions;
  readonly #wanted = new Set<string>();
  readonly #sessions = new Map<string, Session>();
  readonly #refusedUntilMs = new Map<string, number>();
  #working = false;
  #again = false;

  constructor(options: SessionsOptions) {
    this.#o = options;
  }

  /** Whether a relay pushes all that is wanted. */
  ready(): boolean {
    return this.#sessions.values().some((session) => this.#isComplete(session));
  }

  /** Whether we asked this peer for the topic, and still want it. */
  expects(peer: string, contentTopic: string): boolean {
    return this.#sessions.get(peer)?.topics.has(contentTopic) === true && this.#wanted.has(contentTopic);
  }

  want(contentTopic: string, isWanted: boolean): void {
    if (isWanted) this.#wanted.add(contentTopic);
    else this.#wanted.delete(contentTopic);
    void this.reconcile();
  }

  /** Looks for relays, and brings their subscriptions to what is wanted; one call at a time does the work. */
  async reconcile(): Promise<void> {
    this.#again = true;
    if (this.#working) return;
    this.#working = true;
    while (this.#again && !this.#o.signal.aborted) {
      this.#again = false;
      await this.#choose();
      await Promise.all(
        [...this.#sessions].map(([key, session]) =>
          this.#update(session).catch((error: unknown) => this.#fail(key, error)),
        ),
      );
    }
    this.#working = false;
  }

  /** Refreshes the subscriptions. */
  async ping(): Promise<void> {
    await Promise.all(
      [...this.#sessions].map(([key, { relay }]) =>
        this.#ask(relay, Type.SUBSCRIBER_PING).catch((error: unknown) => {
          this.#fail(key, error);
          // A relay that was restarted knows nothing of us, and takes us again.
          this.#refusedUntilMs.delete(key);
        }),
      ),
    );
    await this.reconcile();
  }

  #isComplete({ topics }: Session): boolean {
    return this.#wanted.size > 0 && this.#wanted.isSubsetOf(topics);
  }

  /** Which relays push to us. */
  async #choose(): Promise<void> {
    const { node, monotonic } = this.#o;
    const connected = new Map((await servicePeers(node, FILTER_SUBSCRIBE_PROTOCOL)).map((peer) => [`${peer}`, peer]));
    for (const key of this.#sessions.keys()) if (!connected.has(key)) this.#sessions.delete(key);
    for (const [key, untilMs] of this.#refusedUntilMs) if (untilMs <= monotonic()) this.#refusedUntilMs.delete(key);
    for (const [key, relay] of connected) {
      if (this.#sessions.size >= RELAYS) break;
      if (!this.#sessions.has(key) && !this.#refusedUntilMs.has(key))
        this.#sessions.set(key, { relay, topics: new Set() });
    }
  }

  /** Brings one relay's subscription to what is wanted. */
  async #update(session: Session): Promise<void> {
    const { relay, topics } = session;
    const before = this.#isComplete(session);
    const missing = [...this.#wanted.difference(topics)];
    const surplus = [...topics.difference(this.#wanted)];
    for (let at = 0; at < missing.length; at += MAX_TOPICS) {
      const part = missing.slice(at, at + MAX_TOPICS);
      await this.#ask(relay, Type.SUBSCRIBE, part);
      for (const topic of part) topics.add(topic);
    }
    for (let at = 0; at < surplus.length; at += MAX_TOPICS) {
      const part = surplus.slice(at, at + MAX_TOPICS);
      for (const topic of part) topics.delete(topic);
      await this.#ask(relay, Type.UNSUBSCRIBE, part);
    }
    if (!before && this.#isComplete(session)) this.#o.onReady();
  }

  async #ask(relay: PeerId, filterSubscribeType: RequestType, contentTopics: readonly string[] = []): Promise<void> {
    const { node, pubsubTopic, signal } = this.#o;
    const criteria = contentTopics.length > 0 ? { pubsubTopic, contentTopics: [...contentTopics] } : {};
    const request = { requestId: crypto.randomUUID(), filterSubscribeType, ...criteria };
    const call = { protocol: FILTER_SUBSCRIBE_PROTOCOL, maxAnswerBytes: 4096, timeoutMs: TIMEOUT_MS, signal };
    const bytes = await callRpc(node, relay, FilterSubscribeRequest.encode(request), call);
    const { statusCode, statusDesc } = FilterSubscribeResponse.decode(bytes);
    if (!succeeded(statusCode)) throw new Error(`${statusCode} ${statusDesc ?? ""}`);
  }

  #fail(key: string, error: unknown): void {
    const { monotonic, log, signal } = this.#o;
    this.#sessions.delete(key);
    this.#refusedUntilMs.set(key, monotonic() + PENALTY_MS);
    if (!signal.aborted) log.debug({ relay: key, error: reasonOf(error) }, "a relay does not push to us");
  }
}
