import { keccak256, SkyNetError, word } from "@skynet/protocol";
import {
  cutBatches,
  dataKeyOf,
  publishDataset,
  type BlockStore,
  type PreparedDataset,
  type PreparedPart,
  type PublishedDataset,
} from "@skynet/storage";
import { batchSecret, type Evaluation, type ModelShape, type Trainer, type Weights } from "@skynet/swarm";
import type { Ui } from "../cli/ui.ts";
import { commitTo } from "../data/commitments.ts";
import { prepare, type DataPlace } from "../data/prepare.ts";
import type { JobFile } from "../job-file.ts";

/**
 * The job's data as samples of the model, in the order of the job's seed.
 * @throws StorageError about the files; SkyNetError `DataMismatch`
 */
export async function prepareData(job: JobFile, shape: ModelShape, place: DataPlace): Promise<PreparedDataset> {
  const seed = keccak256(new TextEncoder().encode("skynet/1/shuffle"), word(job.training.seed));
  const prepared = await prepare(job.data, { seed, bytes: shape.normalisation }, place);
  checkShape(prepared, shape);
  tell(prepared, place.ui);
  return prepared;
}

/** What the data are, in a line, and what somebody should look at. */
function tell(prepared: PreparedDataset, ui: Ui): void {
  const { schema, rows, features, classes, missing, unknown, clipped, constant, ignored } = prepared;
  const { name, target } = schema;
  const count = (value: number) => value.toLocaleString("en");
  ui.event("data", {
    name,
    rows,
    features,
    classes: target.classes,
    rowsOfClasses: classes,
    missing,
    unknown,
    clipped,
    constant,
    ignored,
  });
  ui.line(
    `data ${name}: ${count(rows.train)} samples of ${count(features)} values for training, ${count(rows.test)} for testing, ${target.classes.length} classes`,
  );
  const names = (entries: Record<string, number>) =>
    Object.entries(entries)
      .map(([column, values]) => `${column} (${count(values)})`)
      .join(", ");
  if (rows.dropped > 0) ui.line(`  ${count(rows.dropped)} rows with missing values were left out`);
  if (Object.keys(missing).length > 0) ui.line(`  missing values, filled in: ${names(missing)}`);
  if (Object.keys(unknown).length > 0) ui.line(`  categories that only the test part has: ${names(unknown)}`);
  if (constant.length > 0) ui.line(`  the same in every row, and of no use: ${constant.join(", ")}`);
  if (Object.keys(clipped).length > 0) ui.line(`  values outside the range of inputs, cut: ${names(clipped)}`);
  for (const { name: column, why } of ignored) ui.line(`  column ${column} is not used: ${why}`);
}

export interface DataModules extends DataPlace {
  readonly node: { readonly blocks: BlockStore };
  /** 32 bytes of this job alone: the secret of each batch follows from it. */
  readonly datasetSecret: Uint8Array;
  /** Folder that keeps commitments without blinders. */
  readonly cacheDir: string;
}

/** Cuts the training part into batches, commits to them if the job is proven, encrypts and stores them. */
export async function publishTrainingSet(
  job: JobFile,
  prepared: PreparedDataset,
  trainer: Trainer,
  shape: ModelShape,
  modules: DataModules,
): Promise<PublishedDataset> {
  const { train, features, id } = prepared;
  const source = cutBatches(train, features, job.training.batchSize);
  const secretOf = (index: number) => batchSecret(modules.datasetSecret, index);
  const { proof } = shape;
  return publishDataset({
    name: job.name,
    source,
    commitments: proof && (await commitTo({ ...modules, source, contentId: id, proof, trainer, secretOf })),
    classes: shape.classes,
    blockStore: modules.node.blocks,
    recipient: async (index) => (await dataKeyOf(secretOf(index))).recipient,
    signal: modules.signal,
    onProgress: ({ batches, total }) =>
      modules.ui.progress(`Encrypting ${train.rows.toLocaleString("en")} samples`, batches, total),
  });
}

/** Input bytes that are evaluated at once. */
const EVALUATE_BYTES = 16 * 2 ** 20;

/** Evaluates weights on a part of a dataset, a piece at a time. */
export async function evaluateOn(
  part: PreparedPart,
  features: number,
  trainer: Trainer,
  weights: Weights,
): Promise<Evaluation> {
  const each = Math.max(1, Math.floor(EVALUATE_BYTES / features));
  let [accuracy, loss] = [0, 0];
  for (let first = 0; first < part.rows; first += each) {
    const { x, y } = await part.read(first, Math.min(each, part.rows - first));
    const found = await trainer.evaluate(weights, x, y);
    accuracy += (found.accuracy * y.length) / part.rows;
    loss += (found.loss * y.length) / part.rows;
  }
  return { accuracy, loss };
}

function checkShape({ schema, features, rows }: PreparedDataset, shape: ModelShape): void {
  const { classes } = schema.target;
  const mismatch = (message: string, hint: string) => new SkyNetError("DataMismatch", message, { hint });
  if (features !== shape.features)
    throw mismatch(
      `${schema.name} has ${features} values a sample, the model takes ${shape.features}`,
      "npx skynet data inspect shows the columns; leave some out in dataset.yaml, or use another model",
    );
  if (classes.length > shape.classes)
    throw mismatch(
      `${schema.name} has ${classes.length} classes, the model tells ${shape.classes} apart`,
      `the classes are: ${classes.slice(0, 20).join(", ")}`,
    );
  if (rows.test === 0)
    throw mismatch("no sample is kept for testing", "name a test file, or a larger part in split.test of dataset.yaml");
}
