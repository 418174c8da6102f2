import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fixture, openTestFolder, type TestFolder } from "../testing-files.ts";
import { openReader } from "./open.ts";
import { readRows } from "./testing-rows.ts";
import { zipOf } from "./testing-zip.ts";

let scratch: TestFolder;
beforeAll(async () => {
  scratch = await openTestFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const npy = (name: string) => openReader(fixture(`numpy-and-images/${name}`));
const npz = (name: string, options = {}) => openReader(fixture(`numpy-and-images/${name}`), options);

/** A .npy file, version 1, with this header. */
function npyOf(header: string, data: Uint8Array = new Uint8Array(), version = 1): Buffer {
  const text = Buffer.from(`${header}\n`, "latin1");
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUInt16LE(text.length, 0);
  return Buffer.concat([Buffer.from(`\x93NUMPY`, "latin1"), Buffer.from([version, 0]), length, text, data]);
}
const header = (descr: string, shape: string, fortran = "False") =>
  `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

const QUARTERS = [0, 1, 2, 3].map((row) => [0, 1, 2].map((column) => (3 * row + column) / 4));

test.each([
  ["float32.npy", "float32", [3], QUARTERS],
  ["float64-big-endian.npy", "float64", [3], QUARTERS],
  ["int64.npy", "int64", [], [-(2 ** 53) + 1, -1, 0, 2 ** 53 - 1]],
  ["float16.npy", "float16", [], [0.5, -2, Infinity, NaN]],
  [
    "bool.npy",
    "bool",
    [2],
    [
      [1, 0],
      [0, 1],
    ],
  ],
])("%s of NumPy is read as %s", async (name, dtype, shape, rows) => {
  const reader = await npy(name);
  expect(reader.columns).toEqual([{ name: "values", kind: "tensor", shape, dtype }]);
  expect(reader.rows).toBe(4 - (name === "bool.npy" ? 2 : 0));
  const { columns, where } = await readRows(reader);
  expect(columns.values).toEqual(rows);
  expect(where[1]).toBe("row 1");
});

test.each([
  ["text.npy", ["é", "", "日本語", "😀b"]],
  ["bytes.npy", ["one", "two", "", "four"]],
])("%s of NumPy is read as cells", async (name, cells) => {
  const reader = await npy(name);
  expect(reader.columns).toEqual([{ name: "values", kind: "cells" }]);
  expect((await readRows(reader)).columns.values).toEqual(cells);
});

test("a compressed array is read, and one longer than a block comes in several, as often as asked", async () => {
  const data = new Uint8Array(3_000_000).map((_, i) => i % 251);
  const file = await scratch.write("large.npy.gz", gzipSync(npyOf(header("'|u1'", "(3000, 1000)"), data)));
  const reader = await openReader(file);
  for (let time = 0; time < 2; time++) {
    const seen: number[] = [];
    let last = [0, 0];
    for await (const block of reader.blocks({ onProgress: (...progress) => (last = progress) })) {
      seen.push(block.rows);
      expect(block.columns[0]!.values.length).toBeLessThanOrEqual(2 ** 20);
    }
    expect(seen.reduce((sum, rows) => sum + rows)).toBe(3_000);
    expect(seen.length).toBeGreaterThan(2);
    expect(last[0]).toBe(last[1]);
  }
  expect((await readRows(reader)).columns.values![2_999]).toEqual(Array.from(data.slice(2_999_000)));
});

test("versions 2 and 3 of the format, and the long integers of Python 2", async () => {
  for (const version of [1, 2, 3]) {
    const file = await scratch.write(
      "version.npy",
      npyOf(header('"<u2"', "(2L, 1)"), Uint8Array.of(1, 0, 0, 1), version),
    );
    expect((await readRows(await openReader(file))).columns.values).toEqual([[1], [256]]);
  }
});

test("the columns of an archive of savez are its arrays with the most rows", async () => {
  const reader = await npz("fashion.npz");
  expect(reader.columns).toEqual([
    { name: "x", kind: "tensor", shape: [28, 28], dtype: "uint8" },
    { name: "y", kind: "tensor", shape: [], dtype: "int64" },
    { name: "name", kind: "cells" },
  ]);
  expect(reader.notes).toEqual(["scale was left out: a single value"]);
  const { rows, columns } = await readRows(reader);
  expect(rows).toBe(40);
  expect(columns.y!.slice(0, 5)).toEqual([9, 2, 1, 1, 6]);
  expect(columns.name!.slice(0, 3)).toEqual(["boot", "pullover", "trouser"]);
});

test("of training and test arrays the longer ones are read, or those that are asked for", async () => {
  const reader = await npz("fashion-compressed.npz");
  expect(reader.columns.map(({ name }) => name)).toEqual(["x_train", "y_train"]);
  expect(reader.notes).toEqual(["x_test", "y_test"].map((name) => `${name} was left out: 10 rows instead of 40`));
  const { columns } = await readRows(await npz("fashion-compressed.npz", { arrays: ["x_test", "y_test"] }));
  const both = await readRows(await npz("fashion.npz"));
  expect(columns.x_test).toHaveLength(10);
  expect((await readRows(reader)).columns.x_train).toEqual(both.columns.x);
});

const DESCR = "'<f4'";
test.each([
  ["object.npy", "UnsupportedFile", "Python objects (a pickle) is never read"],
  ["record.npy", "UnsupportedFile", "array of records"],
  ["fortran.npy", "UnsupportedFile", "Fortran order"],
])("%s of NumPy is refused", async (name, code, text) => {
  await expect(npy(name)).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
});

test("an integer that is too large for a double is an error with its row", async () => {
  const reader = await npy("int64-too-large.npy");
  await expect(readRows(reader)).rejects.toMatchObject({
    code: "BadFile",
    message: expect.stringMatching(/int64-too-large.npy: row 1: an integer of about 9007199254740992/) as string,
  });
});

test.each([
  ["another file", Buffer.from("hello, world"), "BadFile", "does not begin with"],
  ["an empty file", Buffer.alloc(0), "TruncatedFile", "ends at byte 0"],
  ["a cut header", npyOf(header(DESCR, "(1,)")).subarray(0, 30), "TruncatedFile", "within the header"],
  ["cut data", npyOf(header(DESCR, "(2,)"), new Uint8Array(7)), "TruncatedFile", "found"],
  ["code for a header", npyOf("__import__('os').system('true')"), "BadFile", "not a Python literal"],
  ["a call in a header", npyOf(header(DESCR, "tuple([1])")), "BadFile", "not a Python literal"],
  ["arithmetic in a header", npyOf(header(DESCR, "(2**60,)")), "BadFile", "not a Python literal"],
  ["a nest of brackets", npyOf("[".repeat(5_000)), "BadFile", "nested too deeply"],
  ["a header that lacks its shape", npyOf("{'descr': '<f4', 'fortran_order': False}"), "BadFile", "dictionary"],
  ["a key twice", npyOf("{'shape': (1,), 'shape': (2,), 'descr': '<f4'}"), "BadFile", "twice"],
  ["a negative size", npyOf(header(DESCR, "(-1,)")), "BadFile", "not one of sizes"],
  ["a huge shape", npyOf(header(DESCR, "(4, 4294967296, 4294967296)")), "TooLarge", "is too large"],
  ["a product that overflows", npyOf(header("'<f8'", `(${2 ** 52}, 8)`)), "TooLarge", "is too large"],
  ["sizes beyond integers", npyOf(header(DESCR, "(99999999999999999999,)")), "BadFile", "not one of sizes"],
  ["rows of nothing", npyOf(header(DESCR, "(1000000000000, 0)")), "BadFile", "no values"],
  ["a single value", npyOf(header(DESCR, "()"), new Uint8Array(4)), "UnsupportedFile", "a single value"],
  ["complex numbers", npyOf(header("'<c16'", "(1,)"), new Uint8Array(16)), "UnsupportedFile", "<c16"],
  ["many texts in a row", npyOf(header("'<U1'", "(1, 2)"), new Uint8Array(8)), "UnsupportedFile", "2 texts"],
  ["a text of a gigabyte", npyOf(header("'<U268435456'", "(1,)")), "TooLarge", "is too large"],
  ["version 9", npyOf(header(DESCR, "(1,)"), new Uint8Array(4), 9), "UnsupportedFile", "version 9"],
  ["a header of 2 GB", Buffer.from("\x93NUMPY\x02\x00\xff\xff\xff\x7f", "latin1"), "TooLarge", "a header of"],
  ["bytes after the end", npyOf(header(DESCR, "(1,)"), new Uint8Array(5)), "BadFile", "bytes follow"],
  ["a lone surrogate", npyOf(header("'<U1'", "(1,)"), Uint8Array.of(0, 0, 0x11, 0)), "BadFile", "row 0"],
  ["bad UTF-8", npyOf(header("'|S1'", "(2,)"), Uint8Array.of(65, 0xff)), "BadFile", "row 1"],
])("%s is refused with the reason", async (_name, bytes, code, text) => {
  const file = await scratch.write("bad.npy", bytes);
  const read = async () => readRows(await openReader(file));
  await expect(read()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
  await expect(read()).rejects.toThrow("bad.npy");
});

const good = npyOf(header("'|u1'", "(4,)"), Uint8Array.of(1, 2, 3, 4));
test.each([
  ["no array", zipOf([{ name: "a.txt", data: good }]), "BadFile", "no array"],
  ["an array that is cut off", zipOf([{ name: "a.npy", data: good.subarray(0, -1) }]), "TruncatedFile", "entry a.npy"],
  ["a pickle", zipOf([{ name: "a.npy", data: npyOf(header("'|O'", "(1,)")) }]), "UnsupportedFile", "entry a.npy"],
  ["a path out of it", zipOf([{ name: "../a.npy", data: good }]), "UnsafePath", "../a.npy"],
  [
    "an array that inflates to more than it says",
    zipOf([
      { name: "a.npy", data: Buffer.concat([good, Buffer.alloc(9)]), deflate: true, says: { bytes: good.length } },
    ]),
    "TooLarge",
    "more comes out",
  ],
  ["a wrong checksum", zipOf([{ name: "a.npy", data: good, says: { crc32: 1 } }]), "BadFile", "checksum"],
  ["half an archive", zipOf([{ name: "a.npy", data: good }]).subarray(0, -30), "BadFile", "not a readable zip"],
])("an archive with %s is refused", async (_name, bytes, code, text) => {
  const file = await scratch.write("bad.npz", bytes);
  const read = async () => readRows(await openReader(file));
  await expect(read()).rejects.toMatchObject({ code, message: expect.stringContaining(text) as string });
});
