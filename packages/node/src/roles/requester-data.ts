import {
  batchLeaf,
  buildBatches,
  publishDataset,
  readIdx,
  type Batch,
  type BatchCommitments,
  type DataKey,
  type PublishedDataset,
} from "@skynet/storage";
import path from "node:path";
import { concatBytes, fromHex, keccak256, merkleRoot, SkyNetError, toHex, word } from "@skynet/protocol";
import { type CommittedBatch, datasetSecret, type ModelShape, type ProofShape, type Trainer } from "@skynet/swarm";
import type { Ui } from "../cli/ui.ts";
import type { JobFile } from "../job-file.ts";
import { readFileIfThere, writeFileAtomic } from "../runtime/files.ts";
import type { LocalNode } from "./local-node.ts";

export interface TestSet {
  readonly x: Int8Array;
  readonly y: Uint8Array;
}

/** Images and labels of one part of the data, with matching counts; `shape` is that of one sample. */
export async function readPart(images: string, labels: string) {
  const [pictures, classes] = await Promise.all([readIdx(images), readIdx(labels)]);
  if (pictures.shape[0] !== classes.shape[0] || classes.shape.length !== 1)
    throw new SkyNetError(
      "DataMismatch",
      `${images} has ${pictures.shape[0]} samples, ${labels} has ${classes.shape[0]} labels`,
    );
  const shape = pictures.shape.slice(1);
  const features = shape.reduce((product, size) => product * size, 1);
  return { images: pictures.data, labels: classes.data, features, shape, count: pictures.shape[0]! };
}

/**
 * The test set as the integers that the model takes.
 * @throws StorageError `TruncatedIdx`, `BadIdx`; SkyNetError `DataMismatch`
 */
export async function readTestSet(job: JobFile, trainer: Trainer, shape: ModelShape): Promise<TestSet> {
  const part = await readPart(job.data.testImages, job.data.testLabels);
  checkShape(part, shape, job.data.testImages);
  return { x: await trainer.quantise(part.images), y: part.labels };
}

export interface DataModules {
  readonly node: LocalNode;
  /** Of this dataset alone: members of the job learn the identity. */
  readonly key: DataKey;
  readonly ui: Ui;
  readonly signal: AbortSignal;
  /** Folder that keeps commitments without blinders. */
  readonly cacheDir: string;
}

/** Cuts the training set into batches, commits to them if the job is proven, encrypts and stores them. */
export async function publishTrainingSet(
  job: JobFile,
  trainer: Trainer,
  shape: ModelShape,
  modules: DataModules,
): Promise<PublishedDataset> {
  const part = await readPart(job.data.trainImages, job.data.trainLabels);
  checkShape(part, shape, job.data.trainImages);
  const { batchSize, seed } = job.training;
  const images = await trainer.quantise(part.images);
  const order = keccak256(new TextEncoder().encode("skynet/1/shuffle"), word(seed));
  const batches = buildBatches({ images, labels: part.labels, batchSize, seed: order });
  return publishDataset({
    name: job.name,
    batches,
    commitments: shape.proof && (await commitTo(batches, shape, shape.proof, trainer, modules)),
    classes: shape.classes,
    blockStore: modules.node.blocks,
    recipient: modules.key.recipient,
    signal: modules.signal,
    onProgress: ({ batches, total }) =>
      modules.ui.progress(`Encrypting ${part.count.toLocaleString("en")} samples`, batches, total),
  });
}

/** Batches that travel to the training thread together. */
const CHUNK = 8;
const POINT_BYTES = 64;

/**
 * Points of every batch. The key of a dataset is new in every job and blinders follow from it, so the cache holds points
 * without blinders: this node's own data, committed to with the same layout before.
 */
async function commitTo(
  batches: readonly Batch[],
  { features }: ModelShape,
  { batchTag, batchBlocks }: ProofShape,
  trainer: Trainer,
  { cacheDir, ui, signal, key }: DataModules,
): Promise<BatchCommitments> {
  const tag = fromHex(batchTag);
  const secret = datasetSecret(key.identity);
  const withPoints = (points: readonly Uint8Array[]) =>
    batches.map((batch, index) => ({ ...batch, index, secret, points: points[index]! }));
  const content = merkleRoot(batches.map((batch) => batchLeaf(batch, features)));
  const file = path.join(cacheDir, "commitments", `${toHex(keccak256(tag, content)).slice(2)}.bin`);
  const size = batchBlocks * POINT_BYTES;
  const cached = await readFileIfThere(file);
  if (cached?.length === batches.length * size) {
    ui.status("checking the stored commitments of the data");
    const plain = batches.map((_, i) => cached.slice(i * size, (i + 1) * size));
    const points = await blindAndCheck(trainer, withPoints(plain)).catch(() => undefined);
    if (points) return { tag, points };
  }
  const plain: Uint8Array[] = [];
  for (let i = 0; i < batches.length; i += CHUNK) {
    signal.throwIfAborted();
    plain.push(...(await trainer.commitBatches(batches.slice(i, i + CHUNK))));
    ui.progress(`Committing to ${batches.length} batches`, plain.length, batches.length);
  }
  await writeFileAtomic(file, concatBytes(...plain), 0o600);
  return { tag, points: await trainer.blindBatches(withPoints(plain)) };
}

/** What is on disk may be damaged. @throws SkyNetError `BadBatch`, `BadPoint` */
async function blindAndCheck(trainer: Trainer, batches: readonly CommittedBatch[]): Promise<Uint8Array[]> {
  const points = await trainer.blindBatches(batches);
  await trainer.checkBatches(batches.map((batch, i) => ({ ...batch, points: points[i]! })));
  return points;
}

function checkShape(
  part: { features: number; labels: Uint8Array },
  { features, classes }: ModelShape,
  file: string,
): void {
  if (part.features !== features)
    throw new SkyNetError("DataMismatch", `${file} has ${part.features} values a sample, the model takes ${features}`);
  const largest = part.labels.reduce((most, label) => Math.max(most, label), 0);
  if (largest >= classes)
    throw new SkyNetError(
      "DataMismatch",
      `there is a label ${largest}, the model has ${classes} classes (0 to ${classes - 1})`,
    );
}
