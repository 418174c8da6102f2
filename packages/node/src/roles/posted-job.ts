import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { keccak256, toHex, type Hex } from "@skynet/protocol";
import { FileError, readFileIfThere, writeFileAtomic } from "../runtime/files.ts";
import { toJson } from "../cli/ui.ts";

const hex = z
  .string()
  .regex(/^0x[0-9a-f]*$/)
  .transform((text) => text as Hex);

const postedJobSchema = z.strictObject({
  version: z.literal(1),
  jobId: hex,
  /** Hash of the job's settings: the same job file resumes the same job. */
  settings: hex,
  metadata: hex,
  modelCid: z.string(),
  manifestCid: z.string(),
  dataRoot: hex,
  nBatches: z.number().int(),
  dataIdentity: z.string(),
  /** Newest group key, its epoch and the members that have it; none before the assignment. */
  group: z.strictObject({ epoch: z.number().int(), key: hex, members: z.array(hex) }).nullable(),
  startedMs: z.number(),
  done: z.boolean(),
});

/** What a requester must remember of a job to lead it on after a restart. Holds secrets: mode 0600. */
export type PostedJob = z.output<typeof postedJobSchema>;

export const settingsHash = (settings: unknown): Hex => toHex(keccak256(new TextEncoder().encode(toJson(settings))));

const fileOf = (dataDir: string, jobId: Hex) => path.join(dataDir, "jobs", jobId, "job.json");

export async function savePostedJob(dataDir: string, job: PostedJob): Promise<void> {
  await writeFileAtomic(fileOf(dataDir, job.jobId), `${JSON.stringify(job, null, 2)}\n`, 0o600);
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
    const job = content && parsePostedJob(content, file);
    if (job && !job.done && job.settings === settings) return job;
  }
  return undefined;
}

function parsePostedJob(content: Uint8Array, file: string): PostedJob {
  try {
    return postedJobSchema.parse(JSON.parse(new TextDecoder().decode(content)));
  } catch (cause) {
    throw new FileError("BrokenJobFile", `${file} is damaged or from another version`, {
      cause,
      hint: "restore it to resume that job; or move its folder away, and the job is left to its timeouts",
    });
  }
}
