// One dataset from its files to encrypted blocks and back; told to the parent process.
import fs from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { commitTo, startTrainer } from "@skynet/node";
import { ModelBuilder } from "@skynet/onnx";
import {
  cutBatches,
  datasetFileSchema,
  generateDataKey,
  openBlockStore,
  openDataset,
  openReader,
  prepareDataset,
  publishDataset,
} from "@skynet/storage";

export interface Task {
  readonly folder: string;
  readonly dataset: unknown;
  readonly whole: boolean;
  readonly layers: readonly number[];
  readonly batchSize: number;
  readonly learningRate: number;
  /** Whether the model says how bytes become inputs. */
  readonly normalised: boolean;
}

export interface Figures {
  /** Bytes of the files, as they are on disk. */
  readonly fileBytes: number;
  readonly samples: number;
  readonly importMBps: number;
  readonly commitSeconds: number;
  /** Plain bytes of the batches, to blocks on disk and back. */
  readonly encryptMBps: number;
  readonly decryptMBps: number;
  /** Of the whole process, its threads included. */
  readonly peakRssMiB: number;
  /** The same after the import alone. */
  readonly importPeakRssMiB: number;
}

function perceptron(layers: readonly number[]): Uint8Array {
  const model = new ModelBuilder({ name: "benchmark" });
  const zeros = (name: string, ...shape: number[]) =>
    model.constant(name, "float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  let value = model.input("x", "float32", ["batch", layers[0]!]);
  layers.slice(1).forEach((size, i) => {
    value = model.node("Gemm", [value, zeros(`w${i}`, layers[i]!, size), zeros(`b${i}`, size)]);
    if (i + 2 < layers.length) value = model.node("Relu", [value]);
  });
  model.output(value, "logits", "float32", ["batch", layers.at(-1)!]);
  return model.encode();
}

const task = JSON.parse(process.argv[2]!) as Task;
const signal = new AbortController().signal;
const seconds = async <Result>(work: () => Promise<Result>): Promise<[Result, number]> => {
  const started = performance.now();
  const result = await work();
  return [result, (performance.now() - started) / 1000];
};
const peakMiB = () => Math.round(process.resourceUsage().maxRSS / 1024);
let shownMs = 0;
/** A line each ten seconds. */
const show = (stage: string, done: number, total: number) => {
  if (performance.now() - shownMs < 10_000) return;
  shownMs = performance.now();
  process.stderr.write(`${stage}: ${Math.floor((100 * done) / total)} %\n`);
};

const dataset = datasetFileSchema.parse(task.dataset);
const [data, importSeconds] = await seconds(() =>
  prepareDataset({
    dataset,
    name: "benchmark",
    folder: path.join(task.folder, "datasets"),
    resolve: async (file) => file,
    open: (file) => openReader(file),
    whole: task.whole,
    seed: Uint8Array.of(1),
    ...(task.normalised ? { bytes: { offset: 73, divisor: 256 } } : {}),
    onProgress: show,
  }),
);
const importPeakRssMiB = peakMiB();
const { batchSize, learningRate } = task;
const source = cutBatches(data.train, data.features, batchSize);
const trainer = startTrainer({ threads: availableParallelism() });
const settings = { batchSize, learningRate, averaging: 4, proof: { chainId: 31_337, circuit: {} } };
const { proof } = await trainer.load(perceptron(task.layers), settings);
const silent = { progress: show } as Parameters<typeof commitTo>[0]["ui"];
const key = await generateDataKey();
const [commitments, commitSeconds] = await seconds(() =>
  commitTo({
    source,
    contentId: data.id,
    proof: proof!,
    trainer,
    secretOf: () => new Uint8Array(32).fill(7),
    cacheDir: task.folder,
    ui: silent,
    signal,
  }),
);
await trainer.close();
const blockStore = await openBlockStore(path.join(task.folder, "blocks"));
const [published, encryptSeconds] = await seconds(() =>
  publishDataset({
    name: "benchmark",
    source,
    classes: data.schema.target.classes.length,
    commitments,
    blockStore,
    recipient: key.recipient,
    onProgress: ({ batches, total }) => show("Encrypting", batches, total),
  }),
);
const reader = openDataset({
  manifestBytes: published.manifestBytes,
  expectedRoot: published.root,
  fetch: async (cid) => (await blockStore.get(cid))!,
  identity: key.identity,
  cacheBytes: 0,
});
const [, decryptSeconds] = await seconds(async () => {
  for (let i = 0; i < reader.batchCount; i++) {
    await reader.batch(i);
    show("Decrypting", i, reader.batchCount);
  }
});
blockStore.close();
const fileBytes = data.files.reduce((sum, { bytes }) => sum + bytes, 0);
const plainBytes = source.count * batchSize * (data.features + 1);
const rate = (bytes: number, time: number) => Number((bytes / 1e6 / time).toFixed(1));
const figures: Figures = {
  fileBytes,
  samples: data.train.rows + data.test.rows,
  importMBps: rate(fileBytes, importSeconds),
  commitSeconds: Number(commitSeconds.toFixed(1)),
  encryptMBps: rate(plainBytes, encryptSeconds),
  decryptMBps: rate(plainBytes, decryptSeconds),
  peakRssMiB: peakMiB(),
  importPeakRssMiB,
};
process.send!(figures);
fs.rmSync(task.folder, { recursive: true, force: true });
process.disconnect();
