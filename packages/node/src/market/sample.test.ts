import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { ModelBuilder, parseModel } from "@skynet/onnx";
import { compileTraining, type IntegerProgram } from "@skynet/proof";
import { encodeIdx } from "@skynet/storage";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSample } from "./sample.ts";

let folder: string;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-sample-"));
});
afterAll(() => fs.rm(folder, { recursive: true }));

/** A model of four inputs, numbers or bytes. */
function program(metadata: Record<string, string> = {}): IntegerProgram {
  const model = new ModelBuilder({ name: "four", metadata });
  const x = model.input("x", "float32", ["batch", 4]);
  const w = model.constant("w", "float32", [4, 2], new Float32Array(8));
  const b = model.constant("b", "float32", [2], new Float32Array(2));
  model.output(model.node("Gemm", [x, w, b]), "z", "float32", ["batch", 2]);
  return compileTraining(parseModel(model.encode()), { batchSize: 16, learningRate: 0.5, workers: 4 });
}
const numbers = program();
const bytes = program({ "skynet.input.offset": "128", "skynet.input.divisor": "256" });

const write = async (name: string, content: string | Uint8Array): Promise<string> => {
  const file = path.join(folder, name);
  await fs.writeFile(file, content);
  return file;
};
const images = encodeIdx({ shape: [2, 2, 2], data: Uint8Array.of(0, 64, 128, 255, 255, 128, 64, 0) });

test("a row of a table, of an array or of images, and an array of JSON become the inputs of a model", async () => {
  const one = 2 ** numbers.scales.input;
  const expected = Int8Array.of(one, -one, one / 2, 0);
  const table = await write("rows.csv", "a,b,c,d\n0,0,0,0\n1,-1,0.5,0\n");
  expect(await readSample(numbers, table, 1)).toEqual(expected);
  const lists = await write("rows.jsonl", '{"x":[0,0,0,0],"y":"no"}\n{"x":[1,-1,0.5,0],"y":"yes"}\n');
  expect(await readSample(numbers, lists, 1), "the class is none of the inputs").toEqual(expected);
  expect(await readSample(numbers, await write("row.json", "[1,-1,0.5,0]"), 0)).toEqual(expected);
  const half = 2 ** (bytes.scales.input - 1);
  const x = await readSample(bytes, await write("images-idx3-ubyte", images), 1);
  expect([...x]).toEqual([half, 0, -half / 2, -half]);
  expect(await readSample(bytes, await write("row-of-bytes.csv", "255,128,64,0\n"), 0)).toEqual(x);
});

test.each<[string, IntegerProgram, string, string | Uint8Array, number, string, RegExp]>([
  ["a row that is not there", numbers, "r.csv", "1,2,3,4\n", 1, "BadDataset", /has 1 rows; there is no number 1/],
  ["another number of values", numbers, "r.csv", "1,2,3\n", 0, "BadSample", /has 3 values; the model takes 4/],
  ["a text", numbers, "r.csv", "1,x,1,1\n", 0, "BadSample", /line 1, column "c2": "x" is no number/],
  ["numbers out of range", numbers, "r.csv", "1,1,1,900\n", 0, "BadSample", /line 1, holds 900, outside/],
  ["a fraction for a byte", bytes, "r.csv", "1,1,0.5,1\n", 0, "BadSample", /holds 0.5; this model takes bytes/],
  ["JSON of another length", numbers, "r.json", "[1]", 0, "BadSample", /not an array of 4 numbers/],
  ["bytes without a normalisation", numbers, "r-idx3-ubyte", images, 0, "BadBatch", /how bytes become inputs/],
])("%s is refused with the reason", async (_name, model, name, content, index, code, message) => {
  const file = await write(name, content);
  await expect(readSample(model, file, index)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
  });
});
