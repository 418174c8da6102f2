import type { Limits } from "./limits.ts";

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

/** Most peers and addresses to remember; the oldest are forgotten. */
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
  behaved(peerId: string, ms: number): void;
  hasStanding(peerId: string): boolean;
  snapshot(): PeerScore[];
}

interface ScoreOptions {
  readonly limits: Limits;
  readonly clock: () => number;
  /** Called when a peer is banned: close its connections. */
  readonly onBan: (peerId: string, offence: Offence) => void;
}

/** Keeps a map at its size by forgetting what was set first, what must be kept last of all. */
function remember<V>(
  map: Map<string, V>,
  key: string,
  value: V,
  mustKeep: (key: string) => boolean = () => false,
): void {
  map.delete(key);
  if (map.size >= MOST) map.delete(map.keys().find((other) => !mustKeep(other)) ?? map.keys().next().value!);
  map.set(key, value);
}

export function createPeerScores({ limits, clock, onBan }: ScoreOptions): PeerScores {
  const entries = new Map<string, Entry>();
  const addresses = new Map<string, Map<string, number>>(); // address -> banned peer -> until when
  const standing = new Map<string, true>();

  const decayed = (entry: Entry) => entry.points * 0.5 ** ((clock() - entry.atMs) / limits.halfLifeMs);
  const isBanned = (peerId: string) => (entries.get(peerId)?.bannedUntilMs ?? 0) > clock();
  const ban = (peerId: string, entry: Entry, offence: Offence, address: string | undefined) => {
    entry.bannedUntilMs = clock() + limits.banMs * 2 ** Math.min(entry.bans, MAX_DOUBLINGS);
    entry.bans += 1;
    entry.points = 0;
    standing.delete(peerId);
    if (address !== undefined) {
      const peers = addresses.get(address) ?? new Map<string, number>();
      remember(peers, peerId, clock() + limits.banMs);
      remember(addresses, address, peers);
    }
    onBan(peerId, offence);
  };
  return {
    offend(peerId, offence, address) {
      if (isBanned(peerId)) return;
      const entry = entries.get(peerId) ?? { points: 0, atMs: clock(), bans: 0, bannedUntilMs: 0, offences: {} };
      entry.points = decayed(entry) + POINTS[offence];
      entry.atMs = clock();
      entry.offences[offence] = (entry.offences[offence] ?? 0) + 1;
      remember(entries, peerId, entry, isBanned);
      if (entry.points >= limits.banAt) ban(peerId, entry, offence, address);
    },
    banned: isBanned,
    addressBanned(address) {
      const peers = addresses.get(address);
      if (peers === undefined) return false;
      for (const [peerId, untilMs] of peers) if (untilMs <= clock()) peers.delete(peerId);
      if (peers.size === 0) addresses.delete(address);
      return peers.size >= limits.bannedPeersPerAddress;
    },
    behaved(peerId, ms) {
      if (ms >= limits.standingMs && !isBanned(peerId)) remember(standing, peerId, true);
    },
    hasStanding: (peerId) => standing.has(peerId),
    snapshot: () =>
      [...entries].map(([peerId, entry]) => ({
        peerId,
        score: 0 - decayed(entry),
        offences: { ...entry.offences },
        ...(entry.bannedUntilMs > clock() ? { bannedUntilMs: entry.bannedUntilMs } : {}),
      })),
  };
}
