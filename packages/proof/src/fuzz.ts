import { ModelBuilder, OnnxError, parseModel } from "@skynet/onnx";
import { attackFuzzers } from "./attacks/fuzz.ts";
import { shapeFuzzers } from "./attacks/shapes-fuzz.ts";
import { compileTraining } from "./compile.ts";
import { CompileError, OverflowError } from "./errors.ts";
import { createExecutor, type Executor } from "./executor.ts";
import { hidingFuzzers } from "./hiding/fuzz.ts";
import { initialWeights } from "./initial-weights.ts";
import type { IntegerProgram } from "./program.ts";
import { referenceLogits, ReferenceOverflow, referenceStep } from "./reference/step.ts";
import { perceptronProgram, randomIntegers, referenceSettings, toMatrix } from "./testing.ts";

export interface FuzzOptions {
  count: number;
  seed: number;
  onProgress?: (done: number) => void;
}

const STEPS = 3;

/**
 * Random shapes, settings and data: the executor equals the BigInt reference in every weight and logit, and overflows
 * exactly where the reference does, leaving the weights untouched.
 */
async function fuzzExecutor({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const report = { steps: 0, overflows: 0, refusedSettings: 0 };
  for (let i = 0; i < count; i++) {
    const random = randomIntegers(seed * 1_000_003 + i);
    const program = randomProgram(random);
    if (program === undefined) report.refusedSettings++;
    else {
      const executor = await createExecutor(program);
      executor.load(randomWeights(program, random));
      for (let step = 0; step < STEPS; step++) {
        if (random(0, 3) === 0) evaluateOthers(executor, random);
        const overflowed = compareStep(executor, random, `case ${i} of seed ${seed}, step ${step}`);
        report[overflowed ? "overflows" : "steps"]++;
      }
    }
    onProgress?.(i + 1);
  }
  return report;
}

type Random = ReturnType<typeof randomIntegers>;

function randomProgram(random: Random): IntegerProgram | undefined {
  const large = random(0, 9) === 0;
  const size = (lowest: number) => random(lowest, large ? 40 : 9);
  const sizes = [large ? random(1, 1100) : size(1), ...Array.from({ length: random(0, 2) }, () => size(1)), size(2)];
  const batchSize = size(1);
  const settings = { batchSize, learningRate: batchSize / 2 ** random(0, 10), workers: 2 ** random(0, 3) };
  const vary = (middle: number) => random(middle - 2, middle + 2);
  const scales = { activation: vary(4), logit: vary(4), exponential: vary(6), probability: vary(8), gradient: vary(8) };
  try {
    return perceptronProgram(sizes, random(0, 1) === 0 ? settings : { ...settings, scales });
  } catch (error) {
    if (error instanceof CompileError && error.code === "WidthsDoNotFit") return undefined;
    throw error;
  }
}

/** Mostly the usual initial weights, sometimes much larger ones up to the limit. */
function randomWeights(program: IntegerProgram, random: Random): Int32Array[] {
  const weights = initialWeights(
    program,
    Uint8Array.from({ length: 32 }, () => random(0, 255)),
  );
  const kind = random(0, 3);
  if (kind === 0) return weights;
  const limit = kind === 3 ? 2 ** 30 - 1 : 2 ** random(4, 29);
  return weights.map((tensor) => tensor.map(() => random(-limit, limit)));
}

/** Work between the steps, which must not change them. */
function evaluateOthers(executor: Executor, random: Random): void {
  const { input, loss } = executor.program;
  const count = random(1, 70);
  const x = Int8Array.from({ length: count * input.features }, () => random(-128, 127));
  const y = Uint8Array.from({ length: count }, () => random(0, loss.classes - 1));
  attempt(() => executor.evaluate(x, y, count));
}

/** Returns whether both overflowed. */
function compareStep(executor: Executor, random: Random, where: string): boolean {
  const { program } = executor;
  const { batchSize, input, loss } = program;
  const settings = referenceSettings(program);
  const values = Array.from({ length: batchSize * input.features }, () => random(-128, 127));
  const x = random(0, 1) === 0 ? Int8Array.from(values) : Int16Array.from(values);
  const y = Uint8Array.from({ length: batchSize }, () => random(0, loss.classes - 1));
  const before = executor.weights();
  const weights = before.map((tensor, i) => toMatrix(tensor, program.layers[i]!.outputs));
  const matrix = toMatrix(values, input.features);
  const expectedLogits = attempt(() => referenceLogits(settings, weights, matrix).flat().map(Number));
  expectEqual(
    attempt(() => [...executor.logits(x, batchSize)]),
    expectedLogits,
    `${where}: logits`,
  );
  const expected = attempt(() =>
    referenceStep(settings, weights, matrix, [...y])
      .flat(2)
      .map(Number),
  );
  const actual = attempt(() => {
    executor.step(x, y);
    return executor.weights().flatMap((tensor) => [...tensor]);
  });
  expectEqual(actual, expected, `${where}: weights`);
  if (expected !== undefined) return false;
  const kept = executor.weights().flatMap((tensor) => [...tensor]);
  expectEqual(
    kept,
    before.flatMap((tensor) => [...tensor]),
    `${where}: weights after an overflow`,
  );
  return true;
}

/** The result, or undefined for an overflow. */
function attempt<T>(compute: () => T): T | undefined {
  try {
    return compute();
  } catch (error) {
    if (error instanceof OverflowError || error instanceof ReferenceOverflow) return undefined;
    throw error;
  }
}

function expectEqual(actual: number[] | undefined, expected: number[] | undefined, what: string): void {
  if (actual === undefined && expected === undefined) return;
  if (actual === undefined) throw new Error(`${what}: the executor overflows, the reference does not`);
  if (expected === undefined) throw new Error(`${what}: the reference overflows, the executor does not`);
  const at = expected.findIndex((value, i) => !Object.is(value + 0, actual[i]! + 0));
  if (at >= 0 || actual.length !== expected.length)
    throw new Error(`${what}: element ${at} is ${actual[at]} instead of ${expected[at]}`);
}

/** Random graphs of supported operators: the compiler makes a program of them or raises a typed error. */
async function fuzzCompile({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const report: Record<string, number> = { programs: 0 };
  for (let i = 0; i < count; i++) {
    const bytes = randomModel(randomIntegers(seed * 1_000_003 + i));
    try {
      compileTraining(parseModel(bytes), { batchSize: 8, learningRate: 1 / 2, workers: 2 });
      report["programs"]!++;
    } catch (cause) {
      if (!(cause instanceof CompileError) && !(cause instanceof OnnxError))
        throw new Error(`case ${i} of seed ${seed}: not a typed error: ${String(cause)}`, { cause });
      report[cause.code] = (report[cause.code] ?? 0) + 1;
    }
    onProgress?.(i + 1);
  }
  return report;
}

function randomModel(random: Random): Uint8Array {
  const model = new ModelBuilder({ name: "random" });
  const pick = <T>(choices: readonly T[]): T => choices[random(0, choices.length - 1)]!;
  const odd = () => random(0, 15) === 0;
  const size = () => (odd() ? random(0, 5) : 4);
  const values = [model.input("x", "float32", pick([["batch", 4], ["batch", 2, 2], [8, 4], ["a", "b"], ["batch"]]))];
  const at = () => (odd() ? pick(values) : values.at(-1)!);
  const layers = random(0, 12);
  for (let i = 0; i < layers; i++) {
    const [rows, columns] = [size(), size()];
    const w = () => model.constant(`w${i}`, "float32", [rows, columns], new Float32Array(rows * columns));
    const b = () => model.constant(`b${i}`, "float32", [columns], new Float32Array(columns));
    const shape = () => model.constant(`s${i}`, "int64", [2], BigInt64Array.of(pick([0n, -1n, 4n]), pick([4n, -1n])));
    const node = pick([
      () => model.node("Gemm", [at(), w(), b()], odd() ? { transB: 1n } : {}),
      () => model.node("Gemm", odd() ? [at(), w()] : [at(), w(), b()], odd() ? { alpha: 2 } : {}),
      () => model.node("Add", [model.node("MatMul", [at(), w()]), odd() ? at() : b()]),
      () => model.node("Relu", [at()]),
      () => model.node("Relu", [at()]),
      () => (i === 0 ? model.node("Flatten", [at()]) : model.node("Relu", [at()])),
      () => (i === 0 || odd() ? model.node("Reshape", [at(), shape()]) : model.node("Relu", [at()])),
      () => (odd() ? model.node("Softmax", [at()]) : model.node("Gemm", [at(), w(), b()])),
    ]);
    values.push(node());
  }
  model.output(odd() ? pick(values) : values.at(-1)!, "y", "float32", ["n", "m"]);
  return model.encode();
}

/** Run by `npm run fuzz -- NAME`. */
export const fuzzers = {
  executor: fuzzExecutor,
  compile: fuzzCompile,
  ...attackFuzzers,
  ...shapeFuzzers,
  ...hidingFuzzers,
};
