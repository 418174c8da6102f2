import fs from "node:fs/promises";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { perceptron } from "./tiny-job.ts";

const example = path.join(import.meta.dirname, "..", "..", "examples", "fashion-mnist");

/** Header of an IDX file with `count` items instead of all, and their bytes. */
async function firstItems(name: string, count: number): Promise<Buffer> {
  const all = gunzipSync(await fs.readFile(path.join(example, name)));
  const dimensions = all[3]!;
  const header = 4 + 4 * dimensions;
  let size = 1;
  for (let i = 1; i < dimensions; i++) size *= all.readUInt32BE(4 + 4 * i);
  const part = Buffer.from(all.subarray(0, header + count * size));
  part.writeUInt32BE(count, 4);
  return gzipSync(part, { level: 1 });
}

export interface SmallJob {
  readonly workers?: number;
  readonly minimum?: number;
  readonly rounds?: number;
  readonly localSteps?: number;
  readonly windows?: Partial<Record<"join" | "ready" | "commit" | "prove" | "merge" | "deliver", number>>;
  readonly pricePerRound?: number;
  /** Default: the example's model, 784-128-10. */
  readonly hiddenUnits?: number;
}

/** A job in quorum mode on the first 2,560 training and 1,000 test images (20 batches of 128); returns the job file's path. */
export async function writeSmallJob(folder: string, options: SmallJob = {}): Promise<string> {
  await fs.mkdir(folder, { recursive: true });
  const files = [
    ["train-images-idx3-ubyte.gz", 2560],
    ["train-labels-idx1-ubyte.gz", 2560],
    ["t10k-images-idx3-ubyte.gz", 1000],
    ["t10k-labels-idx1-ubyte.gz", 1000],
  ] as const;
  for (const [name, count] of files) await fs.writeFile(path.join(folder, name), await firstItems(name, count));
  const { hiddenUnits } = options;
  if (hiddenUnits === undefined) await fs.copyFile(path.join(example, "mlp.onnx"), path.join(folder, "mlp.onnx"));
  else await fs.writeFile(path.join(folder, "mlp.onnx"), perceptron(784, hiddenUnits, 10));
  const { workers = 3, minimum = workers, rounds = 2, localSteps = 24, pricePerRound = 10 } = options;
  const windows = { join: 60, ready: 60, commit: 60, prove: 30, merge: 30, deliver: 30, ...options.windows };
  const file = path.join(folder, "job.yaml");
  await fs.writeFile(
    file,
    `name: small
model: mlp.onnx
data:
  train: { inputs: train-images-idx3-ubyte.gz, targets: train-labels-idx1-ubyte.gz }
  test: { inputs: t10k-images-idx3-ubyte.gz, targets: t10k-labels-idx1-ubyte.gz }
training: { batchSize: 128, learningRate: 0.5, localSteps: ${localSteps}, rounds: ${rounds}, seed: 1 }
workers: { count: ${workers}, minimum: ${minimum} }
payment: { pricePerRound: ${pricePerRound}, stake: 20, missPenalty: 1, mergeFee: 0.5 }
verification: { mode: quorum }
windows: ${JSON.stringify(windows)}
`,
  );
  return file;
}
