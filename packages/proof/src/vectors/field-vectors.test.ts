import { expect, test } from "vitest";
import { inverse, mod, P } from "../field/fr.ts";
import { randomIntegers } from "../testing.ts";
import { FieldVectors, type Term } from "./field-vectors.ts";
import { instantiateProofKernels } from "./kernels.ts";

const vectors = await FieldVectors.create();
const random = randomIntegers(7);

const element = (): bigint => {
  const edge = random(0, 9);
  if (edge < 4) return [0n, 1n, P - 1n, P - 2n][edge]!;
  let value = 0n;
  for (let i = 0; i < 9; i++) value = (value << 29n) | BigInt(random(0, 2 ** 29 - 1));
  return value % P;
};
const elements = (n: number): bigint[] => Array.from({ length: n }, element);
const sum = (values: readonly bigint[]): bigint => mod(values.reduce((a, b) => a + b, 0n));
const v = (values: readonly bigint[]) => vectors.fromBigInts(values);
const read = (vector: { at: number; length: number }) => vectors.toBigInts(vector);

/** Evaluation at x of the line through the values at 0 and 1. */
const line = (table: readonly bigint[], i: number, x: bigint): bigint =>
  table[i]! + x * (table[i + table.length / 2]! - table[i]!);

const at = (f: (x: bigint) => bigint) => Array.from({ length: 6 }, (_, x) => mod(f(BigInt(x))));

test("elements go in and out", () => {
  const values = elements(50);
  expect(read(v(values))).toEqual(values);
  expect(vectors.get(v(values), 17)).toBe(values[17]);
  expect(read(v([-1n, P, P + 3n]))).toEqual([P - 1n, 0n, 3n]);
  const doubles = [0, -0, 1, -1, 2 ** 29, -(2 ** 53 - 1), 2 ** 53 - 1, 2 ** 32];
  expect(read(vectors.fromIntegers(Float64Array.from(doubles)))).toEqual(doubles.map((d) => mod(BigInt(d))));
  expect(read(vectors.fromIntegers(Int32Array.of(-(2 ** 31), 5)))).toEqual([P - 2n ** 31n, 5n]);
  expect(read(vectors.fromIntegers(Int8Array.of(-128, 127)))).toEqual([P - 128n, 127n]);
  expect(read(vectors.zeros(3))).toEqual([0n, 0n, 0n]);
});

test("element-wise operations", () => {
  for (let round = 0; round < 20; round++) {
    const [a, b, k] = [elements(9), elements(9), element()];
    const target = v(a);
    vectors.add(target, v(b));
    expect(read(target)).toEqual(a.map((x, i) => mod(x + b[i]!)));
    vectors.addScaled(target, v(b), k);
    expect(read(target)).toEqual(a.map((x, i) => mod(x + b[i]! + k * b[i]!)));
    vectors.copyInto(target, v(b));
    vectors.scale(target, k);
    expect(read(target)).toEqual(b.map((x) => mod(k * x)));
    expect(read(vectors.subtractFrom(k, v(a)))).toEqual(a.map((x) => mod(k - x)));
    expect(read(vectors.multiply(v(a), v(b)))).toEqual(a.map((x, i) => mod(x * b[i]!)));
    expect(read(vectors.slice(v(a), 2, 3))).toEqual(a.slice(2, 5));
    const inverted = v(a);
    vectors.invert(inverted);
    expect(read(inverted)).toEqual(a.map((x) => inverse(x)));
  }
});

test("products of vectors and matrices", () => {
  const [rows, columns] = [5, 7];
  const [m, x, y] = [elements(rows * columns), elements(columns), elements(rows)];
  expect(vectors.dot(v(x), v(x))).toBe(sum(x.map((e) => e * e)));
  expect(read(vectors.outer(v(x), v(y)))).toEqual(y.flatMap((high) => x.map((low) => mod(high * low))));
  expect(read(vectors.rowDots(v(m), v(x)))).toEqual(y.map((_, r) => sum(x.map((e, c) => e * m[r * columns + c]!))));
  expect(read(vectors.columnDots(v(m), v(y)))).toEqual(x.map((_, c) => sum(y.map((e, r) => e * m[r * columns + c]!))));
});

