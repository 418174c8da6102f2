import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openReader } from "../readers/open.ts";
import { prepareDataset } from "../prepare/prepare.ts";
import { datasetFileSchema } from "./dataset-file.ts";
import { encodeSample } from "./encode-sample.ts";

it("a row is encoded exactly as in the prepared dataset, for every kind of column", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-sample-"));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  const rows = Array.from({ length: 120 }, (_, i) => ({
    width: i % 11 === 0 ? "" : String((i * 37) % 100),
    colour: ["red", "blue", "white"][(i * 7) % 3]!,
    size: ["s", "m", "l"][i % 3]!,
    note: ["round and soft", "soft", "an Edge, round"][(i * 5) % 3]!,
    kind: ["a", "b"][i % 2]!,
  }));
  const names = ["width", "colour", "size", "note", "kind"] as const;
  const table = [names.join(), ...rows.map((row) => names.map((name) => `"${row[name]}"`).join())].join("\n");
  await fs.writeFile(path.join(folder, "rows.csv"), table);
  const data = await prepareDataset({
    dataset: datasetFileSchema.parse({
      train: "rows.csv",
      target: "kind",
      columns: {
        width: { missing: "mean" },
        size: { type: "category", encoding: "ordinal", classes: ["s", "m", "l"] },
        note: { type: "text", size: 16 },
      },
    }),
    name: "rows",
    folder: path.join(folder, "datasets"),
    resolve: async (reference) => path.join(folder, reference),
    open: (file) => openReader(file),
    seed: Uint8Array.of(1),
  });
  const { schema, features, train, test } = data;
  expect(schema.inputs.map(({ kind }) => kind)).toEqual(["number", "category", "ordinal", "text"]);
  const prepared = await Promise.all([train, test].map((part) => part.read(0, part.rows)));
  const expected = prepared.flatMap(({ x, y }) =>
    Array.from(y, (label, i) => `${x.subarray(i * features, (i + 1) * features).join()}:${label}`),
  );
  const found = rows.map(
    (row) => `${encodeSample(schema, row, "row").join()}:${schema.target.classes.indexOf(row.kind)}`,
  );
  expect(found.toSorted()).toEqual(expected.toSorted());
  expect(() => encodeSample(schema, { width: 1 }, "row")).toThrow(/row has no column "colour"/);
});
