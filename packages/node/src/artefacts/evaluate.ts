import fs from "node:fs/promises";
import path from "node:path";
import { SkyNetError } from "@skynet/protocol";
import type { DatasetSchema } from "@skynet/storage";
import type { Evaluation, ModelShape, Trainer, Weights } from "@skynet/swarm";
import type { Ui } from "../cli/ui.ts";
import { readJobFile } from "../job-file.ts";
import { evaluateOn, prepareData } from "../roles/requester-data.ts";

/** One evaluation of a model. */
export interface ModelCheck extends Evaluation {
  /** The job's test data, or random inputs, whose classes are random too. */
  readonly on: "test" | "random";
  readonly samples: number;
}

export interface Evaluated {
  readonly check: ModelCheck;
  /** Of the test data that the user named. */
  readonly schema: DatasetSchema | undefined;
}

export interface EvaluatePlace {
  /** Job file with test data; absent: a random sample. */
  readonly job?: string | undefined;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  readonly ui: Ui;
}

const LEFT_MS = 24 * 60 * 60 * 1000;
const RANDOM_SAMPLES = 256;
/** Always the same sample. */
const SEED = 20_240_501;

/**
 * Runs the model on the test data of the job file, else on seeded random inputs.
 * @throws SkyNetError `BadOutputs` when a loss is not finite; StorageError, InvalidInputError about the job's data
 */
export async function evaluateModel(
  trainer: Trainer,
  weights: Weights,
  shape: ModelShape,
  place: EvaluatePlace,
): Promise<Evaluated> {
  const evaluated =
    place.job === undefined
      ? { check: await onRandom(trainer, weights, shape), schema: undefined }
      : await onTest(trainer, weights, shape, place.job, place);
  const { check } = evaluated;
  if (!Number.isFinite(check.loss))
    throw new SkyNetError("BadOutputs", `the model's mean loss on ${check.samples} samples is ${check.loss}`);
  return evaluated;
}

async function onTest(
  trainer: Trainer,
  weights: Weights,
  shape: ModelShape,
  job: string,
  place: EvaluatePlace,
): Promise<Evaluated> {
  // A job that runs with the same file uses the same prepared data: these are others, and are removed alone.
  const preparedDir = await evaluationFolder(place.dataDir);
  try {
    const data = await prepareData(await readJobFile(job), shape, { ...place, preparedDir });
    const evaluation = await evaluateOn(data.test, data.features, trainer, weights);
    return { check: { on: "test", samples: data.test.rows, ...evaluation }, schema: data.schema };
  } finally {
    await fs.rm(preparedDir, { recursive: true, force: true });
  }
}

/** An empty folder for this evaluation; those that a crash left are removed after a day. */
async function evaluationFolder(dataDir: string): Promise<string> {
  const all = path.join(dataDir, "evaluations");
  await fs.mkdir(all, { recursive: true, mode: 0o700 });
  for (const name of await fs.readdir(all)) {
    const found = await fs.stat(path.join(all, name)).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > LEFT_MS)
      await fs.rm(path.join(all, name), { recursive: true, force: true });
  }
  return fs.mkdtemp(path.join(all, "test-"));
}

async function onRandom(trainer: Trainer, weights: Weights, { features, classes }: ModelShape): Promise<ModelCheck> {
  let state = SEED;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const x = Int8Array.from({ length: RANDOM_SAMPLES * features }, () => random(256) - 128);
  const y = Uint8Array.from({ length: RANDOM_SAMPLES }, () => random(classes));
  return { on: "random", samples: RANDOM_SAMPLES, ...(await trainer.evaluate(weights, x, y)) };
}
