import { SkyNetError } from "@skynet/protocol";
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

export interface EvaluatePlace {
  /** Job file with test data; absent: a random sample. */
  readonly job?: string | undefined;
  readonly dataDir: string;
  readonly signal: AbortSignal;
  readonly ui: Ui;
}

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
): Promise<ModelCheck> {
  const check =
    place.job === undefined
      ? await onRandom(trainer, weights, shape)
      : await onTest(trainer, weights, shape, place.job, place);
  if (!Number.isFinite(check.loss))
    throw new SkyNetError("BadOutputs", `the model's mean loss on ${check.samples} samples is ${check.loss}`);
  return check;
}

async function onTest(
  trainer: Trainer,
  weights: Weights,
  shape: ModelShape,
  job: string,
  place: EvaluatePlace,
): Promise<ModelCheck> {
  const data = await prepareData(await readJobFile(job), shape, place);
  try {
    return { on: "test", samples: data.test.rows, ...(await evaluateOn(data.test, data.features, trainer, weights)) };
  } finally {
    await data.remove();
  }
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
