import fs from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StorageError } from "../../errors.ts";
import { fixture, openTestFolder, readAll, type TestFolder } from "../../testing-files.ts";
import { checkRuns, checkThrift } from "./guard.ts";

let folder: TestFolder;
beforeAll(async () => {
  folder = await openTestFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const read = (name: string) => readAll(fixture(`parquet/${name}`));
const rows = Array.from({ length: 1000 }, (_, row) => row);
const failure = async (promise: Promise<unknown>) => {
  const error = await promise.catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(StorageError);
  return error as StorageError;
};

describe("Parquet files of other programs", () => {
  it.each(["snappy", "gzip", "zstd", "lz4", "brotli", "none", "v2"])(
    "numbers, booleans, dictionaries and missing values, as pyarrow wrote them (%s)",
    async (codec) => {
      const { reader, values, blocks } = await read(`numbers.${codec}.parquet`);
      expect(reader.rows).toBe(1000);
      expect(reader.columns.map(({ name, kind }) => `${name} ${kind}`)).toEqual(
        ["i8", "u16", "i64", "f16", "f32", "f64", "flag", "kind"].map((name) => `${name} cells`),
      );
      expect(values).toEqual([
        rows.map((i) => (i % 100) - 50),
        rows.map((i) => i * 60),
        rows.map((i) => i * 1e9),
        rows.map((i) => i / 8),
        rows.map((i) => i / 4),
        rows.map((i) => (i % 7 === 0 ? null : i / 3)),
        rows.map((i) => i % 2 === 0),
        rows.map((i) => ["red", "green", "blue", null][i % 4]),
      ]);
      expect(blocks.map((block) => block.rows)).toEqual([300, 300, 300, 100]);
      expect(blocks[1]!.locate(0)).toBe("row 301");
    },
  );

  it("lists of numbers are tensors", async () => {
    const { reader, values } = await read("tensors.zstd.parquet");
    expect(reader.columns).toEqual([
      { name: "image", kind: "tensor", shape: [4], dtype: "float32" },
      { name: "fixed", kind: "tensor", shape: [2], dtype: "uint8" },
      { name: "grid", kind: "tensor", shape: [2, 3], dtype: "int32" },
      { name: "label", kind: "cells" },
    ]);
    expect(values[0]).toEqual(rows.flatMap((i) => [i, i + 1, i + 2, i + 3]));
    expect(values[1]).toEqual(rows.flatMap((i) => [i % 256, i % 3]));
    expect(values[2]).toEqual(rows.flatMap((i) => [i % 10, 1, 2, 3, 4, 5]));
    expect(values[3]).toEqual(rows.map((i) => i % 3));
  });

  it("dates and times are milliseconds, decimals are numbers", async () => {
    const { values } = await read("dates.parquet");
    expect(values[0]!.slice(0, 2)).toEqual([Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2)]);
    expect(values[1]!.slice(0, 2)).toEqual([Date.UTC(2026, 0, 1, 0), Date.UTC(2026, 0, 1, 1)]);
    expect(values[2]!.slice(0, 5)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });

  it("a file of DuckDB", async () => {
    const { reader, values } = await read("duckdb.zstd.parquet");
    const all = Array.from({ length: 3000 }, (_, row) => row);
    expect(reader.columns.map(({ name }) => name)).toEqual(["id", "half", "label", "gap", "big"]);
    expect(values[0]).toEqual(all);
    expect(values[1]).toEqual(all.map((i) => i / 2));
    expect(values[2]).toEqual(all.map((i) => `class ${i % 3}`));
    expect(values[3]).toEqual(all.map((i) => (i % 5 === 0 ? null : i % 11)));
    expect(values[4]).toEqual(all.map((i) => i * 1e12));
  });
});

describe("Parquet files that are refused", () => {
  it.each<[string, string, RegExp]>([
    ["ragged.parquet", "BadFile", /column "path", row 2: its list is not one of 2 numbers/],
    ["binary.parquet", "UnsupportedFile", /column "raw": unsupported: it has bytes that are not text/],
    ["struct.parquet", "UnsupportedFile", /column "who" has records or maps/],
  ])("%s, by the name of the column", async (name, code, message) => {
    expect(await failure(read(name))).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("one that is cut off anywhere", async () => {
    const bytes = await fs.readFile(fixture("parquet/numbers.snappy.parquet"));
    for (const length of [4, 11, 100, 5000, bytes.length - 9, bytes.length - 1]) {
      const file = await folder.write("cut.parquet", bytes.subarray(0, length));
      const error = await failure(readAll(file));
      expect(error.code).toBe("BadFile");
      expect(error.message).toContain("cut.parquet");
    }
  });

  it("one whose footer announces more than there is", async () => {
    const bytes = await fs.readFile(fixture("parquet/numbers.none.parquet"));
    bytes.writeUInt32LE(0xfffffff0, bytes.length - 8);
    const file = await folder.write("footer.parquet", bytes);
    expect(await failure(readAll(file))).toMatchObject({
      code: "BadFile",
      message: expect.stringMatching(/longer than/),
    });
  });

  it("numbers without end, depth without end and long lists in its structures", () => {
    expect(() => checkThrift(new Uint8Array(1000).fill(0xff), 1000)).toThrow("unknown type");
    expect(() => checkThrift(Uint8Array.of(0x16, ...Array.from({ length: 20 }, () => 0x80)), 1000)).toThrow(
      "does not end",
    );
    expect(() => checkThrift(new Uint8Array(1000).fill(0x1c), 1000)).toThrow("too deep");
    // A list of 2^31 booleans, of which there is one.
    expect(() => checkThrift(Uint8Array.of(0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 1), 1000)).toThrow("cut off");
    expect(() => checkThrift(Uint8Array.of(0x19, 0xf1, 0x90, 0x4e, ...new Uint8Array(10_000)), 1000)).toThrow(
      "too many",
    );
  });

  it("runs of values that are longer than their page", () => {
    // One run of 2^27 equal values, in six bytes.
    expect(() => checkRuns(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x01, 7), 3, 1000)).toThrow(
      "more values than its page",
    );
    expect(() => checkRuns(Uint8Array.of(0xd0, 0x0f, 7), 3, 1000)).not.toThrow();
  });
});
