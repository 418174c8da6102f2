import { keccak256, tensorId, toHex, word } from "@skynet/protocol";
import { describe, expect, it } from "vitest";
import { exponentialTable } from "./exponentials.ts";
import { initialWeights } from "./initial-weights.ts";
import { weightTensors } from "./program.ts";
import { referenceExponential } from "./reference/step.ts";
import { perceptronProgram } from "./testing.ts";

const program = perceptronProgram([784, 128, 10], { batchSize: 128, learningRate: 1 / 2, workers: 4 });
const seed = (byte: number) => new Uint8Array(32).fill(byte);

describe("initial weights", () => {
  it("are the same everywhere", () => {
    const weights = initialWeights(program, seed(1));
    const id = tensorId(
      "weights",
      weightTensors(program).map(({ shape, scale }, i) => ({ shape, scale, data: weights[i]! })),
    );
    expect(toHex(id)).toMatchInlineSnapshot(`"0x659ea7e811c947935bb03cfcbdf97a4c389a497a1924adc8d2117dac02459594"`);
  });

  it("follow the counter stream that the documentation states", () => {
    const text = new TextEncoder().encode("skynet/1/initial-weights");
    const block = keccak256(text, seed(3), word(1), word(2));
    const random = new DataView(block.buffer, block.byteOffset).getUint32(4 * 5);
    const limit = Math.floor(Math.sqrt(6 / 138) * 2 ** 22);
    const expected = Number((BigInt(random) * BigInt(2 * limit + 1)) >> 32n) - limit;
    expect(initialWeights(program, seed(3))[1]![8 * 2 + 5]).toBe(expected);
  });

  it("are uniform in +-sqrt(6 / fan) with zero biases", () => {
    const [first, second] = initialWeights(program, seed(2)).map((tensor) => Float64Array.from(tensor));
    const limits = [Math.sqrt(6 / 784) * 2 ** 24, Math.sqrt(6 / 138) * 2 ** 22];
    [first!.subarray(0, 784 * 128), second!.subarray(0, 1280)].forEach((tensor, i) => {
      const largest = tensor.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      expect(largest / limits[i]!).toBeGreaterThan(0.99);
      expect(largest / limits[i]!).toBeLessThanOrEqual(1);
      const variance = tensor.reduce((sum, w) => sum + w * w, 0) / tensor.length;
      expect(variance / (limits[i]! ** 2 / 3)).toBeCloseTo(1, 0.9);
    });
    expect(first!.subarray(784 * 128).every((bias) => bias === 0)).toBe(true);
    expect(second!.subarray(1280).every((bias) => bias === 0)).toBe(true);
  });

  it("depend on the seed, which has 32 bytes", () => {
    expect(initialWeights(program, seed(1))[0]).not.toEqual(initialWeights(program, seed(2))[0]);
    expect(() => initialWeights(program, new Uint8Array(31))).toThrow(/32 bytes/);
  });
});

describe("exponentials", () => {
  it.each([
    [6, 4],
    [8, 6],
    [4, 2],
    [12, 5],
  ])("with scales %i and %i equal the reference and end with 0", (scale, logitScale) => {
    const table = exponentialTable(scale, logitScale);
    expect(table[0]).toBe(2 ** scale);
    expect(table.indexOf(0)).toBe(table.length - 1);
    table.forEach((entry, u) => {
      expect(BigInt(entry)).toBe(referenceExponential(BigInt(u), scale, logitScale));
      expect(Math.abs(entry - 2 ** scale * Math.exp(-u / 2 ** logitScale))).toBeLessThanOrEqual(0.5 + 1e-9);
    });
  });
});
