/** How often something may happen. */
export interface Rate {
  readonly perSecond: number;
  /** How often it may happen at once after a pause. */
  readonly burst: number;
}

/** An allowance that refills evenly. */
export interface TokenBucket {
  /** Takes tokens (one) if they are there. */
  take(count?: number): boolean;
  /** Takes tokens in any case. @returns how long to wait until the debt is paid, milliseconds */
  spend(count: number): number;
  /** Part of the burst that is left; below 0 in debt. */
  left(): number;
}

/** A bucket of `burst` tokens. */
export function createTokenBucket({ perSecond, burst }: Rate, clock: () => number): TokenBucket {
  let tokens = burst;
  let lastMs = clock();
  const refill = () => {
    const nowMs = clock();
    tokens = Math.min(burst, tokens + (Math.max(0, nowMs - lastMs) / 1000) * perSecond);
    lastMs = nowMs;
  };
  return {
    take(count = 1) {
      refill();
      if (tokens < count) return false;
      tokens -= count;
      return true;
    },
    spend(count) {
      refill();
      tokens -= count;
      return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
    },
    left() {
      refill();
      return tokens / burst;
    },
  };
}

/**
 * A bucket for each peer.
 * @param maxPeers buckets that are kept; the one that was not used for longest makes room
 * @returns function that says whether the peer may go on
 */
export function createPeerLimiter(rate: Rate, clock: () => number, maxPeers = 4096): (peer: string) => boolean {
  const buckets = new Map<string, TokenBucket>();
  return (peer) => {
    const bucket = buckets.get(peer) ?? createTokenBucket(rate, clock);
    buckets.delete(peer);
    if (buckets.size >= maxPeers) buckets.delete(buckets.keys().next().value!);
    buckets.set(peer, bucket);
    return bucket.take();
  };
}
