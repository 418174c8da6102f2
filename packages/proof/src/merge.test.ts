import { describe, expect, it } from "vitest";
import { createExecutor } from "./executor.ts";
import { initialWeights } from "./initial-weights.ts";
import { average, decodeDelta, deltaBytes, encodeDelta } from "./merge.ts";
import { perceptronProgram, randomIntegers } from "./testing.ts";

const program = perceptronProgram([5, 6, 3], { batchSize: 4, learningRate: 1 / 2, workers: 4 });
const base = initialWeights(program, new Uint8Array(32).fill(5));
const random = randomIntegers(1);

/** Weights that differ from the base by multiples of N = 4. */
const changed = () => base.map((tensor) => tensor.map((w) => w + 4 * random(-1000, 1000)));
const shifted = (by: number) => base.map((tensor) => tensor.map((w) => w + by));

describe("the average", () => {
  it("is exact over the nominal number of workers, and a missing worker counts as no change", () => {
    const updates = [changed(), changed(), changed()];
    average(program, base, updates).forEach((tensor, layer) => {
      tensor.forEach((w, i) => {
        const sum = updates.reduce((total, update) => total + update[layer]![i]! - base[layer]![i]!, 0);
        expect(4 * (w - base[layer]![i]!)).toBe(sum);
      });
    });
    expect(average(program, base, [])).toEqual(base);
  });

  it("of real steps does not depend on the order of the workers", async () => {
    const executor = await createExecutor(program);
    const updates = [1, 2, 3, 4].map((worker) => {
      executor.load(base);
      for (let step = 0; step < 8; step++) {
        const x = Int8Array.from({ length: 20 }, () => random(-18, 46));
        executor.step(x, Uint8Array.of(0, 1, 2, worker % 3));
      }
      return executor.weights();
    });
    expect(average(program, base, updates)).toEqual(average(program, base, updates.toReversed()));
  });

  it("refuses what is not exact", () => {
    expect(() => average(program, base, [shifted(2)])).toThrow(expect.objectContaining({ code: "BadDelta" }));
    expect(() => average(program, base, Array.from({ length: 5 }, changed))).toThrow(/5 updates for 4 workers/);
    expect(() => average(program, base, [[base[0]!]])).toThrow(expect.objectContaining({ code: "BadWeights" }));
  });

  it("works up to the limits of weights", () => {
    const [low, high] = [-1, 1].map((sign) => base.map((tensor) => tensor.map(() => sign * (2 ** 30 - 4))));
    expect(average(program, low!, [high!, high!, high!, high!])).toEqual(high);
    expect(average(program, low!, [high!, high!])).toEqual(base.map((tensor) => tensor.map(() => 0)));
  });
});

describe("encoded updates", () => {
  it("come back unchanged", () => {
    const updated = changed();
    const bytes = encodeDelta(program, base, updated);
    expect(bytes.length).toBe(deltaBytes(program));
    expect(bytes.length).toBe(4 * (6 * 6 + 7 * 3));
    expect(decodeDelta(program, base, bytes)).toEqual(updated);
    expect(encodeDelta(program, base, decodeDelta(program, base, bytes))).toEqual(bytes);
  });

  it("hold the delta divided by N, little-endian", () => {
    expect([...encodeDelta(program, base, shifted(-8)).subarray(0, 4)]).toEqual([254, 255, 255, 255]);
  });

  it("are refused when they have another length or leave the range", () => {
    const bytes = encodeDelta(program, base, changed());
    const refused = expect.objectContaining({ code: "BadDelta" });
    expect(() => decodeDelta(program, base, bytes.subarray(1))).toThrow(refused);
    expect(() => decodeDelta(program, base, new Uint8Array([...bytes, 0]))).toThrow(refused);
    const wild = bytes.slice();
    new DataView(wild.buffer).setInt32(12, 2 ** 29, true);
    expect(() => decodeDelta(program, base, wild)).toThrow(refused);
    expect(() => encodeDelta(program, base, shifted(1))).toThrow(refused);
  });
});
