// Long versions of tests that need several packages, for `npm run fuzz`.
import { whyNoLab } from "./netlab/lab.ts";
import { checkChurn, runChurn } from "./support/churn.ts";
import { checkLoss, openLossyLab } from "./support/loss.ts";

interface Options {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

/** `count` seconds of jobs and messages while a relay and workers are killed and started again. Needs root on Linux. */
async function fuzzChurn({ count, seed, onProgress }: Options): Promise<Record<string, unknown>> {
  const missing = whyNoLab();
  if (missing !== undefined) throw new Error(`machines cannot be killed here: ${missing}`);
  const report = await runChurn({ seconds: count, seed, rounds: 6, ...(onProgress ? { onProgress } : {}) });
  checkChurn(report);
  const { jobs, ...rest } = report;
  const rounds = jobs.reduce((sum, job) => sum + Number(job.rounds), 0);
  const lastWords = jobs.filter(({ statesIdentical }) => statesIdentical === true).length;
  return { jobs: jobs.length, rounds, jobsWhoseWorkersAllSaidTheResult: lastWords, ...rest };
}

/** `count` messages between two nodes and a relay over QUIC on lines that lose a fifth of all packets. Needs root on Linux. */
async function fuzzLoss({ count, onProgress }: Options): Promise<Record<string, unknown>> {
  const missing = whyNoLab();
  if (missing !== undefined) throw new Error(`there is no lab here: ${missing}`);
  const each = Math.ceil(count / 2);
  const lab = await openLossyLab();
  try {
    const report = await lab.send("quic", { each, ...(onProgress ? { onProgress } : {}) });
    checkLoss(report, each);
    const { handled, ...sums } = report;
    return { handledOnceAndInOrder: handled.flat().length, ...sums };
  } finally {
    await lab.close();
  }
}

export const fuzzers = { churn: fuzzChurn, "network-loss": fuzzLoss };