test("integer matrices of every width, the widest integers included", () => {
  for (const bits of [1, 8, 13, 20, 31]) {
    for (const [rows, columns] of [
      [3, 50],
      [40, 4],
      [1, 1],
    ] as const) {
      const limit = 2 ** bits - 1;
      const matrix = Int32Array.from({ length: rows * columns }, () =>
        random(0, 3) === 0 ? [limit, -limit][random(0, 1)]! : random(-limit, limit),
      );
      const [x, y] = [elements(columns), elements(rows)];
      expect(read(vectors.integerRowDots(matrix, v(x)))).toEqual(
        y.map((_, r) => sum(x.map((e, c) => e * BigInt(matrix[r * columns + c]!)))),
      );
      expect(read(vectors.integerColumnDots(matrix, v(y)))).toEqual(
        x.map((_, c) => sum(y.map((e, r) => e * BigInt(matrix[r * columns + c]!)))),
      );
    }
  }
});

test("long sums of extreme integers do not overflow", () => {
  const n = 30_000;
  const values = Array.from({ length: n }, () => P - 1n);
  for (const k of [2 ** 31 - 1, -(2 ** 31)]) {
    const mark = vectors.mark();
    const result = read(vectors.integerRowDots(new Int32Array(n).fill(k), v(values)));
    expect(result).toEqual([mod(BigInt(-k) * BigInt(n))]);
    vectors.release(mark);
  }
});

test("tables over the cube", () => {
  const point = elements(4);
  const table = Array.from({ length: 16 }, (_, i) =>
    point.reduce((product, x, j) => mod(product * ((i >> j) & 1 ? x : 1n - x)), 1n),
  );
  expect(read(vectors.equality(point))).toEqual(table);
  expect(read(vectors.equality([]))).toEqual([1n]);

  const [values, x] = [elements(16), element()];
  expect(read(vectors.fold(v(values), x))).toEqual(Array.from({ length: 8 }, (_, i) => mod(line(values, i, x))));
  expect(read(vectors.foldLow(v(values), x))).toEqual(
    Array.from({ length: 8 }, (_, i) => mod(values[2 * i]! + x * (values[2 * i + 1]! - values[2 * i]!))),
  );
  expect(read(vectors.sumHalves(v(values)))).toEqual(
    Array.from({ length: 8 }, (_, i) => mod(values[i]! + values[i + 8]!)),
  );
});

test("polynomials", () => {
  const [values, x, y] = [elements(9), element(), 1234567n];
  const f = (at: bigint) => values.reduceRight((total, c) => mod(total * at + c), 0n);
  expect(vectors.evaluate(v(values), x)).toBe(f(x));
  const quotient = vectors.divideLinear(v(values), x);
  expect(quotient.length).toBe(9);
  expect(vectors.get(quotient, 8)).toBe(0n);
  expect(mod(vectors.evaluate(quotient, y) * (y - x) + f(x))).toBe(f(y));
});

test("the quadratic round", () => {
  const [a, b] = [elements(16), elements(16)];
  const f = (x: bigint) => sum(Array.from({ length: 8 }, (_, i) => line(a, i, x) * line(b, i, x)));
  const [c0, c2] = vectors.quadraticRound(v(a), v(b));
  expect(c0).toBe(f(0n));
  expect(mod(2n * c2)).toBe(mod(f(2n) - 2n * f(1n) + f(0n)));
});

test.for([1, 2, 4])("the lookup round with %i lanes", (lanes) => {
  for (const withNumerators of [false, true]) {
    const [eq, h] = [elements(4), elements(8)];
    const [d, n] = [Array.from({ length: lanes }, () => elements(8)), Array.from({ length: lanes }, () => elements(8))];
    const inner = (i: number, x: bigint): bigint => {
      const values = d.map((table) => line(table, i, x));
      const product = (skip: number) => values.reduce((p, value, j) => (j === skip ? p : mod(p * value)), 1n);
      const fractions = values.map((_, j) => (withNumerators ? line(n[j]!, i, x) : 1n) * product(j));
      return line(h, i, x) * product(-1) - sum(fractions);
    };
    expect(vectors.lookupRound(v(eq), v(h), d.map(v), withNumerators ? n.map(v) : null)).toEqual(
      at((x) => sum(eq.map((e, i) => e * inner(i, x)))),
    );
  }
});

