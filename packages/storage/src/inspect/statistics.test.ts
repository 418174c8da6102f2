import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Cell, Column, RowBlock } from "../readers/reader.ts";
import { createStatistics, numberOf } from "./statistics.ts";

const cells = (name: string, values: Cell[]): Column => ({ kind: "cells", name, values });
const block = (rows: number, ...columns: Column[]): RowBlock => ({ rows, columns, locate: (row) => `row ${row}` });

function of(...parts: Cell[][]) {
  const statistics = createStatistics([{ name: "a", kind: "cells" }]);
  for (const values of parts) statistics.add(block(values.length, cells("a", values)));
  return statistics.result()[0]!;
}

test("a column of texts is counted by what the texts are", () => {
  const seen = of(["1", " 2.5", "true", "", "NA"], ["FALSE", "cat", "1", null, "inf", "1e999", "0x10", "  "]);
  expect(seen).toMatchObject({ rows: 13, missing: 4, empty: 2, numbers: 3, integers: 2, booleans: 2, infinite: 1 });
  expect(seen).toMatchObject({ distinct: 8, distinctExact: true });
  expect(seen.values[0]).toEqual({ value: "1", count: 2 });
  expect(seen.summary).toMatchObject({ count: 3, min: 1, max: 2.5, mean: 1.5 });
});

test.each([
  ["1", 1],
  ["-2.5e3", -2500],
  [" 007 ", 7],
  ["1e999", Infinity],
  ["0x1f", undefined],
  ["0b1", undefined],
  [" ", undefined],
  ["1,000", undefined],
  [true, undefined],
  [null, undefined],
])("%j spells %s", (cell, number) => {
  expect(numberOf(cell)).toBe(number);
});

test("mean and variance are right however the rows are cut into blocks, far from zero too", () => {
  const numbers = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(numbers, fc.nat(60), fc.constantFrom(0, 1e9), (values, cut, offset) => {
      const moved = values.map((value) => value + offset);
      const mean = moved.reduce((sum, value) => sum + value, 0) / moved.length;
      const variance = moved.reduce((sum, value) => sum + (value - mean) ** 2, 0) / moved.length;
      const { summary } = of(moved.slice(0, cut), moved.slice(cut));
      expect(summary!.count).toBe(values.length);
      expect(summary!.mean).toBeCloseTo(mean, 5);
      expect(Math.abs(summary!.variance - variance)).toBeLessThanOrEqual(1e-6 * (1 + variance));
    }),
    { numRuns: 200, seed: 1 },
  );
});

test("more than a thousand values are estimated", () => {
  const values = Array.from({ length: 50_000 }, (_, i) => `id-${i % 20_000}`);
  const seen = of(values.slice(0, 25_000), values.slice(25_000));
  expect(seen.distinctExact).toBe(false);
  expect(Math.abs(seen.distinct! - 20_000)).toBeLessThan(1_500);
  expect(seen.values).toEqual([]);
});

test("long texts are told apart without being kept", () => {
  const long = "x".repeat(100_000);
  const seen = of([`${long}a`, `${long}b`, `${long}a`]);
  expect(seen.distinct).toBe(2);
  expect(seen.values.map(({ count }) => count)).toEqual([2, 1]);
  expect(String(seen.values[0]!.value).length).toBeLessThan(300);
});

test("tensors are summed up as a whole and number by number; NaN and infinity are left out and counted", () => {
  const statistics = createStatistics([
    { name: "x", kind: "tensor", shape: [2], dtype: "float32" },
    { name: "y", kind: "tensor", shape: [], dtype: "uint8" },
  ]);
  const values = new Float32Array([1, 10, 3, NaN, Infinity, 30]);
  statistics.add(
    block(
      3,
      { kind: "tensor", name: "x", shape: [2], values },
      { kind: "tensor", name: "y", shape: [], values: new Uint8Array([7, 7, 9]) },
    ),
  );
  const [x, y] = statistics.result();
  expect(x).toMatchObject({ nan: 1, infinite: 1, summary: { count: 4, min: 1, max: 30, mean: 11 } });
  expect(x!.elements).toEqual([
    { count: 2, min: 1, max: 3, mean: 2, variance: 1 },
    { count: 2, min: 10, max: 30, mean: 20, variance: 100 },
  ]);
  expect(y).toMatchObject({ distinct: 2, integers: 3, numbers: 3, values: [{ value: 7, count: 2 }, { value: 9 }] });
});

test("a table of very many columns is summed up in little memory, with all values of its target", () => {
  const columns = Array.from({ length: 20_000 }, (_, i) => ({ name: `c${i}`, kind: "cells" as const }));
  const statistics = createStatistics(columns, { target: 7 });
  const values = Array.from({ length: 100 }, (_, row) => String(row));
  statistics.add(block(100, ...columns.map(({ name }) => cells(name, values))));
  const seen = statistics.result();
  expect(seen[7]).toMatchObject({ distinct: 100, distinctExact: true });
  expect(seen[8]!.distinctExact).toBe(false);
  expect(Math.abs(seen[8]!.distinct! - 100)).toBeLessThan(20);
});
