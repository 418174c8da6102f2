import { readIdx, buildBatches, publishDataset, quantizeInputs, type BlockStore } from "@skynet/storage";
import { SkyNetError } from "@skynet/protocol";
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
export async function readTestSet(job: JobFile, features: number, classes: number): Promise<TestSet> {
  const part = await readPart(job.data.testImages, job.data.testLabels);
  checkShape(part, features, classes, job.data.testImages);
  return { x: quantizeInputs(part.images), y: part.labels };
}

/** Cuts the training set into batches, encrypts them and puts them into the block store. */
export async function publishTrainingSet(
  job: JobFile,
  shape: { features: number; classes: number },
  modules: { blocks: BlockStore; recipient: string; ui: Ui; signal: AbortSignal },
) {
  const { images, labels, features, count } = await readPart(job.data.trainImages, job.data.trainLabels);
  checkShape({ features, labels }, shape.features, shape.classes, job.data.trainImages);
  const batches = buildBatches({
    images,
    labels,
    features,
    batchSize: job.training.batchSize,
    seed: job.training.seed,
  });
  return publishDataset({
    name: job.name,
    batches,
    batchSize: job.training.batchSize,
    features,
    classes: shape.classes,
    blockStore: modules.blocks,
    recipient: modules.recipient,
    signal: modules.signal,
    onProgress: (done: number, total: number) =>
      modules.ui.progress(`Encrypting ${count.toLocaleString("en")} samples`, done, total),
  });
}

function checkShape(
  part: { features: number; labels: Uint8Array },
  features: number,
  classes: number,
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
