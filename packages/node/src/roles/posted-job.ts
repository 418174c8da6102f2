import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { keccak256, toHex, type Hex } from "@skynet/protocol";
import { readFileIfThere, writeFileAtomic } from "../runtime/files.ts";
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

/** Unfinished job with these settings, from before a restart. */
export async function findUnfinishedJob(dataDir: string, settings: Hex): Promise<PostedJob | undefined> {
  const ids = await fs.readdir(path.join(dataDir, "jobs")).catch(() => []);
  for (const id of ids) {
    const content = await readFileIfThere(fileOf(dataDir, id as Hex));
    if (content === undefined) continue;
    const parsed = postedJobSchema.safeParse(JSON.parse(new TextDecoder().decode(content)));
    if (parsed.success && !parsed.data.done && parsed.data.settings === settings) return parsed.data;
  }
  return undefined;
}
