import { delay } from "../timing/delay.ts";
import { createTokenBucket } from "../timing/token-bucket.ts";

/** Limits the rate of all bulk in one direction. */
export interface Pace {
  /** Bytes that may pass at once: an eighth of a second's worth, 4 KiB at least. */
  readonly burstBytes: number;
  /** Waits until these bytes may pass; callers are served in order. @throws the signal's reason */
  take(bytes: number, signal?: AbortSignal): Promise<void> | void;
  /** Counts bytes that passed beyond those taken; below 0: gives back what was taken and did not pass. */
  settle(bytes: number): void;
}

/**
 * @param bytesPerSecond undefined: no limit
 * @param sleep waits, milliseconds
 */
export function createPace(bytesPerSecond: number | undefined, clock: () => number, sleep = delay): Pace {
  if (bytesPerSecond === undefined) return { burstBytes: Infinity, take: () => undefined, settle: () => undefined };
  const burstBytes = Math.max(4096, Math.floor(bytesPerSecond / 8));
  const bucket = createTokenBucket({ perSecond: bytesPerSecond, burst: burstBytes }, clock);
  let turn = Promise.resolve();
  const wait = async (bytes: number, signal: AbortSignal | undefined) => {
    signal?.throwIfAborted();
    const ms = bucket.spend(bytes);
    if (ms > 0) await sleep(ms, signal);
  };
  return {
    burstBytes,
    take(bytes, signal) {
      const taken = turn.then(() => wait(bytes, signal));
      turn = taken.catch(() => undefined);
      return taken;
    },
    settle: (bytes) => void bucket.spend(bytes),
  };
}
