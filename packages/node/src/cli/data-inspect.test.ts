import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventsOf, skynet } from "../../../../tests/support/cli.ts";

const fixtures = path.join(import.meta.dirname, "../../../storage/fixtures");
let folder = "";
const inspect = (...args: string[]) => skynet(["data", "inspect", ...args], { cwd: folder });

beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-inspect-"));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

it("shows images as a contact sheet beside the working folder, writes a card and gives all of it as JSON", async () => {
  const zip = path.join(fixtures, "numpy-and-images/fashion-images.zip");
  const { code, stdout } = await inspect(zip, "--card", "--licence", "MIT", "--json");
  expect(code).toBe(0);
  const result = eventsOf(stdout).at(-1)!;
  expect(result).toMatchObject({
    format: "images",
    rows: 60,
    target: { name: "label" },
    problems: [],
    sheet: "fashion-images.zip.contact-sheet.png",
    card: "dataset.md",
  });
  expect((await fs.readdir(folder)).sort()).toEqual(["dataset.md", "fashion-images.zip.contact-sheet.png"]);
  expect(await fs.readFile(path.join(folder, "dataset.md"), "utf8")).toContain("| Licence | MIT |");
});

it("shows a table with classes, samples and problems", async () => {
  const { code, stdout } = await inspect(path.join(fixtures, "sklearn/iris.csv"), "--rows", "3");
  expect(code).toBe(0);
  expect(stdout).toMatch(/csv, 150 rows, 5 columns/);
  expect(stdout).toMatch(/setosa\s+█+ 50 \(33\.3 %\)/);
  expect(stdout).toMatch(/1 of 150 rows are equal to an earlier one/);
  expect(stdout.match(/│ line \d+/g)).toHaveLength(3);
});

it("takes a dataset.yaml: files, names, licence and target; what the command line says comes first", async () => {
  const yaml = path.join(import.meta.dirname, "../../../../examples/digits/dataset.yaml");
  const { code, stdout } = await inspect(yaml, "--card", "digits.md", "--licence", "BSD", "--json");
  expect(code).toBe(0);
  const result = eventsOf(stdout).at(-1)!;
  expect(result).toMatchObject({ rows: 1797, target: { name: "c65" } });
  const [first] = result.columns as { fixedPoint: unknown }[];
  expect(first!.fixedPoint).toEqual({ offset: 8, divisor: 8, bits: 6 });
  const card = await fs.readFile(path.join(folder, "digits.md"), "utf8");
  expect(card).toContain("# digits");
  expect(card).toContain("| Licence | BSD |");
});

it("a dataset.yaml whose test part is other arrays of the same archive: its rows are those of the test", async () => {
  const file = path.join(fixtures, "numpy-and-images/fashion-compressed.npz");
  const part = (name: string) => `{ file: ${JSON.stringify(file)}, arrays: [x_${name}, y_${name}] }`;
  await fs.writeFile(path.join(folder, "archive.yaml"), `train: ${part("train")}\ntest: ${part("test")}\n`);
  const { code, stdout } = await inspect("archive.yaml", "--no-sheet", "--json");
  expect(code).toBe(0);
  expect(eventsOf(stdout).at(-1)).toMatchObject({ rows: 40, splits: { test: 10 }, target: { name: "y_train" } });
});

it("says what is wrong with a file that is not data", async () => {
  await fs.writeFile(path.join(folder, "bad.npy"), "hello, this is a text");
  const { code, stderr } = await inspect("bad.npy");
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/error: .*bad\.npy: not a \.npy file/);
  expect(stderr).not.toMatch(/^ {4}at /m);
});
