import { describe, expect, it } from "vitest";
import { perceptronProgram } from "../testing.ts";
import { inferenceCircuit, stepCircuit } from "./build.ts";
import { reportCircuit } from "./report.ts";

const settings = (batch: number) => ({ batchSize: batch, learningRate: batch / 256, workers: 4 });

describe("the report of a circuit", () => {
  it("counts what is committed and names every relation of the main model", () => {
    const report = reportCircuit(stepCircuit(perceptronProgram([784, 128, 10], settings(32))));
    expect(report).toMatchObject({
      model: "784-128-10",
      params: 101_770,
      proofBytes: 8736,
      blockBits: 14,
      hiddenScalars: 130,
    });
    expect(report.tensors.map(({ name, points }) => [name, points])).toEqual([
      ["weights", 7],
      ["next", 7],
      ["batch", 2],
      ["exponentials", 1],
      ["ranged", 2],
      ["auxiliary", 2],
      ["helpers", 1],
      ["pads", 1],
      ["mask", 1],
      ["blind", 1],
    ]);
    expect(report.relations.flatMap(({ names }) => names)).toContain("softmax division");
  });

  it.each([
    { sizes: [784, 128, 10], batch: 32, hiding: 751_592, plain: 648_090 },
    { sizes: [784, 128, 10], batch: 128, hiding: 887_249, plain: 782_428 },
    { sizes: [784, 512, 10], batch: 32, hiding: 910_177, plain: 804_709 },
    { sizes: [784, 256, 128, 10], batch: 32, hiding: 876_199, plain: 764_059 },
  ])("estimates the measured gas of $sizes, batch $batch, within 5 %", ({ sizes, batch, ...measured }) => {
    for (const hiding of [true, false]) {
      const { estimatedGas } = reportCircuit(stepCircuit(perceptronProgram(sizes, settings(batch)), { hiding }));
      expect(Math.abs(estimatedGas / measured[hiding ? "hiding" : "plain"] - 1)).toBeLessThan(0.05);
    }
  });

  it("keeps every proof of the benchmarked models below the limits of a transaction", () => {
    const report = reportCircuit(inferenceCircuit(perceptronProgram([784, 128, 10], settings(32)), 1));
    expect(report.proofBytes).toBeLessThan(16_384);
    const linear = report.relations.find(({ kind }) => kind === "linear relations")!;
    expect(linear.names).toEqual(["x.value = input", "x.scaled = input"]);
  });
});

describe("the compiler of circuits", () => {
  it("refuses settings that it cannot range", () => {
    const program = perceptronProgram([4, 3, 2], settings(2));
    expect(() => stepCircuit(program, { tableBits: 2 })).toThrow("range table");
    expect(() => inferenceCircuit(program, 0)).toThrow("number of samples");
  });
});
