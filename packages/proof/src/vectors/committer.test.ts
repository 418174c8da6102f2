import { afterAll, expect, test } from "vitest";
import { add, INFINITY, multiply, negate, GENERATOR, type Point } from "../field/curve.ts";
import { P } from "../field/fr.ts";
import { randomIntegers } from "../testing.ts";
import { createCommitter } from "./committer.ts";
import { FieldVectors } from "./field-vectors.ts";
import { instantiateProofKernels } from "./kernels.ts";
import { Multiexp, planIntegers, planWords, type Scalars, scalarCount } from "./multiexp.ts";
import { kernelPoints } from "./points.ts";

const random = randomIntegers(3);

/** Points with known logarithms, so that a sum is one multiplication: log_0 + i. */
const LENGTH = 3000;
const logs = Array.from({ length: LENGTH }, (_, i) => 1000n + BigInt(i));
const points: Point[] = [multiply(GENERATOR, logs[0]!)];
for (let i = 1; i < LENGTH; i++) points.push(add(points[i - 1]!, GENERATOR));

const wordsOf = (values: readonly bigint[]): Uint32Array =>
  Uint32Array.from(
    values.flatMap((value) => Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(32 * i)) & 0xffffffffn))),
  );

const valuesOf = (scalars: Scalars): bigint[] => {
  if ("integers" in scalars) return Array.from(scalars.integers, BigInt);
  return Array.from({ length: scalarCount(scalars) }, (_, i) =>
    scalars.words.subarray(8 * i, 8 * i + 8).reduceRight((value, word) => (value << 32n) | BigInt(word), 0n),
  );
};

const expected = (scalars: Scalars, logarithms: readonly bigint[] = logs): Point =>
  multiply(
    GENERATOR,
    valuesOf(scalars).reduce((total, k, i) => total + k * logarithms[i]!, 0n),
  );

const element = (): bigint => {
  let value = 0n;
  for (let i = 0; i < 9; i++) value = (value << 29n) | BigInt(random(0, 2 ** 29 - 1));
  return value % P;
};

async function multiexpOf(list: readonly Point[]): Promise<Multiexp> {
  return new Multiexp(await instantiateProofKernels(), kernelPoints(list));
}

const multiexp = await multiexpOf(points);

test("integers of every width", () => {
  for (let bits = 0; bits <= 53; bits++) {
    const limit = 2 ** bits - 1;
    const integers = Float64Array.from({ length: random(1, 300) }, (_, i) =>
      i < 2 ? [limit, -limit][i]! : Math.round(random(-1e9, 1e9) * (limit / 1e9)),
    );
    expect(multiexp.multiply({ integers })).toEqual(expected({ integers }));
  }
});

test("integers of all array types, and mostly small ones", () => {
  const small = Int32Array.from({ length: LENGTH }, () =>
    random(0, 99) === 0 ? random(-(2 ** 18), 2 ** 18) : random(-20, 20),
  );
  const extreme = Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, 1, -1);
  const bytes = Int8Array.from({ length: LENGTH }, () => random(-128, 127));
  for (const integers of [small, extreme, bytes, Int16Array.of(-32768, 32767)])
    expect(multiexp.multiply({ integers })).toEqual(expected({ integers }));
});

test("field elements, the edges of the field included", () => {
  for (const values of [
    Array.from({ length: LENGTH }, element),
    [0n, 1n, P - 1n, P - 2n, 2n ** 253n, (P - 1n) / 2n],
    Array.from({ length: 100 }, () => P - 1n),
    [P - 1n],
  ])
    expect(multiexp.multiply({ words: wordsOf(values) })).toEqual(expected({ words: wordsOf(values) }));
});

test("equal scalars, zeros and nothing", () => {
  const all = (k: number) => ({ integers: new Int32Array(LENGTH).fill(k) });
  for (const k of [1, -1, 4097, -(2 ** 31)]) expect(multiexp.multiply(all(k))).toEqual(expected(all(k)));
  expect(multiexp.multiply(all(0))).toEqual(INFINITY);
  expect(multiexp.multiply({ integers: new Int32Array(0) })).toEqual(INFINITY);
  expect(multiexp.multiply({ words: new Uint32Array(0) })).toEqual(INFINITY);
  expect(multiexp.multiply({ words: new Uint32Array(800) })).toEqual(INFINITY);
});

test("an offset selects later points", () => {
  const integers = Int32Array.of(7, -3, 11);
  expect(multiexp.multiply({ integers }, 500)).toEqual(expected({ integers }, logs.slice(500)));
  expect(() => multiexp.multiply({ integers }, LENGTH - 2)).toThrow(expect.objectContaining({ code: "BadVector" }));
});

