import type { Connection } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { deadlineSignal, type RandomNumber } from "../timing/delay.ts";
import { NetworkError, reasonOf } from "../errors.ts";
import type { BaseNode } from "../host/libp2p-node.ts";
import type { Pubsub } from "../host/pubsub.ts";
import type { Log } from "../host/log.ts";
import { Candidates, isPinned, type Candidate } from "./candidates.ts";
import { SCOPES, type Scope } from "../ip/scope.ts";
import { parseRelayAddress } from "./relay-address.ts";
import { relaysTopic, roundTrip, untilDead } from "./relay-health.ts";
import { isOpen, type RelaySource, type SourceName } from "./relay-source.ts";

/** What a node knows about a relay. */
export interface RelayStatus {
  /** PeerId; undefined while nobody has said it. */
  readonly peer: string | undefined;
  readonly multiaddrs: readonly string[];
  readonly sources: readonly SourceName[];
  /** Named by a flag: never replaced, dialled again for ever. */
  readonly pinned: boolean;
  readonly state: "idle" | "dialling" | "live";
  /** Round trip of the last answer, milliseconds. */
  readonly latencyMs: number | undefined;
  /** When it last answered, milliseconds since the epoch. */
  readonly lastSeenMs: number | undefined;
  /** Attempts that failed one after the other. */
  readonly failures: number;
  /** Why it is not live. */
  readonly reason: string | undefined;
}

/** Whether the node has relays. */
export interface Reachability {
  readonly live: number;
  /** `NoRelay` when none has answered for a while; the node goes on trying. */
  readonly problem: NetworkError | undefined;
}

export interface RelayPoolOptions {
  readonly node: BaseNode;
  readonly pubsub: Pubsub;
  readonly sources: readonly RelaySource[];
  /** Live relays to keep; pinned ones come on top if they are more. */
  readonly count: number;
  /** This node is a relay itself: that it knows no other one is no problem. */
  readonly relayService: boolean;
  /** Milliseconds since the epoch, for what is shown and kept. */
  readonly clock: () => number;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly random: RandomNumber;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called when relays become live or die, and when there has been none for a while. */
  readonly onChange?: (reachability: Reachability) => void;
}

export interface RelayPool {
  status(): RelayStatus[];
  reachability(): Reachability;
  /** Asks the sources again soon: one of them has news. */
  refresh(): void;
}

const DIAL_TIMEOUT_MS = 8000;
const REFRESH_MS = 60_000;
/** While relays are short. */
const SHORT_REFRESH_MS = 5000;
const SOURCE_TIMEOUT_MS = 20_000;
/** A connection that lasted so long was worth it: its relay starts afresh. */
const GOOD_MS = 10_000;
const NO_RELAY_MS = 10_000;
const NEWS_MS = 200;
const WAIT_MS = 1000;

/**
 * Keeps `count` relays connected out of what the sources name, until the signal aborts. A relay that dies, goes silent
 * or misbehaves is replaced at once by the best of the others.
 */
export function startRelayPool(options: RelayPoolOptions): RelayPool {
  const pool = new Pool(options);
  pool.start();
  return pool;
}

class Pool implements RelayPool {
  readonly #options: RelayPoolOptions;
  readonly #candidates: Candidates;
  readonly #asking = new Set<RelaySource>();
  #timer: NodeJS.Timeout | undefined;
  #refreshMs = 0;
  #aloneMs: number;
  #problem: NetworkError | undefined;

  constructor(options: RelayPoolOptions) {
    this.#options = options;
    const { node, monotonic, random } = options;
    this.#candidates = new Candidates({ self: node.peerId.toString(), monotonic, random });
    this.#aloneMs = monotonic();
  }

  start(): void {
    this.#options.signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
    this.#work();
  }

