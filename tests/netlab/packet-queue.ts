/** Packets on their way: slots of one buffer, ordered by the time of their next event (a binary heap). Allocates nothing. */
export class PacketQueue {
  /** One view per slot, as large as a packet can be. */
  readonly packets: readonly Uint8Array[];
  readonly timesMs: Float64Array;
  readonly #order: Float64Array;
  readonly #heap: Int32Array;
  readonly #free: Int32Array;
  #waiting = 0;
  #freeCount: number;
  #pushed = 0;

  constructor(slots: number, maxPacketBytes: number) {
    const bytes = new Uint8Array(slots * maxPacketBytes);
    this.packets = Array.from({ length: slots }, (_, i) =>
      bytes.subarray(i * maxPacketBytes, (i + 1) * maxPacketBytes),
    );
    this.timesMs = new Float64Array(slots);
    this.#order = new Float64Array(slots);
    this.#heap = new Int32Array(slots);
    this.#free = Int32Array.from({ length: slots }, (_, i) => i);
    this.#freeCount = slots;
  }

  /** A free slot, or -1. */
  claim(): number {
    return this.#freeCount === 0 ? -1 : this.#free[--this.#freeCount]!;
  }

  release(slot: number): void {
    this.#free[this.#freeCount++] = slot;
  }

  /** Time of the next event, or infinity. */
  get nextMs(): number {
    return this.#waiting === 0 ? Number.POSITIVE_INFINITY : this.timesMs[this.#heap[0]!]!;
  }

  /** Packets of the same time come out in the order in which they were pushed. */
  push(slot: number, timeMs: number): void {
    this.timesMs[slot] = timeMs;
    this.#order[slot] = this.#pushed++;
    let at = this.#waiting++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(slot, this.#heap[parent]!)) break;
      this.#heap[at] = this.#heap[parent]!;
      at = parent;
    }
    this.#heap[at] = slot;
  }

  /** The slot of the next event; it has left the heap, not the buffer. */
  pop(): number {
    const first = this.#heap[0]!;
    const last = this.#heap[--this.#waiting]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#waiting) break;
      if (child + 1 < this.#waiting && this.#before(this.#heap[child + 1]!, this.#heap[child]!)) child += 1;
      if (!this.#before(this.#heap[child]!, last)) break;
      this.#heap[at] = this.#heap[child]!;
      at = child;
    }
    this.#heap[at] = last;
    return first;
  }

  #before(a: number, b: number): boolean {
    const difference = this.timesMs[a]! - this.timesMs[b]!;
    return difference < 0 || (difference === 0 && this.#order[a]! < this.#order[b]!);
  }
}