test("integers that doubles do not hold exactly are refused", () => {
  for (const value of [2 ** 53, -(2 ** 60), 1e300, Infinity])
    expect(() => multiexp.multiply({ integers: Float64Array.of(1, value) })).toThrow(
      expect.objectContaining({ code: "BadVector" }),
    );
});

test("points that repeat, cancel, or are infinity", async () => {
  // A small set of logarithms makes equal, opposite and infinite partial sums at every depth.
  for (const choices of [[1n], [1n, -1n], [0n], [0n, 1n, -1n, 2n], [5n, -5n, 10n, 0n, 15n]]) {
    const logarithms = Array.from({ length: 600 }, () => choices[random(0, choices.length - 1)]!);
    const list = logarithms.map((k) => (k < 0n ? negate(multiply(GENERATOR, -k)) : multiply(GENERATOR, k)));
    const structured = await multiexpOf(list);
    for (const scalars of [
      { integers: new Int32Array(600).fill(1) },
      { integers: Int32Array.from({ length: 600 }, () => random(-2, 2)) },
      { integers: Int32Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? 300000 : -300000)) },
      { integers: Int32Array.from({ length: 600 }, () => random(-(2 ** 19), 2 ** 19)) },
      { words: wordsOf(Array.from({ length: 600 }, () => [0n, 1n, P - 1n, element()][random(0, 3)]!)) },
    ])
      expect(structured.multiply(scalars)).toEqual(expected(scalars, logarithms));
  }
});

test("plans cover all bits", () => {
  const histogram = (bits: number, count: number) => Array.from({ length: 64 }, (_, b) => (b === bits ? count : 0));
  for (const bits of [1, 8, 13, 19, 31, 53]) {
    const widths = planIntegers(histogram(bits, 16384));
    expect(widths.reduce((a, b) => a + b, 0)).toBeGreaterThan(bits);
    expect(Math.max(...widths)).toBeLessThanOrEqual(15);
  }
  for (const n of [0, 1, 16384, 65536]) expect(planWords(n).reduce((a, b) => a + b, 0)).toBe(255);
});

const jobs: Scalars[] = [
  { integers: Int32Array.from({ length: LENGTH }, () => random(-(2 ** 18), 2 ** 18)) },
  { words: wordsOf(Array.from({ length: 2500 }, element)) },
  { integers: new Int32Array(0) },
  { integers: Int8Array.of(1, 2, 3) },
  { integers: Float64Array.from({ length: 2000 }, () => random(-1000, 1000)) },
];
const pool = await createCommitter({ points: kernelPoints(points), threads: 3 });
afterAll(() => pool.close());

test("several threads commit as one does", async () => {
  const single = await createCommitter({ points: kernelPoints(points) });
  const wanted = jobs.map((job) => expected(job));
  expect(await single.commit(jobs)).toEqual(wanted);
  expect(await pool.commit(jobs)).toEqual(wanted);
  expect(await Promise.all([pool.commit(jobs), pool.commit(jobs.toReversed())])).toEqual([wanted, wanted.toReversed()]);
  expect(await pool.commit([])).toEqual([]);
  expect(pool.length).toBe(LENGTH);
});

test("commitments to integers and to vectors", async () => {
  const vectors = await FieldVectors.create();
  const integers = Int32Array.of(5, -6, 2 ** 30);
  expect(await pool.commitIntegers(integers)).toEqual(expected({ integers }));
  expect(await pool.commitVector(vectors, vectors.fromIntegers(integers))).toEqual(expected({ integers }));
});

test("bad jobs and abort signals are refused", async () => {
  const error = expect.objectContaining({ code: "BadVector" });
  await expect(pool.commit([{ integers: new Int8Array(LENGTH + 1) }])).rejects.toThrow(error);
  await expect(pool.commit([{ words: new Uint32Array(9) }])).rejects.toThrow(error);
  await expect(pool.commit(jobs, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  const controller = new AbortController();
  const running = pool.commit([...jobs, ...jobs], { signal: controller.signal });
  controller.abort();
  await expect(running).rejects.toThrow(/abort/i);
});

test("ended threads refuse calls in flight and later ones", async () => {
  const committer = await createCommitter({ points: kernelPoints(points), threads: 2 });
  const running = committer.commit([...jobs, ...jobs, ...jobs]);
  const refused = expect(running).rejects.toThrow(expect.objectContaining({ code: "WorkerFailed" }));
  await committer.close();
  await refused;
  await expect(committer.commit(jobs)).rejects.toThrow(expect.objectContaining({ code: "WorkerFailed" }));
});
