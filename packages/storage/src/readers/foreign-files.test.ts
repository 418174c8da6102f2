import fs from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { fixture, readAll } from "../testing-files.ts";

const numbers = (values: readonly unknown[]) => values.map(Number);
const sum = (values: readonly unknown[]) => numbers(values).reduce((total, value) => total + value, 0);
const counts = (values: readonly unknown[]) =>
  Object.fromEntries([...Map.groupBy(values, String)].map(([value, all]) => [value, all.length]));

describe("the files of scikit-learn", () => {
  it.each([
    ["iris.csv", 150, 4, { setosa: 50, versicolor: 50, virginica: 50 }, [876.5, 458.6, 563.7, 179.9]],
    ["iris.csv.gz", 150, 4, { setosa: 50, versicolor: 50, virginica: 50 }, [876.5, 458.6, 563.7, 179.9]],
    ["wine_data.csv", 178, 13, { class_0: 59, class_1: 71, class_2: 48 }, [2314.11, 415.87]],
    ["wine_data.csv.zst", 178, 13, { class_0: 59, class_1: 71, class_2: 48 }, [2314.11, 415.87]],
    ["breast_cancer.csv", 569, 30, { malignant: 212, benign: 357 }, [8038.429, 10975.81]],
  ])(
    "%s has the rows, features and classes that its documentation says",
    async (name, rows, features, classes, sums) => {
      const { reader, values } = await readAll(fixture(`sklearn/${name}`));
      expect(reader.columns).toHaveLength(features + 1);
      expect(reader.rows).toBe(rows);
      expect(reader.classes).toEqual(Object.keys(classes));
      expect(counts(values.at(-1)!)).toEqual(classes);
      sums.forEach((expected, column) => expect(sum(values[column]!)).toBeCloseTo(expected, 2));
    },
  );

  it("digits.csv.gz has 64 pixels and a digit in each of 1,797 rows", async () => {
    const { reader, values } = await readAll(fixture("sklearn/digits.csv.gz"));
    expect(reader.columns.map(({ name }) => name)).toEqual(Array.from({ length: 65 }, (_, column) => `c${column + 1}`));
    expect(values[0]).toHaveLength(1797);
    expect(counts(numbers(values[64]!))).toEqual({
      0: 178,
      1: 182,
      2: 177,
      3: 183,
      4: 181,
      5: 182,
      6: 181,
      7: 179,
      8: 174,
      9: 180,
    });
    const pixels = values.slice(0, 64).reduce((total, column) => total + sum(column), 0);
    const text = gunzipSync(fs.readFileSync(fixture("sklearn/digits.csv.gz"))).toString();
    const all = text.trim().split(/[\n,]/);
    expect(pixels + sum(values[64]!)).toBe(sum(all));
  });
});
