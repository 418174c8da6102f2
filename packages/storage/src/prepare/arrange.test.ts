import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { arrange, createSplit, partFiles } from "./arrange.ts";

async function arranged(rows: number, bucketBytes: number, seed: Uint8Array, isTest: (row: number) => boolean) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-arrange-"));
  async function* blocks() {
    for (let first = 0; first < rows; first += 7) {
      const size = Math.min(7, rows - first);
      const number = Array.from({ length: size }, (_, i) => first + i);
      yield { rows: size, x: Int8Array.from(number.flatMap((n) => [n >> 7, n & 127])), y: Uint8Array.from(number) };
    }
  }
  const seen: string[] = [];
  const onRow = (part: string, label: number) => void seen.push(`${part} ${label}`);
  const counts = await arrange(blocks(), { folder, features: 2, rows, seed, isTest, onRow, bucketBytes });
  const numbers = async (part: "train" | "test") => {
    const [x, y] = await Promise.all([fs.readFile(partFiles(folder, part).x), fs.readFile(partFiles(folder, part).y)]);
    return Array.from(y, (label, i) => {
      const number = x[2 * i]! * 128 + x[2 * i + 1]!;
      expect(label, "a class stays with its inputs").toBe(number % 256);
      return number;
    });
  };
  const result = { counts, train: await numbers("train"), test: await numbers("test"), seen: seen.length };
  expect((await fs.readdir(folder)).toSorted()).toEqual(["test.x.bin", "test.y.bin", "train.x.bin", "train.y.bin"]);
  await fs.rm(folder, { recursive: true });
  return result;
}

test("every row goes to its part once, in an order that only the seed decides, whatever fits the memory", async () => {
  const rows = fc.integer({ min: 1, max: 400 });
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 3, max: 1500 }), fc.uint8Array(), async (count, bucketBytes, seed) => {
      const isTest = (row: number) => row % 5 === 4;
      const { counts, train, test, seen } = await arranged(count, bucketBytes, seed, isTest);
      const all = Array.from({ length: count }, (_, i) => i);
      expect(test).toEqual(all.filter(isTest));
      expect(train.toSorted((a, b) => a - b)).toEqual(all.filter((row) => !isTest(row)));
      expect(counts).toEqual({ train: train.length, test: test.length });
      expect(seen).toBe(count);
      expect((await arranged(count, bucketBytes, seed, isTest)).train).toEqual(train);
    }),
    { seed: 1, numRuns: 25 },
  );
});

test("rows of one place of the file are spread over all places, with one bucket and with many", async () => {
  for (const bucketBytes of [3000, 150]) {
    const { train } = await arranged(900, bucketBytes, Uint8Array.of(5), () => false);
    const places = train.flatMap((row, place) => (row < 300 ? [place] : []));
    const mean = places.reduce((sum, place) => sum + place, 0) / 300;
    // uniform places have the mean 449.5 with a deviation of 12
    expect(Math.abs(mean - 449.5)).toBeLessThan(60);
  }
});

test("without the classes of all rows about the wanted part is drawn", () => {
  const isTest = createSplit({ test: 0.2, seed: Uint8Array.of(1) });
  const drawn = Array.from({ length: 10_000 }, (_, row) => isTest(row)).filter(Boolean).length;
  expect(Math.abs(drawn - 2000)).toBeLessThan(200);
});
