import { deadlineSignal } from "../timing/delay.ts";
import { untilAborted } from "../timing/until-aborted.ts";

/** One of several ways to the same goal. */
export interface Attempt<T> {
  run(signal: AbortSignal): Promise<T>;
  /** The next attempt starts after this time at the latest, milliseconds. */
  readonly headStartMs: number;
  /** This one is given up after this time, milliseconds. */
  readonly timeoutMs: number;
}

const late = () => new Error("no answer in time");

/**
 * Starts attempts one after the other: the next one when one that runs has failed, or when the head start of the last
 * one is over (RFC 8305, "happy eyeballs"). The first success ends the others; its own signal never aborts afterwards,
 * since transports go on listening to it.
 * @throws AggregateError with all reasons; the signal's reason
 */
export async function firstOf<T>(attempts: readonly Attempt<T>[], signal: AbortSignal): Promise<T> {
  const over = new AbortController();
  const failures: unknown[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let next = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const startNext = () => {
    clearTimeout(timer);
    const attempt = attempts[next];
    if (attempt === undefined || over.signal.aborted || signal.aborted) return;
    next += 1;
    timer = setTimeout(startNext, attempt.headStartMs);
    void run(attempt);
  };
  const run = async (attempt: Attempt<T>) => {
    const limits = deadlineSignal(attempt.timeoutMs, late, signal, over.signal);
    try {
      resolve(await untilAborted(attempt.run(limits.signal), limits.signal));
    } catch (error) {
      failures.push(error);
      if (failures.length === attempts.length) reject(new AggregateError(failures, "no way leads to the peer"));
      startNext();
    } finally {
      limits.clear();
    }
  };
  if (attempts.length === 0) reject(new AggregateError([], "no way is known"));
  startNext();
  try {
    return await untilAborted(promise, signal);
  } finally {
    clearTimeout(timer);
    over.abort(new Error("another way was faster"));
  }
}
