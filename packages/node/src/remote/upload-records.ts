import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../runtime/files.ts";
import { homeDir } from "../runtime/home.ts";

const schema = z.object({
  cid: z.string(),
  name: z.string(),
  size: z.number(),
  encrypted: z.boolean(),
  uploadedAt: z.string(),
  parts: z.array(z.string()),
});

/** What this machine has uploaded: a service does not learn the names of encrypted files. */
export type UploadRecord = z.output<typeof schema>;

const folder = (): string => path.join(homeDir(), "storage", "uploads");

/** Folder for what an upload of this file needs until it is finished. */
export const unfinishedDir = (file: string): string => {
  const name = createHash("sha256").update(path.resolve(file)).digest("hex").slice(0, 16);
  return path.join(homeDir(), "storage", "unfinished", name);
};

export const saveRecord = (record: UploadRecord): Promise<void> =>
  writeFileAtomic(path.join(folder(), `${record.cid}.json`), `${JSON.stringify(record, null, 2)}\n`, 0o600);

export async function readRecords(): Promise<UploadRecord[]> {
  const names = await fs.readdir(folder()).catch(() => []);
  const records: UploadRecord[] = [];
  for (const name of names.filter((file) => file.endsWith(".json"))) {
    try {
      records.push(schema.parse(JSON.parse(await fs.readFile(path.join(folder(), name), "utf8"))));
    } catch {
      // A record is a convenience: one that cannot be read hides no object.
    }
  }
  return records;
}
