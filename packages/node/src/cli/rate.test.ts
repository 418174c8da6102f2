import { expect, test } from "vitest";
import { byteSize, rate } from "./rate.ts";

test("rates are read with their units, bytes and bits apart", () => {
  expect(["5MB", "20Mbit", "500 kB", "1.5MB/s", "800kbit", "1gbit"].map(rate)).toEqual([
    5_000_000, 2_500_000, 500_000, 1_500_000, 100_000, 125_000_000,
  ]);
});

test.each(["", "5", "MB", "-5MB", "0MB", "4000B", "5TB", "5 M", "1e9MB", "5MB/h"])("%s is no rate", (text) => {
  expect(() => rate(text)).toThrow(/such as 500kB/);
});

test("disk space is read with its units, and may be unlimited", () => {
  const texts = ["500MB", "20GiB", "1.5 TB", "unlimited"];
  expect(texts.map(byteSize)).toEqual([500_000_000, 20 * 2 ** 30, 1_500_000_000_000, Infinity]);
  for (const text of ["", "20", "63MB", "-1GB", "5kB", "1e9GB"]) expect(() => byteSize(text)).toThrow(/such as 500MB/);
});
