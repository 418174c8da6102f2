import type { Hex } from "@skynet/protocol";

/** Senders whose rate is remembered; the one that was silent for longest makes room. */
const MAX_SENDERS = 4096;

/** How often a peer may ask: `burst` at once, refilled by `perSecond`. */
export interface RateOptions {
  readonly burst: number;
  readonly perSecond: number;
  readonly nowMs?: () => number;
}

/** @returns whether `from` may ask now; counts the request if so */
export function createRate({ burst, perSecond, nowMs = Date.now }: RateOptions): (from: Hex) => boolean {
  const senders = new Map<Hex, { tokens: number; atMs: number }>(); // the longest silent first
  return (from) => {
    const now = nowMs();
    const known = senders.get(from) ?? { tokens: burst, atMs: now };
    const tokens = Math.min(burst, known.tokens + ((now - known.atMs) / 1000) * perSecond);
    senders.delete(from);
    if (senders.size >= MAX_SENDERS) senders.delete(senders.keys().next().value!);
    senders.set(from, { tokens: tokens < 1 ? tokens : tokens - 1, atMs: now });
    return tokens >= 1;
  };
}
