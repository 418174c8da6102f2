// What nodes remove when a job is over: keys, data, weights, and whatever of them was on its way.
import fs from "node:fs/promises";
import path from "node:path";
import { ChainError, type Chain } from "@skynet/contracts";
import { JobPhase, type Hex } from "@skynet/protocol";
import { jobPin } from "../runtime/blocks.ts";
import { jobFolder } from "./job-files.ts";
import type { LocalNode } from "./local-node.ts";
import { endPostedJob, postedJobs, type PostedJob } from "./posted-job.ts";

type Disk = Pick<LocalNode, "blocks" | "partials">;

/** Weights, updates, answers and what was heard, also what a crash left half written. Receipts prove what was delivered. */
const WORK = /^(?!receipt-).*\.cbor(\.\d+\.tmp)?$/;

/**
 * Removes a job's blocks that nothing else needs, beginnings of blocks, and files of its rounds. The files go last: while
 * they are there, the next start goes on with it. Does nothing where nothing is left.
 */
export async function forgetJob({ blocks, partials }: Disk, dataDir: string, jobId: Hex): Promise<void> {
  const folder = jobFolder(dataDir, jobId);
  const names = (await fs.readdir(folder).catch(() => [])).filter((name) => WORK.test(name));
  if (names.length > 0) await partials.clear();
  await blocks.discard(jobPin(jobId));
  for (const name of names) await fs.rm(path.join(folder, name), { force: true });
  // Receipts and a requester's results stay, and so does the folder then.
  await fs.rmdir(folder).catch(() => undefined);
}

/** The requester's job is over, and its results are written: the keys go first. */
export async function forgetPostedJob(disk: Disk, dataDir: string, job: PostedJob): Promise<void> {
  await endPostedJob(dataDir, job);
  await forgetJob(disk, dataDir, job.jobId);
  await fs.rm(path.join(dataDir, "datasets", job.prepared), { recursive: true, force: true });
}

/**
 * Removes what a requester that ended too early left of jobs that are over: of those that it had ended, and of those that
 * were refunded without a model; and samples of data that no job needs. Other jobs wait for `train` with the same file,
 * which fetches their model.
 */
export async function forgetOverJobs(
  disk: Disk & { readonly chain: Pick<Chain, "job"> },
  dataDir: string,
): Promise<void> {
  const { ended, unfinished } = await postedJobs(dataDir);
  for (const jobId of ended) await forgetJob(disk, dataDir, jobId);
  for (const job of unfinished)
    if (await isWithoutModel(disk.chain, job.jobId)) await forgetPostedJob(disk, dataDir, job);
  await forgetUnusedData(dataDir);
}

/** Removes prepared datasets that no unfinished job needs: of jobs that were never posted. */
export async function forgetUnusedData(dataDir: string): Promise<void> {
  const { unfinished } = await postedJobs(dataDir);
  const needed = new Set(unfinished.map(({ prepared }) => prepared));
  const datasets = path.join(dataDir, "datasets");
  for (const name of await fs.readdir(datasets).catch(() => []))
    if (!needed.has(name)) await fs.rm(path.join(datasets, name), { recursive: true, force: true });
}

async function isWithoutModel(chain: Pick<Chain, "job">, jobId: Hex): Promise<boolean> {
  try {
    const { state } = await chain.job(jobId);
    return state.phase === JobPhase.SETTLED && state.merged === 0;
  } catch (error) {
    // It has not reached the chain yet, or is of another one.
    if (error instanceof ChainError && error.code === "UnknownJob") return false;
    throw error;
  }
}
