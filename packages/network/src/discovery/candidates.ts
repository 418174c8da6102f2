import { backoffMs, type RandomNumber } from "../timing/delay.ts";
import type { Scope } from "../ip/scope.ts";
import { parseRelayAddress, reaches, type RelayAddress } from "./relay-address.ts";
import { SOURCE_RANKS, type SourceName } from "./relay-source.ts";

/** A relay that this node may use, or uses. */
export interface Candidate {
  /** PeerId, or the address of a flag that names none. */
  readonly key: string;
  addresses: readonly RelayAddress[];
  readonly sources: Set<SourceName>;
  state: "idle" | "dialling" | "live";
  /** PeerId that the last connection has shown. */
  peer?: string;
  /** Attempts that failed one after the other. */
  failures: number;
  /** By the monotonic clock; 0: it never failed. */
  failedMs: number;
  /** In [0, 1): spreads the next attempts of many nodes. */
  jitter: number;
  /** Round trip of its last answer. */
  latencyMs?: number;
  /** When it last answered, milliseconds since the epoch. */
  lastSeenMs?: number;
  /** Why it is not live. */
  reason?: string;
}

/** Most relays to remember beside pinned ones and those in use, in all and of one source. */
const MAX_CANDIDATES = 256;
const MAX_FROM_ONE_SOURCE = 128;
const MAX_ADDRESSES = 8;

const FIRST_RETRY_MS = 200;
/** For pinned relays, and for all while none is live. */
const SHORT_RETRY_MS = 15_000;
const LONG_RETRY_MS = 10 * 60_000;

/** Relays whose failures are remembered when no source names them for a while. */
const MAX_REMEMBERED = 1024;
/** After so many failures in a row, relays of the next source are tried as well. */
const STREAK = 4;
/** Of so many attempts one is for a relay that failed before. */
const AGAIN_EVERY = 3;

export const isPinned = ({ sources }: Candidate): boolean => sources.has("flag");

const rankOf = ({ sources }: Candidate): number => Math.min(...[...sources].map((name) => SOURCE_RANKS.indexOf(name)));
type Health = Pick<Candidate, "failures" | "failedMs" | "jitter">;

const sourceOf = (candidate: Candidate): SourceName => SOURCE_RANKS[rankOf(candidate)]!;
const groupOf = ({ addresses }: Candidate): string | undefined => addresses[0]?.group;

export interface CandidatesOptions {
  /** Our own PeerId: a relay does not connect to itself. */
  readonly self: string;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly random: RandomNumber;
}

/** Relays by how much they are worth a connection. */
export class Candidates {
  readonly #options: CandidatesOptions;
  readonly #known = new Map<string, Candidate>();
  /** The longest known first. */
  readonly #health = new Map<string, Health>();
  /** Failures of each source's relays since one of them answered. */
  readonly #streaks = new Map<SourceName, number>();
  #attempts = 0;
  readonly #said = new Map<SourceName, ReadonlyMap<string, readonly RelayAddress[]>>();

  constructor(options: CandidatesOptions) {
    this.#options = options;
  }

  all(): Candidate[] {
    return [...this.#known.values()];
  }

  /** Relays in use; one that is known with and without its PeerId counts once. */
  live(): Candidate[] {
    const live = this.all().filter(({ state }) => state === "live");
    return [...new Map(live.map((it) => [it.peer ?? it.key, it])).values()];
  }

  /** What a source says now: replaces what it said before. Addresses narrower than `scope` are ignored. */
  update(source: SourceName, addresses: readonly string[], scope: Scope): void {
    const found = this.#byRelay(source, addresses, scope);
    this.#said.set(source, found);
    for (const candidate of this.#known.values()) {
      if (!found.has(candidate.key)) candidate.sources.delete(source);
      if (candidate.sources.size === 0 && candidate.state === "idle") this.#known.delete(candidate.key);
    }
    for (const key of found.keys()) {
      const candidate = this.#known.get(key) ?? this.#add(key, source);
      if (candidate === undefined) continue;
      candidate.sources.add(source);
      candidate.addresses = this.#addressesOf(key);
    }
  }

  #byRelay(source: SourceName, texts: readonly string[], scope: Scope): Map<string, RelayAddress[]> {
    const pinned = source === "flag";
    const found = new Map<string, RelayAddress[]>();
    for (const text of texts) {
      const address = parseRelayAddress(text);
      // Only the user may name a relay whose key nobody checks.
      if (address === undefined || (address.peer === undefined && !pinned)) continue;
      if (address.peer === this.#options.self || !reaches(address, scope)) continue;
      const key = address.peer ?? address.text;
      const known = found.get(key) ?? [];
      if (known.length === 0 && !pinned && found.size >= MAX_FROM_ONE_SOURCE) continue;
      if (known.length < MAX_ADDRESSES) found.set(key, [...known, address]);
    }
    return found;
  }

  /** Addresses of a relay from all sources, the trusted ones first. */
  #addressesOf(key: string): RelayAddress[] {
    const all = SOURCE_RANKS.flatMap((name) => this.#said.get(name)?.get(key) ?? []);
    return all.filter(({ text }, at) => all.findIndex((one) => one.text === text) === at).slice(0, MAX_ADDRESSES);
  }

  #add(key: string, source: SourceName): Candidate | undefined {
    if (this.#known.size >= MAX_CANDIDATES && source !== "flag" && !this.#makeRoom(source)) return undefined;
    const health = this.#health.get(key) ?? { failures: 0, failedMs: 0, jitter: 0 };
    const candidate: Candidate = { key, addresses: [], sources: new Set([source]), state: "idle", ...health };
    this.#known.set(key, candidate);
    return candidate;
  }

  /** Forgets the relay that failed most, among those of sources that are trusted no more than `source`. */
  #makeRoom(source: SourceName): boolean {
    const rank = SOURCE_RANKS.indexOf(source);
    const spare = this.all().filter((one) => one.state === "idle" && !isPinned(one) && rankOf(one) >= rank);
    const [worst] = spare.toSorted((a, b) => b.failures - a.failures || rankOf(b) - rankOf(a));
    if (worst === undefined || (worst.failures === 0 && rankOf(worst) === rank)) return false;
    return this.#known.delete(worst.key);
  }

