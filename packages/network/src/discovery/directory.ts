import type { Hex } from "@skynet/protocol";
import { deadlineSignal } from "../timing/delay.ts";
import type { Drops } from "../host/drops.ts";
import { NetworkError } from "../errors.ts";
import type { RelayMessage } from "../messages/inbox.ts";
import { parsePresence, type Presence } from "./presence.ts";
import { createTokenBucket } from "../timing/token-bucket.ts";
import { untilAborted } from "../timing/until-aborted.ts";

/** A node that was heard of. */
export interface DirectoryEntry extends Presence {
  readonly address: Hex;
  /** When its last accepted presence arrived, milliseconds since the epoch. */
  readonly heardMs: number;
}

/** Addresses of nodes, learned from their signed presence messages. */
export interface Directory {
  get(address: Hex): DirectoryEntry | undefined;
  entries(): DirectoryEntry[];
  /**
   * Waits until the node is known. An address that was asked for is kept when others must make room. One that stays
   * silent is answered from the address book, if it is there.
   * @throws NetworkError `Unreachable` after `timeoutMs` (default 10 s)
   */
  find(
    address: Hex,
    options?: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined },
  ): Promise<DirectoryEntry>;
}

export interface DirectoryOptions {
  /** Milliseconds since the epoch, for what is shown and kept. */
  readonly clock: () => number;
  /** Milliseconds since some moment; a change of the machine's time must not move it. */
  readonly monotonic: () => number;
  readonly drops: Drops;
  /** Called when a node is heard for the first time. */
  readonly onNew?: (entry: DirectoryEntry) => void;
  /** Most nodes to remember (4096); the one that was silent for longest makes room. */
  readonly maxEntries?: number;
  /** Most unknown nodes to accept per second (64), so that made-up identities cannot wash out the others. */
  readonly newPerSecond?: number;
}

const MAX_WANTED = 1024;
/** A node may change its presence this often. */
const MIN_INTERVAL_MS = 100;

/** Calls of `find` that wait for a node. */
function createWaiters() {
  const waiting = new Map<Hex, Set<(entry: DirectoryEntry) => void>>();
  return {
    arrived(entry: DirectoryEntry): void {
      for (const resolve of waiting.get(entry.address) ?? []) resolve(entry);
      waiting.delete(entry.address);
    },
    async waitFor(address: Hex, signal: AbortSignal): Promise<DirectoryEntry> {
      const { promise, resolve } = Promise.withResolvers<DirectoryEntry>();
      const waiters = waiting.get(address) ?? new Set();
      waiting.set(address, waiters.add(resolve));
      try {
        return await untilAborted(promise, signal);
      } finally {
        waiters.delete(resolve);
        if (waiters.size === 0 && waiting.get(address) === waiters) waiting.delete(address);
      }
    },
  };
}

interface OwnDirectory extends Directory {
  /** Takes in a presence message. */
  hear(message: RelayMessage): void;
  /** Where nodes were before this start: for those that are not heard now. */
  remember(entries: readonly DirectoryEntry[]): void;
}

/** @returns the directory, and what fills it */
export function createDirectory(options: DirectoryOptions): OwnDirectory {
  const { clock, monotonic, drops, onNew, maxEntries = 4096, newPerSecond = 64 } = options;
  const known = new Map<Hex, DirectoryEntry>(); // the longest silent first
  const takenMs = new WeakMap<DirectoryEntry, number>(); // By the monotonic clock.
  const remembered = new Map<Hex, DirectoryEntry>();
  const wanted = new Set<Hex>();
  const waiting = createWaiters();
  const additions = createTokenBucket({ perSecond: newPerSecond, burst: newPerSecond }, monotonic);

  const makeRoom = () => {
    if (known.size < maxEntries) return;
    const oldest = known.keys().find((address) => !wanted.has(address)) ?? known.keys().next().value!;
    known.delete(oldest);
  };
  const want = (address: Hex) => {
    wanted.delete(address);
    if (wanted.size >= MAX_WANTED) wanted.delete(wanted.values().next().value!);
    wanted.add(address);
  };
  const hear = ({ from, body }: RelayMessage) => {
    const before = known.get(from);
    const limited =
      before === undefined
        ? !wanted.has(from) && !additions.take()
        : monotonic() - takenMs.get(before)! < MIN_INTERVAL_MS;
    if (limited) return drops.count("rateLimited");
    let presence: Presence;
    try {
      presence = parsePresence(body, from);
    } catch (error) {
      if (error instanceof NetworkError) return drops.count("undecodable");
      throw error;
    }
    const entry = { ...presence, address: from, heardMs: clock() };
    takenMs.set(entry, monotonic());
    if (!known.delete(from)) makeRoom();
    known.set(from, entry);
    waiting.arrived(entry);
    if (before === undefined) onNew?.(entry);
  };
  return {
    hear,
    remember: (entries) => {
      for (const entry of entries) remembered.set(entry.address, entry);
    },
    get: (address) => known.get(address),
    entries: () => [...known.values()],
    async find(address, { signal, timeoutMs = 10_000 } = {}) {
      want(address);
      const entry = known.get(address);
      if (entry !== undefined) return entry;
      const unknown = () =>
        new NetworkError("Unreachable", `no presence of ${address} was heard in ${timeoutMs / 1000} s`, {
          hint: "the node is offline, or it does not share a relay with us",
        });
      const deadline = deadlineSignal(timeoutMs, unknown, signal);
      try {
        return await waiting.waitFor(address, deadline.signal);
      } catch (error) {
        const before = signal?.aborted ? undefined : remembered.get(address);
        if (before === undefined) throw error;
        return before;
      } finally {
        deadline.clear();
      }
    },
  };
}
