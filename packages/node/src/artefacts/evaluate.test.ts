import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { silentUi } from "../../../../tests/support/network.ts";
import { tinyModel, writeTinyJob } from "../../../../tests/support/tiny-job.ts";
import { readJobFile } from "../job-file.ts";
import { evaluateOn, prepareData } from "../roles/requester-data.ts";
import { startTrainer } from "../trainer/trainer.ts";
import { evaluateModel } from "./evaluate.ts";

let dataDir = "";
beforeEach(async () => {
  dataDir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-evaluate-"));
});
afterEach(() => fs.rm(dataDir, { recursive: true, force: true }));

it("evaluates on test data of its own: the job that runs with the same file and folder keeps its samples", async () => {
  const job = await writeTinyJob(path.join(dataDir, "job"));
  const trainer = startTrainer({ threads: 1 });
  try {
    const shape = await trainer.load(tinyModel(), { batchSize: 8, learningRate: 0.5, averaging: 4, proof: undefined });
    const weights = await trainer.initialWeights(new Uint8Array(32).fill(1));
    const place = { dataDir, ui: silentUi, signal: new AbortController().signal };
    const running = await prepareData(await readJobFile(job), shape, place);
    const { check } = await evaluateModel(trainer, weights, shape, { ...place, job });
    expect(check).toMatchObject({ on: "test", samples: running.test.rows });
    expect(await evaluateOn(running.test, running.features, trainer, weights)).toEqual({
      accuracy: check.accuracy,
      loss: check.loss,
    });
    expect(await fs.readdir(path.join(dataDir, "evaluations"))).toEqual([]);
  } finally {
    await trainer.close();
  }
});
