import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openReader } from "../readers/open.ts";
import type { DataReader } from "../readers/reader.ts";
import { datasetFileSchema } from "../schema/dataset-file.ts";
import { prepareDataset, type PrepareOptions } from "./prepare.ts";
import type { PreparedPart } from "./prepared.ts";

let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-prepare-"));
});
afterEach(() => fs.rm(folder, { recursive: true }));

const seed = Uint8Array.of(1, 2, 3);
const write = async (name: string, text: string): Promise<string> => {
  await fs.writeFile(path.join(folder, name), text);
  return name;
};

async function prepare(dataset: object, options: Partial<PrepareOptions> = {}) {
  return prepareDataset({
    dataset: datasetFileSchema.parse(dataset),
    name: "data",
    folder: path.join(folder, "datasets"),
    resolve: async (reference) => path.join(folder, reference),
    open: (file, { format, skip, header }, arrays) => openReader(file, { format, skip, header, arrays }),
    seed,
    ...options,
  });
}

/** Rows as texts of inputs and class. */
async function rowsIn(part: PreparedPart, features: number): Promise<string[]> {
  const { x, y } = await part.read(0, part.rows);
  return Array.from(y, (label, i) => `${x.subarray(i * features, (i + 1) * features).join(" ")}:${label}`);
}

/** A table of 90 flowers in three classes, of which b is twice as frequent as the others. */
const flowers = () =>
  [
    "width,kind,height",
    ...Array.from({ length: 90 }, (_, i) => `${i / 10},${"abb c"[i % 5]?.trim() || "a"},${7 - i}`),
  ].join("\n");

test("a table becomes inputs around 0, its classes are found, and each class has the same part for testing", async () => {
  const table = flowers();
  const data = await prepare({ train: await write("flowers.csv", table) }).catch((error: unknown) => error);
  expect(data).toMatchObject({ code: "BadSchema" });
  const found = await prepare({ train: "flowers.csv", target: "kind" });
  expect(found.schema.target).toEqual({ name: "kind", classes: ["a", "b", "c"] });
  expect(found.features).toBe(2);
  expect(found.rows).toEqual({ train: 72, test: 18, dropped: 0 });
  expect(found.classes).toEqual({ train: [29, 29, 14], test: [7, 7, 4] });
  const { x } = await found.train.read(0, 72);
  expect(Math.max(...x)).toBeLessThanOrEqual(55);
  expect(Math.abs(x.reduce((sum, value) => sum + value, 0) / x.length)).toBeLessThan(4);
});

test("what was prepared before is not read again; another seed or setting is another dataset", async () => {
  await write("flowers.csv", flowers());
  const open = vi.fn<PrepareOptions["open"]>((file) => openReader(file));
  const dataset = { train: "flowers.csv", target: "kind" };
  const first = await prepare(dataset, { open });
  expect(open).toHaveBeenCalledTimes(1);
  const second = await prepare({ ...dataset, description: "words change nothing" }, { open });
  expect(open).toHaveBeenCalledTimes(1);
  expect(second.id).toBe(first.id);
  expect(await rowsIn(second.train, 2)).toEqual(await rowsIn(first.train, 2));
  const other = await prepare(dataset, { open, seed: Uint8Array.of(9) });
  expect(other.id).not.toBe(first.id);
  const [a, b] = [await rowsIn(first.train, 2), await rowsIn(other.train, 2)];
  expect(b).not.toEqual(a);
  expect(b.toSorted()).toEqual(a.toSorted());
  expect((await prepare({ ...dataset, split: { test: 0.5 } }, { open })).rows.test).toBe(45);
  await fs.writeFile(path.join(folder, "datasets", first.id, "train.x.bin"), "cut off");
  expect(await rowsIn((await prepare(dataset, { open })).train, 2), "made anew").toEqual(a);
  await first.remove();
  expect(await fs.readdir(path.join(folder, "datasets"))).not.toContain(first.id);
});

