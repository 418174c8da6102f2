/** An allowance that refills evenly. */
export interface TokenBucket {
  /** Takes tokens if they are there. */
  take(count: number): boolean;
  /** Takes tokens in any case. @returns how long to wait until the debt is paid, milliseconds */
  spend(count: number): number;
}

/** A bucket of `burst` tokens that gets `perSecond` new ones. */
export function createTokenBucket(perSecond: number, burst: number, clock: () => number): TokenBucket {
  let tokens = burst;
  let lastMs = clock();
  const refill = () => {
    const nowMs = clock();
    tokens = Math.min(burst, tokens + (Math.max(0, nowMs - lastMs) / 1000) * perSecond);
    lastMs = nowMs;
  };
  return {
    take(count) {
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
  };
}