test("the round of general terms", () => {
  const [eq, tables] = [elements(4), Array.from({ length: 4 }, () => elements(8))];
  const all: Term[] = [
    { coefficient: 1n, factors: [0, 1] },
    { coefficient: -1n, factors: [2] },
    { coefficient: element(), factors: [3, 3, 0, 1, 2] },
    { coefficient: 5n, factors: [] },
    { coefficient: 1n, factors: [] },
  ];
  // Every degree on its own: the kernel evaluates no more points than the degree needs.
  for (const terms of [...all.map((term) => [term]), all, []]) {
    const inner = (i: number, x: bigint) =>
      sum(
        terms.map(({ coefficient, factors }) => factors.reduce((p, f) => mod(p * line(tables[f]!, i, x)), coefficient)),
      );
    expect(vectors.termsRound(v(eq), tables.map(v), terms)).toEqual(at((x) => sum(eq.map((e, i) => e * inner(i, x)))));
  }
});

test("lengths that disagree are refused, and memory is a stack", () => {
  const error = expect.objectContaining({ code: "BadVector" });
  const [a, b] = [vectors.zeros(4), vectors.zeros(5)];
  expect(() => vectors.dot(a, b)).toThrow(error);
  expect(() => vectors.fold(b, 1n)).toThrow(error);
  expect(() => vectors.rowDots(b, a)).toThrow(error);
  expect(() => vectors.slice(a, 2, 3)).toThrow(error);
  expect(() => vectors.get(a, 4)).toThrow(error);
  expect(() => vectors.lookupRound(a, b, [b], null)).toThrow(error);
  expect(() => vectors.termsRound(a, [vectors.zeros(8)], [{ coefficient: 1n, factors: [1] }])).toThrow(error);
  const mark = vectors.mark();
  const first = vectors.zeros(100);
  vectors.release(mark);
  expect(vectors.zeros(100).at).toBe(first.at);
});

test("the end of memory is an error with a code, and leaves the vectors usable", () => {
  expect(() => vectors.zeros(2 ** 27)).toThrow(expect.objectContaining({ code: "OutOfMemory" }));
  expect(read(v([5n]))).toEqual([5n]);
});

test("the kernels take every lazy representative below 2p", async () => {
  const { kernels, memory } = await instantiateProofKernels();
  const [a, b, z, words] = [0, 1, 2, 3].map((i) => kernels.heapStart() + 64 * i) as [number, number, number, number];
  const R_INVERSE = inverse(1n << 261n);
  const write = (pointer: number, value: bigint) => {
    const limbs = new Uint32Array(memory.buffer, pointer, 9);
    for (let i = 0; i < 9; i++) limbs[i] = Number((value >> BigInt(29 * i)) & 0x1fffffffn);
  };
  const result = (): bigint => {
    kernels.toWords(words, z, 1);
    return new Uint32Array(memory.buffer, words, 8).reduceRight((value, word) => (value << 32n) | BigInt(word), 0n);
  };
  const lazy = [0n, 1n, P - 1n, P, P + 1n, 2n * P - 2n, 2n * P - 1n];
  for (const x of lazy) {
    for (const y of lazy) {
      write(a, x);
      write(b, y);
      const [p, q] = [mod(x * R_INVERSE), mod(y * R_INVERSE)];
      kernels.multiply(z, a, b, 1);
      expect(result()).toBe(mod(p * q));
      kernels.subtractFrom(z, a, b, 1);
      expect(result()).toBe(mod(p - q));
      write(z, x);
      kernels.add(z, b, 1);
      expect(result()).toBe(mod(p + q));
    }
    write(z, x);
    kernels.invert(z, 1, a);
    expect(result()).toBe(inverse(mod(x * R_INVERSE)));
  }
});