test("categories, text, order and missing values become inputs as dataset.yaml says", async () => {
  await write(
    "people.csv",
    `size,colour,words,grade,id,label
1,red,the cat,low,9,yes
3,blue,,high,8,no
,red,the dog,mid,7,yes
3,,The Dog!,low,6,no
1,blue,cat the,mid,,maybe
`,
  );
  const data = await prepare(
    {
      train: "people.csv",
      columns: {
        size: { normalise: { offset: 0, divisor: 2 } },
        words: { type: "text", size: 8 },
        grade: { encoding: "ordinal", classes: ["low", "mid", "high"] },
        id: "ignore",
        label: { classes: ["no", "yes", "maybe"] },
      },
    },
    { whole: true },
  );
  expect(data.schema.inputs.map(({ kind }) => kind)).toEqual(["number", "category", "text", "ordinal"]);
  expect(data.missing).toEqual({ size: 1, colour: 1 });
  expect(data.ignored).toEqual([{ name: "id", why: "as dataset.yaml says" }]);
  const rows = await rowsIn(data.train, data.features);
  const textOf = (row: string) => row.split(" ").slice(3, 11).join("");
  const at = (label: number, start: string) => rows.find((row) => row.endsWith(`:${label}`) && row.startsWith(start))!;
  expect(at(1, "32 0 64"), "1, red, low").toMatch(/-64:1$/);
  expect(at(1, "64 0 64"), "the mean of the sizes, red, mid").toMatch(/ 0:1$/);
  expect(at(0, "96 64 0"), "3, blue, high").toMatch(/ 64:0$/);
  expect(at(0, "96 0 0"), "no colour").toMatch(/-64:0$/);
  expect(textOf(at(1, "64"))).toBe(textOf(at(0, "96 0 0")));
  expect(textOf(at(1, "32"))).toBe(textOf(at(2, "32")));
  expect(textOf(at(0, "96 64"))).toBe("00000000");
  const dropped = await prepare(
    {
      train: "people.csv",
      columns: { size: { missing: "drop" }, colour: { missing: "drop" }, id: "ignore", words: "ignore" },
    },
    { whole: true },
  );
  expect(dropped.rows).toEqual({ train: 3, test: 0, dropped: 2 });
});

test("a test file has the columns and classes of the training file", async () => {
  await write("train.csv", "x,y\n1,0\n2,1\n3,3\n");
  await write("test.csv", "y,x\n1,2\n");
  const data = await prepare({ train: "train.csv", test: "test.csv" });
  expect(data.schema.target.classes, "integers are their own classes").toEqual(["0", "1", "2", "3"]);
  expect(await rowsIn(data.test, 1)).toEqual(["0:1"]);
  await write("test.csv", "y,x\n2,2\n");
  await expect(prepare({ train: "train.csv", test: "test.csv" })).rejects.toMatchObject({
    code: "BadFile",
    message: expect.stringMatching(/test\.csv: line 2, column "y": there is no class "2"/),
  });
  await write("test.csv", "y,z\n1,2\n");
  await expect(prepare({ train: "train.csv", test: "test.csv" })).rejects.toThrow(/has no column "x"/);
});

test.each([
  ["a text among numbers", "x,label\n1,a\n2,b\n", "oops,a", /line 20003, column "x": "oops" is not a number/],
  ["a huge number", "x,label\n1,a\n2,b\n", "1e31,a", /line 20003, column "x": 1e31 is too large/],
  ["no finite number", "x,label\n1,a\n2,b\n", "1e999,a", /line 20003.*1e999/],
  ["a missing class", "x,label\n1,a\n2,b\n", "1,", /line 20003, column "label": the value is missing/],
])("%s far down the file is named with its line, and nothing is kept", async (_name, head, bad, message) => {
  await write("long.csv", `${head}${"1,a\n".repeat(19_999)}${bad}\n1,b\n`);
  await expect(prepare({ train: "long.csv" })).rejects.toMatchObject({
    code: "BadFile",
    message: expect.stringMatching(message),
  });
  expect(await fs.readdir(path.join(folder, "datasets"))).toEqual([]);
});

