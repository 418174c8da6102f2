import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openReader } from "../readers/open.ts";
import { zipOf } from "../readers/testing-zip.ts";
import { datasetFileSchema } from "../schema/dataset-file.ts";
import { prepareDataset } from "./prepare.ts";
import type { PreparedPart } from "./prepared.ts";

let folder: string;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-parts-"));
});
afterAll(() => fs.rm(folder, { recursive: true }));

const prepare = (dataset: object, options: { whole?: boolean } = {}) =>
  prepareDataset({
    dataset: datasetFileSchema.parse(dataset),
    name: "data",
    folder: path.join(folder, "datasets"),
    resolve: async (reference) => path.join(folder, reference),
    open: (file, _dataset, arrays) => openReader(file, { arrays }),
    seed: Uint8Array.of(1, 2, 3),
    ...options,
  });

/** Rows as texts of inputs and class. */
async function rowsIn(part: PreparedPart, features: number): Promise<string[]> {
  const { x, y } = await part.read(0, part.rows);
  return Array.from(y, (label, i) => `${x.subarray(i * features, (i + 1) * features).join(" ")}:${label}`);
}

/** An array of bytes as numpy.save writes it. */
function npyOf(shape: readonly number[], data: Uint8Array): Buffer {
  const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`.padEnd(117) + "\n";
  const start = Buffer.from("\x93NUMPY\x01\0\0\0", "latin1");
  start.writeUInt16LE(header.length, 8);
  return Buffer.concat([start, Buffer.from(header), data]);
}

test("an archive with arrays for training and testing, as Keras has it", async () => {
  const bytes = (count: number, from: number) => Uint8Array.from({ length: count }, (_, i) => from + i);
  const archive = zipOf([
    { name: "x_test.npy", data: npyOf([2, 2, 2], bytes(8, 0)) },
    { name: "y_test.npy", data: npyOf([2], Uint8Array.of(1, 0)) },
    { name: "y_train.npy", data: npyOf([4], Uint8Array.of(0, 1, 0, 1)) },
    { name: "x_train.npy", data: npyOf([4, 2, 2], bytes(16, 0)) },
    { name: "x_wide.npy", data: npyOf([2, 4], bytes(8, 0)) },
  ]);
  await fs.writeFile(path.join(folder, "mnist.npz"), archive);
  const training = { file: "mnist.npz", arrays: ["x_train", "y_train"] };
  const data = await prepare({ train: training, test: { file: "mnist.npz", arrays: ["x_test", "y_test"] } });
  expect(data.schema).toMatchObject({ inputs: [{ name: "x_train", shape: [2, 2] }], target: { name: "y_train" } });
  expect(data.rows).toEqual({ train: 4, test: 2, dropped: 0 });
  const train = await rowsIn(data.train, 4);
  const inputs = (await rowsIn(data.test, 4)).map((row) => row.split(":"));
  expect(inputs.map(([, label]) => label)).toEqual(["1", "0"]);
  expect(train).toContain(`${inputs[0]![0]}:0`);
  expect(train).toContain(`${inputs[1]![0]}:1`);
  const only = await prepare({ train: training });
  expect(only.id).not.toBe(data.id);
  await expect(
    prepare({ train: training, test: { file: "mnist.npz", arrays: ["x_wide", "y_test"] } }),
  ).rejects.toMatchObject({
    code: "BadSchema",
    message: expect.stringMatching(/has 4 values in the column "x_train", not 2 x 2/) as string,
  });
});

test("images in folders train and test are split as the folders say, and the folder is no input", async () => {
  const image = (value: number) =>
    sharp(Buffer.alloc(16, value), { raw: { width: 4, height: 4, channels: 1 } })
      .png()
      .toBuffer();
  const names = ["train/cat/1", "train/cat/2", "train/dog/1", "train/dog/2", "train/dog/3", "test/cat/1", "val/dog/1"];
  const entries = names.map(async (name, i) => ({ name: `pets/${name}.png`, data: await image(20 * i) }));
  await fs.writeFile(path.join(folder, "pets.zip"), zipOf(await Promise.all(entries)));
  const data = await prepare({ train: "pets.zip" });
  expect(data.schema).toMatchObject({ inputs: [{ name: "image" }], target: { classes: ["cat", "dog"] } });
  expect(data.classes).toEqual({ train: [2, 3], test: [1, 1] });
  expect(data.rows).toEqual({ train: 5, test: 2, dropped: 0 });
  expect((await prepare({ train: "pets.zip" }, { whole: true })).rows).toMatchObject({ train: 7, test: 0 });
});
