/** Sequence numbers that may arrive out of order before the oldest are forgotten. */
const WIDTH = 1024;

/** Sliding window of one sender on one topic (RFC 4303, section 3.4.3, with 1024 places). */
interface Window {
  highest: number;
  readonly seen: Uint8Array;
}

/** Remembers which sequence numbers of which senders were seen. */
export interface ReplayGuard {
  /** Whether this number was seen, or is too old to know; nothing is remembered. */
  seen(stream: string, seq: number): boolean;
  /** Whether this number is new; if it is, it is remembered and the next call says no. */
  accept(stream: string, seq: number): boolean;
  /** The same for a number out of a history, which may be older than the window. */
  acceptOld(stream: string, seq: number): boolean;
}

/** Numbers older than their window that are remembered, of all streams together. */
const MAX_OLD = 65_536;

/**
 * Guard for at most `maxStreams` streams (a sender on a topic); the stream that was silent for longest is forgotten
 * first, so memory is bounded by about 1 KiB per stream.
 */
export function createReplayGuard(maxStreams = 4096): ReplayGuard {
  const windows = new Map<string, Window>();
  const old = new Set<string>();
  const accept = (stream: string, seq: number): boolean => {
    // Numbers below the first one that arrives are acceptable too: they may have been overtaken.
    const window = windows.get(stream) ?? { highest: seq - 1, seen: new Uint8Array(WIDTH) };
    if (!advance(window, seq)) return false;
    windows.delete(stream);
    if (windows.size >= maxStreams) windows.delete(windows.keys().next().value!);
    windows.set(stream, window);
    return true;
  };
  return {
    seen(stream, seq) {
      const window = windows.get(stream);
      if (window === undefined || seq > window.highest) return false;
      return seq <= window.highest - WIDTH || window.seen[seq % WIDTH] === 1;
    },
    accept,
    acceptOld(stream, seq) {
      const window = windows.get(stream);
      if (window === undefined || seq > window.highest - WIDTH) return accept(stream, seq);
      const key = `${stream} ${seq}`;
      if (old.has(key)) return false;
      if (old.size >= MAX_OLD) old.delete(old.values().next().value!);
      old.add(key);
      return true;
    },
  };
}

function advance(window: Window, seq: number): boolean {
  if (seq <= window.highest - WIDTH) return false;
  if (seq > window.highest) {
    const skipped = Math.min(seq - window.highest, WIDTH);
    for (let i = 0; i < skipped; i++) window.seen[(seq - i) % WIDTH] = 0;
    window.highest = seq;
  } else if (window.seen[seq % WIDTH] === 1) return false;
  window.seen[seq % WIDTH] = 1;
  return true;
}