test.each([
  ["one class", "x,label\n1,a\n2,a\n", {}, "BadSchema", /1 class/],
  ["fractions as classes", "x,v\n1,0.5\n2,1.5\n", { target: "v" }, "BadSchema", /no classes but fractions/],
  ["an unknown column", "x,label\n1,a\n2,b\n", { columns: { z: "ignore" } }, "BadSchema", /no column "z"/],
  ["no inputs", "x,label\n1,a\n2,b\n", { columns: { x: "ignore" } }, "BadSchema", /no column is left/],
  ["no rows", "x,label\n", {}, "BadDataset", /bad\.csv has no rows/],
])("%s: refused", async (_name, text, settings, code, message) => {
  await write("bad.csv", text);
  await expect(prepare({ train: "bad.csv", ...settings })).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
});

/** Rows of one tensor and a class each. */
function tensorReader(values: Uint8Array | Float32Array, shape: number[], labels: number[]): DataReader {
  const dtype = values instanceof Uint8Array ? "uint8" : "float32";
  return {
    format: "npz",
    file: "memory.npz",
    columns: [
      { name: "x", kind: "tensor", shape, dtype },
      { name: "y", kind: "tensor", shape: [], dtype: "uint8" },
    ],
    async *blocks() {
      yield {
        rows: labels.length,
        columns: [
          { kind: "tensor", name: "x", shape, values },
          { kind: "tensor", name: "y", shape: [], values: Uint8Array.from(labels) },
        ],
        locate: (row) => `row ${row}`,
      };
    },
    close: async () => undefined,
  };
}

test("bytes are centred, by the model's numbers where it states them, or stay as they are for a sale", async () => {
  const train = await write("memory.npz", "");
  const bytes = Uint8Array.of(0, 73, 255, 74, 10, 200);
  const open = async () => tensorReader(bytes, [1, 2], [0, 1, 1]);
  const data = async (options: Partial<PrepareOptions>, settings = {}) => {
    const prepared = await prepare({ train, ...settings }, { open, whole: true, ...options });
    return (await rowsIn(prepared.train, 2)).toSorted();
  };
  expect(await data({ bytes: { offset: 73, divisor: 256 } })).toEqual(["-16 32:1", "-18 0:0", "46 0:1"]);
  expect(await data({ asBytes: true })).toEqual(["-1 74:1", "0 73:0", "10 -56:1"]);
  const mean = await prepare({ train }, { open, whole: true });
  expect(mean.schema.inputs).toMatchObject([{ kind: "tensor", offset: 102, divisor: 256 }]);
  await expect(data({ bytes: { offset: 73, divisor: 256 } }, { normalise: "minmax" })).rejects.toMatchObject({
    code: "BadSchema",
  });
  await write("memory.npz", "other content");
  const floats = async () => tensorReader(Float32Array.from(bytes), [1, 2], [0, 1, 1]);
  await expect(data({ bytes: { offset: 73, divisor: 256 }, open: floats })).rejects.toThrow(/not bytes/);
  const infinite = async () => tensorReader(Float32Array.of(1, 2, 3, 4, Number.NaN, 6), [1, 2], [0, 1, 1]);
  await expect(data({ open: infinite })).rejects.toThrow(/memory\.npz: row 2, column "x": NaN/);
});

test("the test part does not decide how inputs are normalised", async () => {
  const rows = Array.from({ length: 100 }, (_, i) => `${i},${i % 2}`);
  await write("numbers.csv", `x,label\n${rows.join("\n")}\n`);
  const data = await prepare({ train: "numbers.csv", split: { test: 0.5, seed: 3 } });
  const { offset, divisor } = data.schema.inputs[0] as { offset: number; divisor: number };
  const { x } = await data.train.read(0, data.train.rows);
  // inputs are whole numbers in units of divisor / 64, here 0.9
  const values = Array.from(x, (input) => (input / 64) * divisor + offset);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(Math.abs(mean - offset)).toBeLessThan(0.2);
  expect(Math.abs(offset - 49.5)).toBeGreaterThan(0.5);
});

test("one class has one name: numbers the shortest, texts without spaces around and in one Unicode form", async () => {
  await write("names.csv", "x,label\n1,1\n2,1.0\n3,01\n4,0\n");
  expect((await prepare({ train: "names.csv" }, { whole: true })).schema.target.classes).toEqual(["0", "1"]);
  await write("names.csv", "x,label\n1,caf\u00e9\n2, cafe\u0301\n3,tea\n");
  expect((await prepare({ train: "names.csv" }, { whole: true })).schema.target.classes).toEqual(["café", "tea"]);
});

