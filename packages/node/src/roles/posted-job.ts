import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { keccak256, toHex, type Hex } from "@skynet/protocol";
import { FileError, readFileIfThere, writeFileAtomic } from "../runtime/files.ts";
import { toJson } from "../cli/ui.ts";
import { jobFolder } from "./job-files.ts";

const hex = z
  .string()
  .regex(/^0x[0-9a-f]*$/)
  .transform((text) => text as Hex);

const postedJobSchema = z.strictObject({
  version: z.literal(2),
  jobId: hex,
  /** Hash of the job's settings: the same job file resumes the same job. */
  settings: hex,
  metadata: hex,
  modelCid: z.string(),
  manifestCid: z.string(),
  dataRoot: hex,
  nBatches: z.number().int(),
  /** 32 bytes; the secrets of all batches follow from it. */
  datasetSecret: hex,
  /** Newest group key, its epoch, the members that have it, and the seed of their batches; none before the assignment. */
  group: z.strictObject({ epoch: z.number().int(), key: hex, members: z.array(hex), jobSeed: hex }).nullable(),
  startedMs: z.number(),
  /** Folder of the prepared dataset. */
  prepared: z.string().regex(/^[\w-]+$/),
  done: z.literal(false),
});

const finishedSchema = z.looseObject({ done: z.literal(true) });

/** What a requester must remember of a job to lead it on after a restart. Holds secrets: mode 0600. */
export type PostedJob = z.output<typeof postedJobSchema>;

export const settingsHash = (settings: unknown): Hex => toHex(keccak256(new TextEncoder().encode(toJson(settings))));

const fileOf = (dataDir: string, jobId: Hex) => path.join(jobFolder(dataDir, jobId), "job.json");

export async function savePostedJob(dataDir: string, job: PostedJob): Promise<void> {
  await writeFileAtomic(fileOf(dataDir, job.jobId), `${JSON.stringify(job, null, 2)}\n`, 0o600);
}

/** Whether this folder is that of the job's requester. */
export const isPostedHere = async (dataDir: string, jobId: Hex): Promise<boolean> =>
  (await readFileIfThere(fileOf(dataDir, jobId))) !== undefined;

/** Notes that the job is over, without its secrets. */
export async function endPostedJob(dataDir: string, { jobId, modelCid, metadata }: PostedJob): Promise<void> {
  const ended = { version: 2, jobId, modelCid, metadata, done: true };
  await writeFileAtomic(fileOf(dataDir, jobId), `${JSON.stringify(ended, null, 2)}\n`, 0o600);
}

/** Jobs of this folder; those that cannot be read are left out. */
export async function postedJobs(dataDir: string): Promise<{ ended: Hex[]; unfinished: PostedJob[] }> {
  const ended: Hex[] = [];
  const unfinished: PostedJob[] = [];
  for (const id of await fs.readdir(path.join(dataDir, "jobs")).catch(() => [])) {
    const content = await readFileIfThere(fileOf(dataDir, id as Hex)).catch(() => undefined);
    if (content === undefined) continue;
    try {
      const job = parseUnfinished(content, id);
      if (job === undefined) ended.push(id as Hex);
      else unfinished.push(job);
    } catch {
      // findUnfinishedJob says what is wrong with it.
    }
  }
  return { ended, unfinished };
}

/**
 * Unfinished job with these settings, from before a restart.
 * @throws FileError `BrokenJobFile`: a job that cannot be read could be this one, and posting it again would escrow twice
 */
export async function findUnfinishedJob(dataDir: string, settings: Hex): Promise<PostedJob | undefined> {
  const ids = await fs.readdir(path.join(dataDir, "jobs")).catch(() => []);
  for (const id of ids) {
    const file = fileOf(dataDir, id as Hex);
    const content = await readFileIfThere(file);
    const job = content && parseUnfinished(content, file);
    if (job?.settings === settings) return job;
  }
  return undefined;
}

/** Undefined for a job that is over, also when another version has written it. */
function parseUnfinished(content: Uint8Array, file: string): PostedJob | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(content));
    return finishedSchema.safeParse(json).success ? undefined : postedJobSchema.parse(json);
  } catch (cause) {
    throw new FileError("BrokenJobFile", `${file} is damaged or from another version`, {
      cause,
      hint: "restore it to resume that job; or move its folder away, and the job is left to its timeouts",
    });
  }
}
