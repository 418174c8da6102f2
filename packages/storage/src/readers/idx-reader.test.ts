import fs from "node:fs/promises";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeIdx } from "../idx.ts";
import { joinReaders } from "../prepare/combine-readers.ts";
import { labelsBeside } from "./idx.ts";
import { openTestFolder, type TestFolder } from "../testing-files.ts";
import { openReader } from "./open.ts";
import { readRows } from "./testing-rows.ts";

let scratch: TestFolder;
beforeAll(async () => {
  scratch = await openTestFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const examples = path.join(import.meta.dirname, "..", "..", "..", "..", "examples", "fashion-mnist");
const IMAGES = path.join(examples, "t10k-images-idx3-ubyte.gz");

function idxOf(type: number, shape: number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, type, shape.length]);
  shape.forEach((size, i) => header.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

test("Fashion-MNIST: images with their labels, the same bytes as the file has", async () => {
  const labels = labelsBeside(IMAGES)!;
  const reader = joinReaders(await openReader(IMAGES), await openReader(labels));
  expect(reader).toMatchObject({
    rows: 10_000,
    columns: [
      { name: "image", kind: "tensor", shape: [28, 28], dtype: "uint8" },
      { name: "label", kind: "tensor", shape: [], dtype: "uint8" },
    ],
  });
  const parts: [Buffer[], Buffer[]] = [[], []];
  for await (const { columns } of reader.blocks())
    columns.forEach(({ values }, i) => parts[i]!.push(Buffer.from(values as Uint8Array)));
  const bytesOf = async (file: string) => gunzipSync(await fs.readFile(file));
  expect(Buffer.concat(parts[0]).equals((await bytesOf(IMAGES)).subarray(16))).toBe(true);
  expect(Buffer.concat(parts[1]).equals((await bytesOf(labels)).subarray(8))).toBe(true);
});

test.each([
  ["uint8", Uint8Array.of(0, 1, 2, 253, 254, 255)],
  ["int8", Int8Array.of(0, 1, 127, -128, -2, -1)],
])("what encodeIdx writes of type %s is what is read", async (dtype, data) => {
  const reader = await openReader(await scratch.write("written-idx2", encodeIdx({ shape: [2, 3], data })));
  expect(reader).toMatchObject({ rows: 2, columns: [{ shape: [3], dtype }] });
  expect((await readRows(reader)).columns.values).toEqual([[...data.subarray(0, 3)], [...data.subarray(3)]]);
});

test.each([
  ["int8", 0x09, Int8Array.of(-1, 2), [0xff, 2]],
  ["int16", 0x0b, Int16Array.of(-2, 258), [0xff, 0xfe, 1, 2]],
  ["int32", 0x0c, Int32Array.of(-2, 0x01020304), [0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4]],
  ["float32", 0x0d, Float32Array.of(1, -2), [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]],
  ["float64", 0x0e, Float64Array.of(1, -2), [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0]],
])("elements of type %s, plain and compressed", async (dtype, type, values, bytes) => {
  const data = idxOf(type, [1, 2], Uint8Array.from(bytes));
  for (const content of [data, gzipSync(data)]) {
    const reader = await openReader(await scratch.write("some-idx2", content));
    expect(reader.columns).toEqual([{ name: "values", kind: "tensor", shape: [2], dtype }]);
    expect((await readRows(reader)).columns.values).toEqual([[...values]]);
  }
});

const plain = idxOf(8, [3, 2], new Uint8Array(6));
test.each([
  ["an empty file", Buffer.alloc(0), "TruncatedFile", "ends at byte 0"],
  ["a cut header", plain.subarray(0, 9), "TruncatedFile", "within the dimensions"],
  ["cut data", plain.subarray(0, -1), "TruncatedFile", "expected 18 bytes, found 17"],
  ["cut compressed data", gzipSync(plain.subarray(0, -1)), "TruncatedFile", "1 bytes are missing"],
  ["a cut compressed file", gzipSync(plain).subarray(0, -12), "TruncatedFile", "cut off"],
  ["bytes after the end", Buffer.concat([plain, plain]), "BadFile", "bytes follow"],
  ["another file", Buffer.from("\x89PNG\r\n"), "BadFile", "it begins with"],
  ["an unknown type", idxOf(0x0a, [1], new Uint8Array(1)), "BadFile", "00 00 0a 01"],
  ["absurd dimensions", idxOf(8, [2 ** 32 - 1, 2 ** 32 - 1], new Uint8Array()), "TooLarge", "is too large"],
  ["more rows than bytes", idxOf(8, [2 ** 32 - 1], new Uint8Array()), "TruncatedFile", "found 8"],
])("%s is refused with the reason", async (_name, bytes, code, text) => {
  const file = await scratch.write("bad-idx2", bytes);
  const read = async () => readRows(await openReader(file, { format: "idx" }));
  await expect(read()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
  await expect(read()).rejects.toThrow("bad-idx2");
});