  /** Notes that a relay is in use. */
  answered(candidate: Candidate): void {
    candidate.state = "live";
    delete candidate.reason;
    this.#streaks.delete(sourceOf(candidate));
  }

  /** Notes that a relay was worth its connection: it starts afresh. */
  proved(candidate: Candidate): void {
    candidate.failures = 0;
    this.#health.delete(candidate.key);
  }

  /** Notes an attempt or a connection that ended: the next attempt waits longer. */
  failed(candidate: Candidate, reason: string): void {
    if (candidate.state === "dialling" && candidate.sources.size > 0) {
      const source = sourceOf(candidate);
      this.#streaks.set(source, (this.#streaks.get(source) ?? 0) + 1);
    }
    candidate.state = "idle";
    candidate.failures += 1;
    candidate.failedMs = this.#options.monotonic();
    candidate.jitter = this.#options.random();
    candidate.reason = reason;
    this.#remember(candidate);
    if (candidate.sources.size === 0) this.#known.delete(candidate.key);
  }

  /** A source that names a relay again does not make its failures forgotten. */
  #remember({ key, failures, failedMs, jitter }: Candidate): void {
    this.#health.delete(key);
    if (this.#health.size >= MAX_REMEMBERED) this.#health.delete(this.#health.keys().next().value!);
    this.#health.set(key, { failures, failedMs, jitter });
  }

  /** When a relay may be dialled again, by the monotonic clock. */
  #retryMs(candidate: Candidate, anyLive: boolean): number {
    if (candidate.failures === 0) return 0;
    // With no relay at all, each is worth an attempt soon, whatever it did before.
    const most = isPinned(candidate) || !anyLive ? SHORT_RETRY_MS : LONG_RETRY_MS;
    return candidate.failedMs + backoffMs(candidate.failures - 1, FIRST_RETRY_MS, most, () => candidate.jitter);
  }

  /** The best relays to dial now: all pinned ones, and others until `count` are live or being dialled. */
  choose(count: number): Candidate[] {
    const nowMs = this.#options.monotonic();
    const live = this.live();
    const due = this.all().filter((it) => it.state === "idle" && this.#retryMs(it, live.length > 0) <= nowMs);
    const chosen = due.filter(isPinned);
    // A pinned relay that failed before is tried again, but nobody waits for it.
    const hoped = [...chosen, ...this.all().filter(({ state }) => state === "dialling")];
    const soon = hoped.filter((it) => !isPinned(it) || it.failures === 0);
    const others = this.#ranked(due.filter((it) => !isPinned(it)));
    for (let missing = count - live.length - soon.length; missing > 0 && others.length > 0; missing--)
      chosen.push(...others.splice(this.#next(others, [...live, ...chosen]), 1));
    return chosen;
  }

  /**
   * Place of the relay to try next. Names cost nothing, so a crowd of fresh ones, or of dead ones, must not keep out the
   * others: now and then one that failed before has its turn.
   */
  #next(others: readonly Candidate[], taken: readonly Candidate[]): number {
    this.#attempts += 1;
    const failed = this.#attempts % AGAIN_EVERY === 0 ? others.filter(({ failures }) => failures > 0) : [];
    const [again] = failed.toSorted((a, b) => this.#bySource(a, b) || a.failures - b.failures);
    if (again !== undefined) return others.indexOf(again);
    const groups = new Set(taken.map(groupOf));
    const fresh = others.findIndex((it) => !groups.has(groupOf(it)));
    return Math.max(fresh, 0);
  }

  /** Trusted sources first; one of which none has answered for a while comes later. */
  #bySource(a: Candidate, b: Candidate): number {
    const streak = (it: Candidate) => Math.floor((this.#streaks.get(sourceOf(it)) ?? 0) / STREAK);
    return streak(a) - streak(b) || rankOf(a) - rankOf(b);
  }

  /** Few failures first, then by source, then what answered fast, then by chance. */
  #ranked(candidates: readonly Candidate[]): Candidate[] {
    const UNKNOWN_MS = 500;
    const order = candidates.map((it) => ({ it, chance: this.#options.random() }));
    const delay = ({ latencyMs = UNKNOWN_MS }: Candidate) => Math.round(Math.log2(1 + latencyMs / 25));
    return order
      .toSorted(
        (a, b) =>
          a.it.failures - b.it.failures ||
          this.#bySource(a.it, b.it) ||
          delay(a.it) - delay(b.it) ||
          a.chance - b.chance,
      )
      .map(({ it }) => it);
  }

  /** When the next idle relay may be dialled, by the monotonic clock; undefined: there is none. */
  nextRetryMs(): number | undefined {
    const anyLive = this.live().length > 0;
    const times = this.all()
      .filter(({ state }) => state === "idle")
      .map((candidate) => this.#retryMs(candidate, anyLive));
    return times.length === 0 ? undefined : Math.min(...times);
  }
}
