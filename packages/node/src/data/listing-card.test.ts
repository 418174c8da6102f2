import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { datasetFileSchema } from "@skynet/storage";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createUi } from "../cli/ui.ts";
import { makeListingCard, readListingCard } from "./listing-card.ts";
import { prepare, type DataPlace } from "./prepare.ts";

let folder = "";
let place: DataPlace;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-card-"));
  place = { dataDir: folder, ui: createUi({ json: true }), signal: new AbortController().signal };
});
afterAll(() => fs.rm(folder, { recursive: true }));

const write = async (name: string, text: string) => {
  const file = path.join(folder, name);
  await fs.writeFile(file, text);
  return file;
};

it("tells ranges, classes and faults, but no row, no rare category and nothing of columns that are left out", async () => {
  const rows = Array.from({ length: 40 }, (_, i) => {
    const town = i === 39 ? "Nowhere" : ["Ulm", "Jena"][i % 2];
    return `Patient-${i},${20 + i},${town},${["A", "B"][i % 2]},${i % 3 === 0 ? "ill" : "well"}`;
  });
  const table = ["name,age,town,blood,state", ...rows].join("\n");
  const train = await write("patients.csv", `${table}\n${rows[0]}\n`);
  const dataset = datasetFileSchema.parse({ train, columns: { name: "ignore" } });
  const prepared = await prepare(dataset, { seed: new Uint8Array(32), asBytes: true, whole: true }, place);
  const options = { name: "Patients", description: "of *two* towns", licence: "MIT" };
  const bytes = await makeListingCard(dataset, prepared, options, place);
  const card = new TextDecoder().decode(bytes);
  for (const part of [
    "| Licence | MIT |",
    "of \\*two\\* towns",
    "| age | integer | 20 |",
    "| 1 to 3 | town | one of 3 categories, some of them rare |",
    "| 4 to 5 | blood | one of A, B |",
    "| ill | 15 |",
    "1 of 41 rows are equal to an earlier one",
    "41 samples of 6 inputs",
  ])
    expect(card).toContain(part);
  expect(card).not.toMatch(/Patient-|Nowhere|Ulm|\| name \|(?! type)/);
  expect(await makeListingCard(dataset, prepared, options, place)).toEqual(bytes);
});

it("an edited card is taken as it is, without what could hurt its readers", async () => {
  const file = await write("mine.md", "# Mine\r\n<img src=x>\u001b[2J\n");
  expect(new TextDecoder().decode(await readListingCard(file))).toBe("# Mine\n\\<img src=x>[2J\n");
  await expect(readListingCard(await write("long.md", "x".repeat(300_000)))).rejects.toMatchObject({ code: "BadCard" });
  await expect(readListingCard(path.join(folder, "none.md"))).rejects.toMatchObject({ code: "FileNotFound" });
});