test("a class that is named twice, and a value that dataset.yaml does not name, are refused", async () => {
  const named = (classes: string[]) => ({ train: "named.csv", columns: { label: { classes } } });
  expect(datasetFileSchema.safeParse(named(["x", " x", "y"])).success).toBe(false);
  await write("named.csv", "size,label\nlow,x\nhigh,y\n");
  await expect(prepare(named(["x", "z"]))).rejects.toThrow(/line 3, column "label": "y" is not among the classes/);
  const sizes = { train: "named.csv", columns: { size: { classes: ["low", "mid"] } } };
  await expect(prepare(sizes)).rejects.toThrow(/line 3, column "size": "high" is not among the classes/);
});

test("names and classes that are too long for a schema are refused with the column that has them", async () => {
  const long = "n".repeat(201);
  await write("names.csv", flowers().replace("width", long));
  await expect(prepare({ train: "names.csv", target: "kind" })).rejects.toThrow(
    /"nnn.*has 201 characters, at most 200/,
  );
  await write("classes.csv", flowers().replaceAll(",b,", `,${"b".repeat(1001)},`));
  await expect(prepare({ train: "classes.csv", target: "kind" })).rejects.toThrow(/"kind", "bbb.* at most 1000/);
});

test("categories that only the test part has are no input, and are counted", async () => {
  await write("train.csv", "size,label\nlow,a\nhigh,b\n,b\n");
  await write("test.csv", "size,label\nlow,a\nhuge,b\n,a\n");
  const data = await prepare({ train: "train.csv", test: "test.csv" });
  expect(await rowsIn(data.test, 2)).toEqual(["0 64:0", "0 0:1", "0 0:0"]);
  expect([data.missing, data.unknown]).toEqual([{ size: 2 }, { size: 1 }]);
});

test("columns that never change are no noise, and are named", async () => {
  await write("flat.csv", `x,flat,label\n${Array.from({ length: 600 }, (_, i) => `${i},0.1,${i % 2}`).join("\n")}\n`);
  const data = await prepare({ train: "flat.csv" });
  expect(data.constant).toEqual(["flat"]);
  const { x } = await data.train.read(0, data.train.rows);
  expect(x.filter((_, i) => i % 2 === 1).every((value) => value === 0)).toBe(true);
});

test("processes that prepare the same at once all get it", async () => {
  await write("flowers.csv", flowers());
  const all = await Promise.all([1, 2, 3].map(() => prepare({ train: "flowers.csv", target: "kind" })));
  expect(new Set(all.map(({ id }) => id)).size).toBe(1);
  for (const data of all) expect((await rowsIn(data.train, 2)).length).toBe(72);
  expect(await fs.readdir(path.join(folder, "datasets"))).toEqual([all[0]!.id]);
});

test("what a process that is gone left half done is removed", async () => {
  const gone = path.join(folder, "datasets", "abc.partial-999999999-x");
  await fs.mkdir(gone, { recursive: true });
  await write("flowers.csv", flowers());
  const { id } = await prepare({ train: "flowers.csv", target: "kind" });
  expect(await fs.readdir(path.join(folder, "datasets"))).toEqual([id]);
});

/** An array as NumPy writes it. */
async function writeNpy(name: string, descr: string, shape: number[], values: ArrayBufferView): Promise<string> {
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const header = Buffer.from(`${dictionary.padEnd(117)}\n`);
  const magic = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]);
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  await fs.writeFile(path.join(folder, name), Buffer.concat([magic, header, bytes]));
  return name;
}

test.each([
  ["int64", "<i8", BigInt64Array.of(-4n, 4n, -4n, 4n), ["-32:0", "-32:1", "32:0", "32:1"]],
  ["bool", "|b1", Uint8Array.of(0, 1, 0, 1), ["-32:0", "-32:1", "32:0", "32:1"]],
  ["uint8", "|u1", Uint8Array.of(0, 1, 0, 1), ["-32:0", "-32:1", "32:0", "32:1"]],
  ["float16", "<f2", Uint16Array.of(0xc400, 0x4400, 0xc400, 0x4400), ["-32:0", "-32:1", "32:0", "32:1"]],
])("arrays of %s become inputs that tell their values apart", async (_name, descr, values, expected) => {
  const inputs = await writeNpy("x.npy", descr, [4, 1], values);
  const targets = await writeNpy("y.npy", "<i8", [4], BigInt64Array.of(0n, 0n, 1n, 1n));
  const data = await prepare({ train: { inputs, targets } }, { whole: true });
  expect((await rowsIn(data.train, 1)).toSorted()).toEqual(expected);
});

