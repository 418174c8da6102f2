/** Resolves after `ms`, or rejects with the signal's reason. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Number in [0, 1). */
export type RandomNumber = () => number;

/** Waiting time before retry `attempt` (from 0): doubles from `firstMs` to `mostMs`, with up to half of it random. */
export function backoffMs(attempt: number, firstMs: number, mostMs: number, random: RandomNumber): number {
  return Math.min(firstMs * 2 ** attempt, mostMs) * (0.5 + random() / 2);
}

/** Signal that aborts with any of the given ones or after `ms`, with its own reason; call `clear` when done. */
export function deadlineSignal(ms: number, reason: () => Error, ...signals: (AbortSignal | undefined)[]) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(reason()), ms);
  const parents = signals.filter((signal) => signal !== undefined);
  const forward = (event: Event) => controller.abort((event.target as AbortSignal).reason);
  for (const parent of parents) {
    if (parent.aborted) controller.abort(parent.reason);
    parent.addEventListener("abort", forward);
  }
  const clear = () => {
    clearTimeout(timer);
    for (const parent of parents) parent.removeEventListener("abort", forward);
  };
  return { signal: controller.signal, clear };
}
