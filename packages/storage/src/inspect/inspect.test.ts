import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReader } from "../readers/open.ts";
import { fixture, openTestFolder, type TestFolder } from "../testing-files.ts";
import { cardSource, dataCard } from "./card.ts";
import { contactSheet } from "./contact-sheet.ts";
import { HashSample } from "./hash-sample.ts";
import { inspect, type InspectOptions } from "./inspect.ts";

let scratch: TestFolder;
beforeAll(async () => {
  scratch = await openTestFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

async function look(file: string, options: InspectOptions = {}) {
  const reader = await openReader(file);
  try {
    return await inspect(reader, options);
  } finally {
    await reader.close();
  }
}
const csv = async (rows: readonly (readonly unknown[])[], name = "data.csv") =>
  scratch.write(name, rows.map((row) => row.join(",")).join("\n"));
const rowsOf = (count: number, make: (row: number) => unknown[]) =>
  Array.from({ length: count }, (_, row) => make(row));
const kinds = (problems: readonly { kind: string; column?: string }[]) =>
  problems.map(({ kind, column }) => (column === undefined ? kind : `${kind} ${column}`)).sort();

test("iris: columns, classes, the scale of inputs, and the one row that is there twice", async () => {
  const found = await look(fixture("sklearn/iris.csv"));
  expect(found).toMatchObject({ format: "csv", rows: 150, comparedShare: 1, images: [] });
  expect(found.target).toEqual({
    name: "label",
    classes: ["setosa", "versicolor", "virginica"].map((value) => ({ value, count: 50 })),
  });
  const [first] = found.columns;
  expect(first).toMatchObject({ missing: 0, distinct: 35, summary: { min: 4.3, max: 7.9 } });
  expect(first!.fixedPoint).toMatchObject({ bits: 6 });
  // Four standard deviations become the largest input, 127.
  const { offset, divisor } = first!.fixedPoint!;
  const far = first!.summary!.mean + 4 * Math.sqrt(first!.summary!.variance);
  expect(Math.round(((far - offset) / divisor) * 64)).toBe(127);
  expect(found.problems).toEqual([
    { kind: "duplicates", message: "1 of 150 rows are equal to an earlier one (0.7 %)" },
  ]);
  expect(found.samples).toHaveLength(5);
  expect(found.samples[0]!.where).toMatch(/^line \d+$/);
});

test("every kind of problem of a table is found, with its column", async () => {
  const head = ["id", "age", "still", "code", "name", "weight", "label"];
  const rows = rowsOf(200, (i) => {
    const label = i % 5 === 0 ? "sick" : "well";
    const age = i === 7 ? "old" : i % 10 === 3 ? "" : 20 + ((i * 7) % 41);
    return [i + 1, age, 4, label === "sick" ? "X1" : "X2", `patient ${i}`, i === 9 ? "1e999" : i / 3 + (i % 7), label];
  });
  const found = await look(await csv([head, ...rows, rows[0]!]));
  expect(kinds(found.problems)).toEqual([
    "constant still",
    "duplicates",
    "identifier id",
    "identifier name",
    "imbalance label",
    "leakage code",
    "missing age",
    "not-finite weight",
    "not-numbers age",
  ]);
  expect(found.problems.find(({ kind }) => kind === "missing")!.message).toBe("20 of 201 values are missing (10.0 %)");
});

test("good columns are not called names: numbers, few rows, two values that mean nothing", async () => {
  const rows = rowsOf(100, (i) => [
    ((i * 37) % 100) / 7,
    i % 2,
    (i * 13) % 40,
    ["a", "b"][(i * i + i) % 3 === 0 ? 1 : 0],
  ]);
  const { problems } = await look(await csv([["x", "flag", "n", "class"], ...rows]));
  expect(problems).toEqual([]);
});

test("rows of the test data that are in the training data are counted, whatever their label", async () => {
  const line = (i: number) => [i / 8, (i * 7) % 32, i % 2 ? "a" : "b"];
  const train = await csv([["x", "z", "label"], ...rowsOf(64, line)], "train.csv");
  const test = await csv([["x", "z", "label"], ...rowsOf(10, (i) => line(60 + i)), [0, 0, "other"]], "test.csv");
  const reader = await openReader(test);
  const { problems, splits } = await look(train, { test: reader });
  expect(splits).toEqual({ train: 64, test: 11 });
  expect(problems).toMatchObject([{ kind: "split", message: expect.stringMatching(/^5 of 11 test rows/) as string }]);
  const narrow = await openReader(
    await csv(
      [
        ["x", "label"],
        [1, "a"],
      ],
      "narrow.csv",
    ),
  );
  await expect(look(train, { test: narrow })).rejects.toMatchObject({ code: "BadSchema" });
});

test("a column split is taken for the parts of the data", async () => {
  const rows = rowsOf(40, (i) => [i % 35, i % 2 ? "a" : "b", i < 30 ? "train" : "test"]);
  const { problems, splits } = await look(await csv([["x", "label", "split"], ...rows]));
  expect(splits).toEqual({ train: 30, test: 10 });
  expect(kinds(problems)).toEqual(["split"]);
  expect(problems.at(-1)!.message).toMatch(/^5 different test/);
});

test("a target that is said is taken, and one that is not there is refused with the names of the columns", async () => {
  const file = fixture("sklearn/iris.csv");
  expect((await look(file, { target: "c1" })).target!.name).toBe("c1");
  await expect(look(file, { target: "kind" })).rejects.toMatchObject({
    hint: expect.stringContaining("c1, c2") as string,
  });
  const plain = await look(await csv(rowsOf(50, (i) => [i * 1.37, i * i * 0.11])));
  expect(plain.target).toBeUndefined();
  expect(kinds(plain.problems)).toEqual(["no-target"]);
});

test("more rows than are kept are compared by a part of them, and the report says so", async () => {
  const rows = rowsOf(4_000, (i) => [i % 2_000, "a"]);
  const { problems, comparedShare } = await look(await csv([["x", "label"], ...rows]), { maxHashes: 256 });
  expect(comparedShare).toBeLessThanOrEqual(1 / 8);
  const [, about, every] = /^about ([\d,]+) of 4,000 rows.*one row in (\d+) was/.exec(
    problems.find(({ kind }) => kind === "duplicates")!.message,
  )!;
  expect(Math.abs(Number(about!.replace(",", "")) - 2_000)).toBeLessThan(500);
  expect(1 / Number(every)).toBe(comparedShare);
});

test("a set of hashes finds what was added, also the hash that is zero", () => {
  const sample = new HashSample();
  for (let i = 0; i < 50_000; i++) sample.add({ high: Math.imul(i, 0x9e3779b1) >>> 0, low: i });
  expect([sample.repeats, sample.share]).toEqual([0, 1]);
  sample.add({ high: 0, low: 0 });
  expect(sample.repeats).toBe(1);
  expect(sample.has({ high: 0, low: 0 })).toBe(true);
  expect(sample.has({ high: 5, low: 5 })).toBe(false);
});

test("a contact sheet shows the images, enlarged, each with the name of its class", async () => {
  const { images, target } = await look(fixture("numpy-and-images/fashion-images.zip"));
  expect(images).toHaveLength(60);
  expect(images.map(({ label }) => label).slice(0, 7)).toEqual([...Array<string>(6).fill("bag"), "boot"]);
  expect(target!.classes).toHaveLength(10);
  const png = await contactSheet(images.slice(0, 2));
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: 8 + 2 * 120, height: 8 + 112 + 22 + 8, channels: 3 });
  const at = (x: number, y: number) => data[(y * info.width + x) * 3]!;
  for (const [x, y] of [
    [0, 0],
    [13, 9],
    [27, 27],
  ] as const)
    expect(at(8 + 4 * x + 1, 8 + 4 * y + 2)).toBe(images[0]!.pixels[y * 28 + x]);
  const ink = (left: number) => {
    let dots = 0;
    for (let y = 122; y < 142; y++) for (let x = left; x < left + 112; x++) if (at(x, y) < 0x80) dots++;
    return dots;
  };
  // "bag", twice: the same letters at the same place.
  expect(ink(8)).toBeGreaterThan(100);
  expect(ink(128)).toBe(ink(8));
});

