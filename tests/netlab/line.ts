// One direction of a line to the internet: which packets get through, and when. Pure: time and chance come from outside.
import type { Conditions } from "./topology.ts";

/** Conditions and counters of one direction, in memory that the forwarding thread shares: numbers of 8 bytes. */
export const LINE_NUMBERS = 16;
const [DELAY, JITTER, LOSS, DUPLICATE, REORDER, REORDER_BY, BYTES_PER_MS, QUEUE] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const [PACKETS, BYTES, LOST, OVERFLOWED, DUPLICATED, REORDERED] = [8, 9, 10, 11, 12, 13] as const;

/** What passed one direction of a line. */
export interface LineCounters {
  /** Packets and bytes that arrived at the other end, copies included. */
  readonly packets: number;
  readonly bytes: number;
  readonly lost: number;
  /** Packets that found the queue full. */
  readonly overflowed: number;
  readonly duplicated: number;
  readonly reordered: number;
}

export function writeConditions(memory: Float64Array, conditions: Conditions): void {
  const { delayMs = 0, jitterMs = 0, loss = 0, duplicate = 0, reorder = 0, reorderMs = 10 } = conditions;
  const { mbitPerSecond = Number.POSITIVE_INFINITY, queueMs = 100 } = conditions;
  memory.set([delayMs, jitterMs, loss, duplicate, reorder, reorderMs, (mbitPerSecond * 1e6) / 8 / 1000, queueMs]);
}

export function readCounters(memory: Float64Array): LineCounters {
  const [packets, bytes, lost, overflowed, duplicated, reordered] = memory.subarray(PACKETS);
  return {
    packets: packets!,
    bytes: bytes!,
    lost: lost!,
    overflowed: overflowed!,
    duplicated: duplicated!,
    reordered: reordered!,
  };
}

/** xorshift32: numbers from 0 up to 1, the same for the same seed. */
export function createChance(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

export class Line {
  readonly #memory: Float64Array;
  readonly #chance: () => number;
  #busyUntilMs = 0;
  #lastExitMs = 0;

  constructor(memory: Float64Array, chance: () => number) {
    this.#memory = memory;
    this.#chance = chance;
  }

  /**
   * Takes a packet of so many bytes at a time in milliseconds and writes to `exits` when its copies leave at the other
   * end. Times of calls must not decrease. @returns number of copies: 0 (lost), 1 or 2
   */
  take(nowMs: number, bytes: number, exits: Float64Array): number {
    const memory = this.#memory;
    const startMs = Math.max(nowMs, this.#busyUntilMs);
    if (startMs - nowMs > memory[QUEUE]!) {
      memory[OVERFLOWED]! += 1;
      return 0;
    }
    this.#busyUntilMs = startMs + bytes / memory[BYTES_PER_MS]!;
    if (this.#happens(LOSS, LOST)) return 0;
    const jitterMs = memory[JITTER]!;
    const varied = jitterMs > 0 ? memory[DELAY]! + jitterMs * (2 * this.#chance() - 1) : memory[DELAY]!;
    const inOrderMs = Math.max(this.#busyUntilMs + Math.max(varied, 0), this.#lastExitMs);
    this.#lastExitMs = inOrderMs;
    exits[0] = inOrderMs + (this.#happens(REORDER, REORDERED) ? memory[REORDER_BY]! : 0);
    exits[1] = exits[0];
    const copies = this.#happens(DUPLICATE, DUPLICATED) ? 2 : 1;
    memory[PACKETS]! += copies;
    memory[BYTES]! += copies * bytes;
    return copies;
  }

  #happens(share: number, counter: number): boolean {
    // No number is drawn for what never happens, so that a condition does not depend on those that are off.
    if (this.#memory[share] === 0 || this.#chance() >= this.#memory[share]!) return false;
    this.#memory[counter]! += 1;
    return true;
  }
}