  status(): RelayStatus[] {
    return this.#candidates.all().map((it) => ({
      peer: it.addresses[0]?.peer ?? it.peer,
      multiaddrs: it.addresses.map(({ text }) => text),
      sources: [...it.sources],
      pinned: isPinned(it),
      state: it.state,
      latencyMs: it.latencyMs,
      lastSeenMs: it.lastSeenMs,
      failures: it.failures,
      reason: it.state === "live" ? undefined : it.reason,
    }));
  }

  reachability(): Reachability {
    return { live: this.#candidates.live().length, problem: this.#problem };
  }

  refresh(): void {
    this.#refreshMs = Math.min(this.#refreshMs, this.#options.monotonic() + NEWS_MS);
    this.#schedule();
  }

  /** One look at everything: asks sources that are due, dials what is missing, sets the alarm for the next look. */
  #work(): void {
    const { monotonic, count, signal } = this.#options;
    if (signal.aborted) return;
    const nowMs = monotonic();
    if (nowMs >= this.#refreshMs) {
      this.#refreshMs = nowMs + REFRESH_MS;
      for (const source of this.#options.sources) void this.#ask(source);
    }
    for (const candidate of this.#candidates.choose(count)) void this.#use(candidate);
    this.#complain();
    this.#schedule();
  }

  #schedule(): void {
    const { monotonic, count, signal } = this.#options;
    clearTimeout(this.#timer);
    if (signal.aborted) return;
    const nowMs = monotonic();
    const live = this.#candidates.live().length;
    if (live < count) this.#refreshMs = Math.min(this.#refreshMs, nowMs + SHORT_REFRESH_MS);
    const pinnedWait = this.#candidates.all().some((it) => isPinned(it) && it.state === "idle");
    const retryMs = live < count || pinnedWait ? (this.#candidates.nextRetryMs() ?? Infinity) : Infinity;
    // What could be dialled and was not waits for an attempt that is under way; its end calls us.
    const atMs = Math.min(this.#refreshMs, retryMs > nowMs ? retryMs : nowMs + WAIT_MS);
    this.#timer = setTimeout(() => this.#work(), Math.max(atMs - nowMs, 20));
  }

  async #ask(source: RelaySource): Promise<void> {
    if (this.#asking.has(source)) return;
    this.#asking.add(source);
    const { signal, log } = this.#options;
    const late = () => new NetworkError("Stalled", `${source.name} gave no relays in ${SOURCE_TIMEOUT_MS / 1000} s`);
    const deadline = deadlineSignal(SOURCE_TIMEOUT_MS, late, signal);
    try {
      const live = this.#candidates.live().flatMap(({ peer }) => peer ?? []);
      const relays = await source.relays(deadline.signal, live);
      this.#candidates.update(source.name, relays, source.scope ?? this.#scopeFor(source));
    } catch (error) {
      if (!signal.aborted) log.warn({ source: source.name, error: reasonOf(error) }, "a source of relays failed");
    } finally {
      deadline.clear();
      this.#asking.delete(source);
    }
    if (!signal.aborted) this.#work();
  }

  /**
   * Strangers may name addresses of this machine or this network only to a node that has no wider ones: its relays
   * count, without any its own addresses.
   */
  #scopeFor({ name }: RelaySource): Scope {
    if (!isOpen(name)) return "loopback";
    const used = this.#candidates.live().flatMap(({ addresses }) => addresses);
    const own = this.#options.node.getMultiaddrs().flatMap((address) => parseRelayAddress(address.toString()) ?? []);
    const known = new Set((used.length > 0 ? used : own).map(({ scope }) => scope));
    return SCOPES.findLast((scope) => known.has(scope)) ?? "public";
  }

  /** Connects to a relay and watches it until it is dead. */
  async #use(candidate: Candidate): Promise<void> {
    const { node, pubsub, monotonic, log, signal } = this.#options;
    const relay = candidate.addresses[0]?.text;
    candidate.state = "dialling";
    let sinceMs: number | undefined;
    let connection: Connection | undefined;
    let reason: string;
    try {
      connection = await this.#dial(candidate);
      candidate.peer = connection.remotePeer.toString();
      await relaysTopic(pubsub, connection.remotePeer, signal);
      this.#answered(candidate, await roundTrip(node, connection.remotePeer, signal));
      sinceMs = monotonic();
      this.#candidates.answered(candidate);
      log.info({ relay, sources: [...candidate.sources], latencyMs: candidate.latencyMs }, "connected to a relay");
      this.#changed();
      this.refresh(); // It may know others.
      const onAnswer = (latencyMs: number) => this.#answered(candidate, latencyMs);
      reason = await untilDead({ node, pubsub, connection, signal, onAnswer });
    } catch (error) {
      reason = reasonOf(error);
    }
    if (signal.aborted) return;
    if (sinceMs !== undefined && monotonic() - sinceMs >= GOOD_MS) this.#candidates.proved(candidate);
    this.#candidates.failed(candidate, reason);
    log[sinceMs === undefined ? "debug" : "info"]({ relay, reason }, "a relay is gone or does not answer");
    if (connection?.status === "open") connection.abort(new NetworkError("Unreachable", reason));
    this.#changed();
    this.#work();
  }

  async #dial({ addresses, key }: Candidate): Promise<Connection> {
    const { node, signal } = this.#options;
    const late = () => new NetworkError("Unreachable", `it has not answered within ${DIAL_TIMEOUT_MS / 1000} s`);
    const deadline = deadlineSignal(DIAL_TIMEOUT_MS, late, signal);
    try {
      const open = addresses[0]?.peer === undefined ? [] : node.getConnections(peerIdFromString(key));
      const usable = open.find(({ status, limits }) => status === "open" && limits === undefined);
      return (
        usable ??
        (await node.dial(
          addresses.map(({ text }) => multiaddr(text)),
          { signal: deadline.signal },
        ))
      );
    } catch (error) {
      throw deadline.signal.aborted ? (deadline.signal.reason as Error) : error;
    } finally {
      deadline.clear();
    }
  }

  #answered(candidate: Candidate, latencyMs: number): void {
    candidate.latencyMs = latencyMs;
    candidate.lastSeenMs = this.#options.clock();
  }

  #changed(): void {
    const { monotonic, log, onChange } = this.#options;
    const live = this.#candidates.live().length;
    if (live === 0) this.#aloneMs = monotonic();
    else if (this.#problem !== undefined) {
      this.#problem = undefined;
      log.info({ live }, "a relay answers again");
    }
    onChange?.(this.reachability());
  }

  /** Says once that no relay answers. */
  #complain(): void {
    const { monotonic, log, onChange, relayService } = this.#options;
    const all = this.#candidates.all();
    if (relayService && all.length === 0) return;
    if (this.#problem !== undefined || this.#candidates.live().length > 0) return;
    if (monotonic() - this.#aloneMs < NO_RELAY_MS) return;
    this.#problem = noRelay(all);
    log.warn({ code: this.#problem.code, hint: this.#problem.hint }, this.#problem.message);
    onChange?.(this.reachability());
  }
}

/** What to say when nothing answers. */
function noRelay(tried: readonly Candidate[]): NetworkError {
  const some = tried
    .slice(0, 3)
    .map(({ addresses, key, reason = "no answer" }) => `${addresses[0]?.text ?? key} (${reason})`);
  if (some.length === 0)
    return new NetworkError("NoRelay", "no relay is known", {
      hint: "name one with --relay, or give a list with --bootstrap",
    });
  const more = tried.length > some.length ? ` and ${tried.length - some.length} more` : "";
  return new NetworkError("NoRelay", `no relay answers: ${some.join(", ")}${more}`, {
    hint: "the node goes on trying; check --relay and the network connection: npx skynet doctor tells",
  });
}