test("images of other sizes and types fit on a sheet: large, in colours, of floats, with long names", async () => {
  const pixels = new Uint8Array(300 * 200 * 3).fill(200);
  const samples = [
    { pixels, shape: [300, 200, 3], label: "a very long name of a class that nobody can read" },
    { pixels: new Uint8Array(64), shape: [8, 8], label: "日本" },
    { pixels: new Uint8Array(64), shape: [8, 8, 1] },
  ];
  expect(await sharp(await contactSheet(samples, { columns: 2 })).metadata()).toMatchObject({
    width: 248,
    format: "png",
  });
  expect((await sharp(await contactSheet([])).metadata()).format).toBe("png");
});

test("the data card tells what is in the data, and its texts cannot add markup", async () => {
  const rows = rowsOf(60, (i) => [i % 7, i % 11, `<script>|${i % 3}`]);
  const file = await csv([["x", "[a](http://evil)", "class"], ...rows], "some.csv");
  const found = await look(file);
  const source = await cardSource(file);
  const card = dataCard(found, { name: "Some *data*", licence: "CC0-1.0", sources: [source] });
  expect(card).toContain("# Some \\*data\\*");
  expect(card).toContain(`| some.csv | ${source.bytes.toLocaleString("en")} | \`${source.sha256}\` |`);
  expect(card).toContain("| \\<script\\>\\|0 | 20 | 33.3 % |");
  expect(card).not.toMatch(/(^|[^\\])<script|(^|[^\\])\[a\]/);
  for (const part of [
    "CC0-1.0",
    "## Columns",
    "## Normalisation",
    "## Problems",
    'target: "class"',
    "data: dataset.yaml",
  ])
    expect(card).toContain(part);
  expect(dataCard(await look(file), { name: "Some *data*", licence: "CC0-1.0", sources: [source] })).toBe(card);
});

test("what a job makes of the columns is told by the rules of the import", async () => {
  const rows = Array.from({ length: 40 }, (_, i) => `${i},${"ab"[i % 2]},word${i},${i % 3}`);
  const file = await scratch.write("mixed.csv", `size,kind,note,label\n${rows.join("\n")}\n`);
  const report = async (options: InspectOptions = {}) => (await look(file, options)).job;
  expect(await report()).toEqual({
    columns: [
      { name: "size", kind: "number", inputs: 1 },
      { name: "kind", kind: "category", inputs: 2 },
      { name: "note", kind: "category", inputs: 40 },
      { name: "label", kind: "classes", inputs: 0 },
    ],
    inputs: 43,
    classes: ["0", "1", "2"],
  });
  const columns = { size: { type: "ignore" as const }, note: { type: "text" as const, size: 16 } };
  expect(await report({ choices: { columns, target: undefined, normalise: undefined } })).toMatchObject({
    columns: [{ kind: "ignored", why: "as dataset.yaml says" }, { inputs: 2 }, { inputs: 16 }, {}],
    inputs: 18,
  });
  const ignore = { type: "ignore" as const };
  const none = { columns: { size: ignore, kind: ignore, note: ignore }, target: undefined, normalise: undefined };
  expect(await report({ choices: none })).toMatchObject({ problem: "no column is left as an input" });
});
