import { networkOf } from "../ip/group.ts";
import type { Limits } from "./limits.ts";
import { createOriginTable, type Origin } from "./origin-table.ts";

/** What a peer did wrong that it alone is to blame for. */
export type Offence =
  | "undecodable" // bytes that are no message of their protocol
  | "badSignature" // a signature or receipt that does not fit, on something that it signed itself
  | "oversized" // a frame larger than its protocol allows
  | "flood" // more messages, frames or streams than it may send
  | "stalled" // a frame that was begun and not finished, or a negotiation
  | "slowReader" // did not take what it had asked for
  | "protocol" // broke a rule of the multiplexer
  | "badContent" // a block, update or receipt with other content than announced
  | "refused"; // asked for what it may not have

/** Points of each offence: light where an honest peer may commit it (a lost connection, a race), heavy otherwise. */
const POINTS: Readonly<Record<Offence, number>> = {
  undecodable: 10,
  badSignature: 20,
  oversized: 25,
  flood: 5,
  stalled: 5,
  slowReader: 10,
  protocol: 50,
  badContent: 25,
  refused: 1,
};

/** Most peers, and most addresses, to remember. */
const MOST = 4096;
/** Repeated bans double in time, up to 32 times. */
const MAX_DOUBLINGS = 5;

/** What is known of one peer. */
export interface PeerScore {
  readonly peerId: string;
  /** Zero or less; at `-banAt` the peer is dropped. */
  readonly score: number;
  readonly offences: Readonly<Partial<Record<Offence, number>>>;
  /** Until when it is refused, milliseconds since the epoch. */
  readonly bannedUntilMs?: number;
}

interface Entry {
  points: number;
  /** By the monotonic clock, as is the end of its ban. */
  atMs: number;
  bans: number;
  bannedUntilMs: number;
  readonly offences: Partial<Record<Offence, number>>;
}

/** Remembers offences, forgives them with time, and says who is refused. */
export interface PeerScores {
  /** Counts an offence. `address`: group of the address that the peer came from. */
  offend(peerId: string, offence: Offence, address?: string): void;
  banned(peerId: string): boolean;
  /** Whether strangers of this address are refused. */
  addressBanned(address: string): boolean;
  /** A peer was here for `ms` without a ban; it may come back from a refused address. */
  behaved(peerId: string, ms: number, address?: string): void;
  hasStanding(peerId: string): boolean;
  snapshot(): PeerScore[];
}

interface ScoreOptions {
  readonly limits: Limits;
  /** Milliseconds since the epoch, for what is shown. */
  readonly clock: () => number;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  /** Called when a peer is banned: close its connections. */
  readonly onBan: (peerId: string, offence: Offence) => void;
}

/** Where a peer came from. */
const originOf = (address = ""): Origin => ({ address, network: networkOf(address) });

export function createPeerScores({ limits, clock, monotonic, onBan }: ScoreOptions): PeerScores {
  // What a peer is remembered for ends with its ban; without one it is as good as its last offence.
  const entries = createOriginTable<Entry>(MOST, ({ atMs, bannedUntilMs }) => Math.max(atMs, bannedUntilMs));
  // When the bans of an address end: the last ones, as many as it takes to refuse it.
  const addresses = createOriginTable<number[]>(MOST, (ends) => Math.max(...ends));
  const standing = createOriginTable<number>(MOST, (sinceMs) => sinceMs);

  const decayed = (entry: Entry) => entry.points * 0.5 ** ((monotonic() - entry.atMs) / limits.halfLifeMs);
  const onClock = (ms: number) => clock() + ms - monotonic();
  const isBanned = (peerId: string) => (entries.get(peerId)?.bannedUntilMs ?? 0) > monotonic();
  const banFrom = (address: string) => {
    const ends = [...(addresses.get(address) ?? []), monotonic() + limits.banMs];
    addresses.set(address, ends.slice(-limits.bannedPeersPerAddress), originOf(address));
  };
  const ban = (peerId: string, entry: Entry, offence: Offence, address: string | undefined) => {
    entry.bannedUntilMs = monotonic() + limits.banMs * 2 ** Math.min(entry.bans, MAX_DOUBLINGS);
    entry.bans += 1;
    entry.points = 0;
    standing.delete(peerId);
    if (address !== undefined) banFrom(address);
    onBan(peerId, offence);
  };
  return {
    offend(peerId, offence, address) {
      if (isBanned(peerId)) return;
      const entry = entries.get(peerId) ?? { points: 0, atMs: monotonic(), bans: 0, bannedUntilMs: 0, offences: {} };
      entry.points = decayed(entry) + POINTS[offence];
      entry.atMs = monotonic();
      entry.offences[offence] = (entry.offences[offence] ?? 0) + 1;
      entries.set(peerId, entry, originOf(address));
      if (entry.points >= limits.banAt) ban(peerId, entry, offence, address);
    },
    banned: isBanned,
    addressBanned(address) {
      const ends = addresses.get(address);
      if (ends === undefined) return false;
      const left = ends.filter((endMs) => endMs > monotonic());
      if (left.length === 0) addresses.delete(address);
      return left.length >= limits.bannedPeersPerAddress;
    },
    behaved(peerId, ms, address) {
      if (ms < limits.standingMs || isBanned(peerId)) return;
      standing.delete(peerId);
      standing.set(peerId, monotonic(), originOf(address));
    },
    hasStanding: (peerId) => standing.get(peerId) !== undefined,
    snapshot: () =>
      [...entries.entries()].map(([peerId, entry]) => ({
        peerId,
        score: 0 - decayed(entry),
        offences: { ...entry.offences },
        ...(entry.bannedUntilMs > monotonic() ? { bannedUntilMs: onClock(entry.bannedUntilMs) } : {}),
      })),
  };
}
