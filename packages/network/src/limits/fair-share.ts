import { delay } from "../timing/delay.ts";
import { createTokenBucket } from "../timing/token-bucket.ts";

/** Messages and bytes: of one turn, or per second. */
export interface Amount {
  readonly messages: number;
  readonly bytes: number;
}

/** A rate that all keep together, in fair turns. */
export interface FairShare {
  /**
   * Resolves when it is this one's turn.
   * @param who turns are shared between these; what asks under one name shares one part
   * @param weight parts of `who`, 1 as a rule
   * @throws the signal's reason
   */
  turn(who: string, cost: Amount, weight?: number): Promise<void>;
  /** Takes a turn if nobody waits for one. @returns whether it did */
  take(who: string, cost: Amount): boolean;
}

interface FairShareOptions {
  readonly perSecond: Amount;
  /** So many seconds' worth may come at once after a pause. */
  readonly burstSeconds: number;
  readonly clock: () => number;
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly cost: Amount;
  /** Seconds of the whole rate that its author has had before. */
  readonly start: number;
  readonly serve: () => void;
  readonly fail: (reason: unknown) => void;
}

/** Messages that are served without a pause for everything else that this process does. */
const PART_MESSAGES = 32;

/**
 * Start-time fair queueing (Goyal, Vin and Cheng, 1996): whoever has had least of the rate comes first, so that who says little
 * waits for about one turn of another, however many say much.
 */
export function createFairShare({ perSecond, burstSeconds, clock, signal }: FairShareOptions): FairShare {
  const bucket = (rate: number) => createTokenBucket({ perSecond: rate, burst: burstSeconds * rate }, clock);
  const [messages, bytes] = [bucket(perSecond.messages), bucket(perSecond.bytes)];
  const waiting = new Set<Waiting>();
  const finishes = new Map<string, number>(); // Of those that had more than `served`.
  let served = 0; // Where the one that was served last had started.
  let unpaused = 0; // Messages since the last pause.
  let serving = false;

  const debtMs = () => Math.max(messages.spend(0), bytes.spend(0));
  /** @returns where the part of `who` starts */
  const enter = (who: string, cost: Amount, weight: number): number => {
    const seconds = Math.max(cost.messages / perSecond.messages, cost.bytes / perSecond.bytes) / weight;
    const start = Math.max(served, finishes.get(who) ?? 0);
    finishes.set(who, start + seconds);
    return start;
  };
  const pay = (cost: Amount, start: number) => {
    messages.spend(cost.messages);
    bytes.spend(cost.bytes);
    unpaused += cost.messages;
    served = Math.max(served, start);
    for (const [who, other] of finishes) if (other <= served) finishes.delete(who);
  };
  const takeFirst = (): Waiting | undefined => {
    let first: Waiting | undefined;
    for (const one of waiting) if (first === undefined || one.start < first.start) first = one;
    if (first !== undefined) waiting.delete(first);
    return first;
  };
  const serveAll = async () => {
    while (waiting.size > 0) {
      const waitMs = debtMs();
      if (waitMs > 0 || unpaused >= PART_MESSAGES) {
        await delay(waitMs, signal);
        unpaused = 0;
        continue;
      }
      const { cost, start, serve } = takeFirst()!;
      pay(cost, start);
      serve();
    }
    serving = false;
  };
  const failAll = (reason: unknown) => {
    for (const { fail } of waiting) fail(reason);
    waiting.clear();
  };
  return {
    turn: (who, cost, weight = 1) =>
      new Promise((serve, fail) => {
        if (signal.aborted) return fail(signal.reason);
        waiting.add({ cost, start: enter(who, cost, weight), serve, fail });
        if (serving) return;
        serving = true;
        serveAll().catch(failAll);
      }),
    take(who, cost) {
      if (serving || debtMs() > 0) return false;
      pay(cost, enter(who, cost, 1));
      return true;
    },
  };
}