test("a test part of another type or shape is refused, not reinterpreted", async () => {
  const targets = await writeNpy("y.npy", "<i8", [2], BigInt64Array.of(0n, 1n));
  const inputs = await writeNpy("x.npy", "<f4", [2, 2], Float32Array.of(1, 2, 3, 4));
  const train = { inputs, targets };
  const test = async (descr: string, shape: number[], values: ArrayBufferView) =>
    prepare({ train, test: { inputs: await writeNpy("t.npy", descr, shape, values), targets } });
  await expect(test("<i4", [2, 2], Int32Array.of(1, 2, 3, 4))).rejects.toThrow(/t\.npy has int32 values.*not float32/);
  await expect(test("<f4", [2, 1], Float32Array.of(1, 2))).rejects.toThrow(/t\.npy has 1 values.*not 2/);
  const narrower = await test("|u1", [2, 2], Uint8Array.of(1, 2, 3, 4));
  expect(await rowsIn(narrower.test, 2)).toEqual(await rowsIn((await prepare({ train, test: train })).test, 2));
  await write("t.csv", "x,label\n1,0\n");
  await expect(prepare({ train, test: "t.csv" })).rejects.toMatchObject({ code: "BadSchema" });
});

test("of a file of targets only the classes are used, whatever the inputs' file needs", async () => {
  await write("inputs.csv", "made by hand\n1\n2\n3\n");
  await write("targets.csv", "id,label\n7,a\n8,b\n9,a\n");
  const train = { inputs: "inputs.csv", targets: "targets.csv" };
  const data = await prepare({ train, skip: 1, header: false, names: ["x"] }, { whole: true });
  expect(data.features).toBe(1);
  expect(data.ignored.map(({ name }) => name)).toEqual(["id"]);
});

const fixtures = path.join(import.meta.dirname, "..", "..", "fixtures");

test.each([
  ["an archive of NumPy", "numpy-and-images/fashion.npz", {}],
  ["a zip of images", "numpy-and-images/fashion-images.zip", {}],
  ["Parquet", "parquet/numbers.snappy.parquet", { columns: { kind: { missing: "drop" } } }],
  ["a compressed table", "sklearn/wine_data.csv.zst", {}],
])("%s that other programs wrote becomes samples", async (_name, file, settings) => {
  const data = await prepare({ train: file, ...settings }, { resolve: async (name) => path.join(fixtures, name) });
  expect(data.rows.train).toBeGreaterThan(data.rows.test);
  expect(data.constant.length).toBeLessThan(data.schema.inputs.length);
  expect(data.classes.train.filter((count) => count > 0).length).toBeGreaterThan(1);
});

test("IDX images find their labels beside them", async () => {
  const examples = path.join(import.meta.dirname, "..", "..", "..", "..", "examples", "fashion-mnist");
  const data = await prepare(
    { train: "t10k-images-idx3-ubyte.gz" },
    { resolve: async (name) => path.join(examples, name) },
  );
  expect(data.rows).toEqual({ train: 8000, test: 2000, dropped: 0 });
  expect(data.classes.test).toEqual(Array.from({ length: 10 }, () => 200));
  expect(data.schema.inputs[0]).toMatchObject({ kind: "tensor", shape: [28, 28], divisor: 256 });
});

test("inputs beyond 8 bits are cut, and counted", async () => {
  await write("wide.csv", "x,label\n1,a\n900,b\n-900,b\n");
  const data = await prepare({ train: "wide.csv", normalise: "none" }, { whole: true });
  expect(data.clipped).toEqual({ x: 2 });
  expect((await rowsIn(data.train, 1)).toSorted()).toEqual(["-128:1", "127:1", "64:0"]);
});
