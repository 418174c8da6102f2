import { describe, expect, it } from "vitest";
import { createChance, Line, LINE_NUMBERS, readCounters, writeConditions } from "./line.ts";
import { PacketQueue } from "./packet-queue.ts";
import type { Conditions } from "./topology.ts";

/** Sends packets of 1,000 bytes with a gap. @returns times of arrival by packet, and the line's counters */
function send(conditions: Conditions, count: number, gapMs: number, seed = 1) {
  const memory = new Float64Array(LINE_NUMBERS);
  writeConditions(memory, conditions);
  const line = new Line(memory, createChance(seed));
  const exits = new Float64Array(2);
  const arrivals: number[][] = [];
  for (let i = 0; i < count; i++) {
    const copies = line.take(i * gapMs, 1000, exits);
    arrivals.push([...exits.subarray(0, copies)]);
  }
  return { arrivals, counters: readCounters(memory) };
}

describe("one direction of a line", () => {
  it("delays, and without conditions does nothing", () => {
    expect(send({}, 3, 1).arrivals).toEqual([[0], [1], [2]]);
    expect(send({ delayMs: 40 }, 3, 1).arrivals).toEqual([[40], [41], [42]]);
  });

  it("loses and doubles the given shares, the same packets for the same seed", () => {
    const { arrivals, counters } = send({ loss: 0.02, duplicate: 0.1 }, 20_000, 1);
    expect(counters.lost / 20_000).toBeCloseTo(0.02, 2);
    expect(counters.duplicated / 19_600).toBeCloseTo(0.1, 2);
    expect(arrivals.filter(({ length }) => length === 0)).toHaveLength(counters.lost);
    expect(counters.packets).toBe(20_000 - counters.lost + counters.duplicated);
    expect(send({ loss: 0.02, duplicate: 0.1 }, 20_000, 1).arrivals).toEqual(arrivals);
    expect(send({ loss: 0.02, duplicate: 0.1 }, 20_000, 1, 2).arrivals).not.toEqual(arrivals);
  });

  it("keeps the order when the delay varies, and breaks it where it is told to", () => {
    const varied = send({ delayMs: 20, jitterMs: 10 }, 10_000, 1).arrivals.flat();
    expect(varied).toEqual(varied.toSorted((a, b) => a - b));
    expect(Math.min(...varied.map((ms, i) => ms - i))).toBeGreaterThanOrEqual(10);
    expect(Math.max(...varied.map((ms, i) => ms - i))).toBeLessThanOrEqual(30);
    const { arrivals, counters } = send({ delayMs: 20, reorder: 0.1, reorderMs: 3 }, 10_000, 1);
    const late = arrivals.flat().filter((ms, i) => ms === i + 23);
    expect(late).toHaveLength(counters.reordered);
    expect(counters.reordered / 10_000).toBeCloseTo(0.1, 1);
  });

  it("takes the time of its rate, and drops what would wait too long", () => {
    // 8 Mbit/s are 1,000 bytes a millisecond
    expect(send({ mbitPerSecond: 8 }, 3, 0).arrivals).toEqual([[1], [2], [3]]);
    const { arrivals, counters } = send({ mbitPerSecond: 8, queueMs: 5 }, 10_000, 0.5);
    const through = arrivals.flat();
    expect(through).toHaveLength(10_000 - counters.overflowed);
    expect(through.at(-1)! - through[0]!).toBe(through.length - 1);
    expect(Math.max(...arrivals.map(([ms = 0], i) => ms - i * 0.5))).toBeLessThanOrEqual(6);
  });
});

describe("the packets under way", () => {
  it("come out by time, and in their order at the same time", () => {
    const chance = createChance(5);
    const queue = new PacketQueue(1000, 4);
    const times = Array.from({ length: 1000 }, () => Math.floor(chance() * 50));
    const pushed = times.map((timeMs) => {
      const slot = queue.claim();
      queue.push(slot, timeMs);
      return { slot, timeMs };
    });
    expect(queue.claim()).toBe(-1);
    const popped = pushed.map(() => ({ timeMs: queue.nextMs, slot: queue.pop() }));
    expect(popped).toEqual(
      pushed.toSorted((a, b) => a.timeMs - b.timeMs).map(({ timeMs, slot }) => ({ timeMs, slot })),
    );
    expect(queue.nextMs).toBe(Number.POSITIVE_INFINITY);
    for (const { slot } of popped) queue.release(slot);
    expect(new Set(times.map(() => queue.claim())).size).toBe(1000);
  });
});
