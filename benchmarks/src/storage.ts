// Import, commitment and encryption of two datasets, each in a process of its own whose peak memory is measured;
// docs/benchmarks.md defines the figures.
import { fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { finished } from "node:stream/promises";
import { bundle } from "../../packages/node/bundle.ts";
import type { Figures, Task } from "./storage/measure.ts";

/** SKYNET_BENCH_CSV_MB changes the size of the generated table. */
const CSV_BYTES = Number(process.env.SKYNET_BENCH_CSV_MB ?? 4000) * 1e6;
const COLUMNS = 20;
const BUILD = path.join(import.meta.dirname, "..", "build", "storage");
const examples = path.join(import.meta.dirname, "..", "..", "examples", "fashion-mnist");

/** A table of numbers with up to 6 digits, whose class follows from two of them. */
async function writeTable(file: string, bytes: number): Promise<void> {
  const out = fs.createWriteStream(file, { highWaterMark: 2 ** 20 });
  out.write(`${Array.from({ length: COLUMNS }, (_, i) => `feature ${i}`).join(",")},label\n`);
  let state = 1;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  for (let written = 0; written < bytes;) {
    let text = "";
    for (let row = 0; row < 4000; row++) {
      const values = Array.from({ length: COLUMNS }, (_, i) => Math.round(random() * 1e6) / 10 ** (i % 4));
      text += `${values.join(",")},${Number(values[0]! > values[4]!)}\n`;
    }
    written += text.length;
    if (!out.write(text)) await once(out, "drain");
  }
  out.end();
  await finished(out);
}

/** The measuring program as the command is built: sources take twice the memory. @returns its path */
async function build(): Promise<string> {
  fs.mkdirSync(BUILD, { recursive: true });
  const { outputFiles } = await bundle({ measure: "benchmarks/src/storage/measure.ts" }, BUILD);
  for (const { path: file, contents } of outputFiles) fs.writeFileSync(file, contents);
  return path.join(BUILD, "measure.js");
}

async function measure(program: string, task: Task): Promise<Figures> {
  const child = fork(program, [JSON.stringify(task)], { execArgv: ["--enable-source-maps"] });
  const exit = once(child, "exit");
  const [figures] = (await Promise.race([once(child, "message"), exit])) as [Figures | number];
  await exit;
  if (typeof figures !== "object") throw new Error(`the measuring process ended with ${String(figures)}`);
  return figures;
}

/** All of Fashion-MNIST, and a generated CSV file. */
export async function run(): Promise<Record<string, Figures>> {
  const program = await build();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-bench-storage-"));
  try {
    const fashionMnist = await measure(program, {
      folder: path.join(folder, "mnist"),
      dataset: {
        train: {
          inputs: path.join(examples, "train-images-idx3-ubyte.gz"),
          targets: path.join(examples, "train-labels-idx1-ubyte.gz"),
        },
      },
      whole: true,
      layers: [784, 128, 10],
      batchSize: 128,
      learningRate: 0.5,
      normalised: true,
    });
    const table = path.join(folder, "table.csv");
    await writeTable(table, CSV_BYTES);
    const csv = await measure(program, {
      folder: path.join(folder, "csv"),
      dataset: { train: table },
      whole: false,
      layers: [COLUMNS, 32, 2],
      batchSize: 1024,
      learningRate: 4,
      normalised: false,
    });
    return { fashionMnist, csv };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
