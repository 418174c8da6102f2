/** How often something may happen. */
export interface Rate {
  readonly perSecond: number;
  /** How often it may happen at once after a pause. */
  readonly burst: number;
}

/** A bucket of `burst` tokens that refills evenly. @returns function that takes a token, or says no */
export function createTokenBucket({ perSecond, burst }: Rate, clock: () => number): () => boolean {
  let tokens = burst;
  let lastMs = clock();
  return () => {
    const nowMs = clock();
    tokens = Math.min(burst, tokens + (Math.max(0, nowMs - lastMs) / 1000) * perSecond);
    lastMs = nowMs;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}

/**
 * A bucket for each peer.
 * @param maxPeers buckets that are kept; the one that was not used for longest makes room
 * @returns function that says whether the peer may go on
 */
export function createPeerLimiter(rate: Rate, clock: () => number, maxPeers = 4096): (peer: string) => boolean {
  const buckets = new Map<string, () => boolean>();
  return (peer) => {
    const take = buckets.get(peer) ?? createTokenBucket(rate, clock);
    buckets.delete(peer);
    if (buckets.size >= maxPeers) buckets.delete(buckets.keys().next().value!);
    buckets.set(peer, take);
    return take();
  };
}
