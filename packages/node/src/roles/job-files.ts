import path from "node:path";
import type { JobFiles } from "@skynet/swarm";
import { readFileIfThere, writeFileAtomic } from "../runtime/files.ts";

/** Folder of a job's files. */
export const jobFolder = (dataDir: string, jobId: string): string => path.join(dataDir, "jobs", jobId);

/** Files of one job in a folder of their own; readable by this user only, because they hold keys and weights. */
export function openJobFiles(dataDir: string, jobId: string): JobFiles {
  const folder = jobFolder(dataDir, jobId);
  return {
    read: (name) => readFileIfThere(path.join(folder, name)),
    write: (name, bytes) => writeFileAtomic(path.join(folder, name), bytes, 0o600),
  };
}
