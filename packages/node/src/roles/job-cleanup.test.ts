// What is left on the disk of a node that crashed is removed when it starts again.
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { ChainError, type Chain } from "@skynet/contracts";
import { createMemoryPartials } from "@skynet/network";
import { JobPhase, type Hex } from "@skynet/protocol";
import { openBlockStore, type DiskBlockStore } from "@skynet/storage";
import { afterEach, beforeEach, expect, it } from "vitest";
import { jobPin } from "../runtime/blocks.ts";
import { forgetJob, forgetOverJobs, forgetPostedJob, forgetUnusedData } from "./job-cleanup.ts";
import { openJobFiles } from "./job-files.ts";
import { findUnfinishedJob, savePostedJob, type PostedJob } from "./posted-job.ts";

const idOf = (byte: string): Hex => `0x${byte.repeat(32)}`;
const SECRET = idOf("5e");

let dataDir = "";
let blocks: DiskBlockStore;
beforeEach(async () => {
  dataDir = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-cleanup-"));
  blocks = await openBlockStore(path.join(dataDir, "blocks"));
});
afterEach(async () => {
  blocks.close();
  await fs.rm(dataDir, { recursive: true, force: true });
});

/** A job of this requester with a prepared dataset, weights, a receipt and a block. */
async function leaveJob(byte: string): Promise<{ job: PostedJob; cid: string }> {
  const jobId = idOf(byte);
  const job: PostedJob = {
    version: 2,
    jobId,
    settings: jobId,
    metadata: "0x",
    modelCid: "bafy",
    manifestCid: "bafy",
    dataRoot: jobId,
    nBatches: 1,
    datasetSecret: SECRET,
    group: { epoch: 0, key: SECRET, members: [], jobSeed: jobId },
    startedMs: 0,
    prepared: `rows-${byte}`,
    done: false,
  };
  await savePostedJob(dataDir, job);
  const files = openJobFiles(dataDir, jobId);
  for (const name of ["state.cbor", "update-3.cbor", "answer-3-1.cbor", "receipt-3-0xaa.cbor", "model.onnx"])
    await files.write(name, new Uint8Array(9));
  await fs.mkdir(path.join(dataDir, "datasets", job.prepared), { recursive: true });
  const cid = await blocks.put(new TextEncoder().encode(jobId));
  blocks.pin(jobPin(jobId), [cid]);
  return { job, cid };
}

const disk = () => ({ blocks, partials: createMemoryPartials(1000) });
const filesOf = async (jobId: Hex) => (await fs.readdir(path.join(dataDir, "jobs", jobId))).toSorted();
const jobText = (jobId: Hex) => fs.readFile(path.join(dataDir, "jobs", jobId, "job.json"), "utf8");

it("an ended job keeps its results and receipts; keys, data, weights and beginnings of blocks are gone", async () => {
  const { job, cid } = await leaveJob("01");
  const here = disk();
  await here.partials.append("bafy", 0, new Uint8Array(5));
  await forgetPostedJob(here, dataDir, job);
  expect(await filesOf(job.jobId)).toEqual(["job.json", "model.onnx", "receipt-3-0xaa.cbor"]);
  expect(await jobText(job.jobId)).not.toContain(SECRET.slice(2, 40));
  expect(await fs.readdir(path.join(dataDir, "datasets"))).toEqual([]);
  expect(await blocks.has(cid)).toBe(false);
  expect(await here.partials.load("bafy")).toHaveLength(0);
  expect(await findUnfinishedJob(dataDir, job.settings)).toBeUndefined();
});

it("the next start ends what was interrupted, and what was refunded meanwhile; a job that can have a model stays", async () => {
  const [ended, refunded, running, unposted, trained] = await Promise.all(
    ["01", "02", "03", "04", "05"].map((byte) => leaveJob(byte)),
  );
  // Killed after it noted the end.
  const { jobId } = ended!.job;
  await fs.writeFile(path.join(dataDir, "jobs", jobId, "job.json"), JSON.stringify({ jobId, done: true }));
  const states: Record<Hex, { phase: number; merged: number }> = {
    [refunded!.job.jobId]: { phase: JobPhase.SETTLED, merged: 0 },
    [running!.job.jobId]: { phase: JobPhase.COMMIT, merged: 0 },
    [trained!.job.jobId]: { phase: JobPhase.SETTLED, merged: 2 },
  };
  const chain = {
    job: async (id: Hex) => {
      const state = states[id];
      if (state === undefined) throw new ChainError("UnknownJob");
      return { state };
    },
  } as unknown as Pick<Chain, "job">;
  await forgetOverJobs({ ...disk(), chain }, dataDir);
  for (const { job, cid } of [ended!, refunded!]) {
    expect(await filesOf(job.jobId)).toEqual(["job.json", "model.onnx", "receipt-3-0xaa.cbor"]);
    expect(await jobText(job.jobId)).not.toContain(SECRET.slice(2, 40));
    expect(await blocks.has(cid)).toBe(false);
  }
  for (const { job, cid } of [running!, unposted!, trained!]) {
    expect(await filesOf(job.jobId)).toContain("state.cbor");
    expect(await findUnfinishedJob(dataDir, job.settings)).toEqual(job);
    expect(await blocks.has(cid)).toBe(true);
  }
});

it("a worker's folder goes when nothing is left in it, and forgetting again does no harm", async () => {
  const jobId = idOf("06");
  const files = openJobFiles(dataDir, jobId);
  for (const name of ["state.cbor", "update-0.cbor", "update-0.cbor.12.tmp"])
    await files.write(name, new Uint8Array(9));
  await forgetJob(disk(), dataDir, jobId);
  expect(await fs.readdir(path.join(dataDir, "jobs"))).toEqual([]);
  await forgetJob(disk(), dataDir, jobId);
});

it("samples that were prepared for a job that was never posted are removed, those of unfinished jobs stay", async () => {
  const { job } = await leaveJob("06");
  await fs.mkdir(path.join(dataDir, "datasets", "of-nobody"), { recursive: true });
  await forgetUnusedData(dataDir);
  expect(await fs.readdir(path.join(dataDir, "datasets"))).toEqual([job.prepared]);
});
