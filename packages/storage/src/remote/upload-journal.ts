import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { writeDurably } from "../disk/durable-file.ts";

const stampSchema = z.strictObject({ size: z.number().int().min(0), modified: z.string(), changed: z.string() });
const schema = z.strictObject({
  version: z.literal(1),
  /** Of the file as it was when the upload began. */
  stamp: stampSchema,
  partBytes: z.number().int().min(1),
  /** Bytes that are sent: of the file, or of its encrypted copy. */
  size: z.number().int().min(0),
  /** CIDs of the parts that the service has confirmed. */
  parts: z.array(z.string().nullable()),
});

/** Size of a file, and when its content and its attributes were last changed: with the same stamp it is the same. */
export type FileStamp = z.output<typeof stampSchema>;
type Content = z.output<typeof schema>;

/** What an upload has done so far, on disk: a crash at any moment loses at most the parts that were on their way. */
export interface UploadJournal {
  readonly content: Content;
  /** Notes a confirmed part; it is on the disk when this returns. */
  done(index: number, cid: string): Promise<void>;
}

export async function stampOf(file: fs.FileHandle): Promise<FileStamp> {
  const { size, mtimeNs, ctimeNs } = await file.stat({ bigint: true });
  return { size: Number(size), modified: String(mtimeNs), changed: String(ctimeNs) };
}

export const sameStamp = (a: FileStamp, b: FileStamp): boolean =>
  a.size === b.size && a.modified === b.modified && a.changed === b.changed;

/** Folder of one upload: by the file's path, the service, and whether it is encrypted, and for whom. */
export const uploadFolder = (stateDir: string, parts: readonly string[]): string =>
  path.join(stateDir, createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32));

/** What an earlier run has noted; undefined when there is none, or it cannot be read. */
export async function readJournal(folder: string): Promise<Content | undefined> {
  try {
    return schema.parse(JSON.parse(await fs.readFile(journalFile(folder), "utf8")));
  } catch {
    return undefined;
  }
}

/** Begins or goes on with a journal. */
export async function openJournal(folder: string, content: Content): Promise<UploadJournal> {
  const current = structuredClone(content);
  const save = () => writeDurably(journalFile(folder), JSON.stringify(current));
  await save();
  let last: Promise<void> = Promise.resolve();
  return {
    content: current,
    done(index, cid) {
      current.parts[index] = cid;
      // One after the other: two writers would share the temporary file.
      last = last.catch(() => undefined).then(save);
      return last;
    },
  };
}

export const journalFile = (folder: string): string => path.join(folder, "upload.json");
