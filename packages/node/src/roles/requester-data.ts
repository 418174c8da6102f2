import { buildBatches, publishDataset, readIdx, type BlockStore, type PublishedDataset } from "@skynet/storage";
import { keccak256, SkyNetError, word } from "@skynet/protocol";
import type { ModelShape, Trainer } from "@skynet/swarm";
import type { Ui } from "../cli/ui.ts";
import type { JobFile } from "../job-file.ts";

export interface TestSet {
  readonly x: Int8Array;
  readonly y: Uint8Array;
}

/** Images and labels of one part of the data, with matching counts. */
async function readPart(images: string, labels: string) {
  const [pictures, classes] = await Promise.all([readIdx(images), readIdx(labels)]);
  if (pictures.shape[0] !== classes.shape[0] || classes.shape.length !== 1)
    throw new SkyNetError(
      "DataMismatch",
      `${images} has ${pictures.shape[0]} samples, ${labels} has ${classes.shape[0]} labels`,
    );
  const features = pictures.shape.slice(1).reduce((product, size) => product * size, 1);
  return { images: pictures.data, labels: classes.data, features, count: pictures.shape[0]! };
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

/** Cuts the training set into batches, encrypts them and puts them into the block store. */
export async function publishTrainingSet(
  job: JobFile,
  trainer: Trainer,
  shape: ModelShape,
  modules: { blocks: BlockStore; recipient: string; ui: Ui; signal: AbortSignal },
): Promise<PublishedDataset> {
  const part = await readPart(job.data.trainImages, job.data.trainLabels);
  checkShape(part, shape, job.data.trainImages);
  const { batchSize, seed } = job.training;
  const images = await trainer.quantise(part.images);
  const order = keccak256(new TextEncoder().encode("skynet/1/shuffle"), word(seed));
  return publishDataset({
    name: job.name,
    batches: buildBatches({ images, labels: part.labels, batchSize, seed: order }),
    classes: shape.classes,
    blockStore: modules.blocks,
    recipient: modules.recipient,
    signal: modules.signal,
    onProgress: ({ batches, total }) =>
      modules.ui.progress(`Encrypting ${part.count.toLocaleString("en")} samples`, batches, total),
  });
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
