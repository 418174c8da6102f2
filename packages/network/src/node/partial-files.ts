import fs from "node:fs/promises";
import path from "node:path";
import type { Partials } from "../bulk/partials.ts";

const MAX_BYTES = 4 * 1024 * 1024;

/** Most bytes of all beginnings, 256 MiB. */
const MAX_TOTAL_BYTES = 256 * 1024 * 1024;
/** Transfers that did not go on for so long were given up: 7 days. */
const MAX_AGE_MS = 7 * 24 * 3_600_000;

export interface PartialFilesLimits {
  /** Most bytes of all files together (256 MiB); those that were touched longest ago make room. */
  readonly maxTotalBytes?: number;
  /** Older files are removed when the folder is opened, milliseconds (7 days). */
  readonly maxAgeMs?: number;
}

/**
 * Keeps beginnings of blocks as files of a folder, one file a block; the file's size says how far it came.
 * @throws Error of the file system when the folder cannot be made
 */
export async function openPartialFiles(
  folder: string,
  { maxTotalBytes = MAX_TOTAL_BYTES, maxAgeMs = MAX_AGE_MS }: PartialFilesLimits = {},
): Promise<Partials> {
  await fs.mkdir(folder, { recursive: true, mode: 0o700 });
  const fileOf = (cid: string) => path.join(folder, `${cid}.part`);
  const kept = await keptFiles(folder);
  const removeFile = async (file: string) => {
    kept.delete(file);
    await fs.rm(file, { force: true });
  };
  let turn: Promise<unknown> = Promise.resolve();
  /** One after the other: a block that is whole is removed after its beginning was written. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };
  for (const [file, { touchedMs }] of kept) if (Date.now() - touchedMs > maxAgeMs) await removeFile(file);
  const makeRoom = async (bytes: number) => {
    let total = kept.values().reduce((sum, file) => sum + file.bytes, bytes);
    for (const [file, { bytes: freed }] of kept) {
      if (total <= maxTotalBytes) return;
      await removeFile(file);
      total -= freed;
    }
  };
  const sizeOf = async (file: string) => (await fs.stat(file).catch(absent))?.size ?? 0;
  return {
    load: (cid) =>
      inTurn(async () => {
        if ((await sizeOf(fileOf(cid))) > MAX_BYTES) await removeFile(fileOf(cid));
        return (await fs.readFile(fileOf(cid)).catch(absent)) ?? new Uint8Array();
      }),
    append: (cid, from, bytes) =>
      inTurn(async () => {
        // Another transfer of the same block may have come further.
        const file = fileOf(cid);
        if ((await sizeOf(file)) !== from) return;
        // Again at the end: touched last.
        kept.delete(file);
        await makeRoom(from + bytes.length);
        await fs.appendFile(file, bytes, { mode: 0o600 });
        kept.set(file, { bytes: from + bytes.length, touchedMs: Date.now() });
      }),
    remove: (cid) => inTurn(() => removeFile(fileOf(cid))),
    clear: () =>
      inTurn(async () => {
        for (const file of kept.keys()) await removeFile(file);
      }),
  };
}

/** Files of an earlier process, those that were touched longest ago first. */
async function keptFiles(folder: string): Promise<Map<string, { bytes: number; touchedMs: number }>> {
  const names = (await fs.readdir(folder)).filter((name) => name.endsWith(".part"));
  const files = await Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name);
      const { size, mtimeMs } = await fs.stat(file);
      return [file, { bytes: size, touchedMs: mtimeMs }] as const;
    }),
  );
  return new Map(files.toSorted(([, a], [, b]) => a.touchedMs - b.touchedMs));
}

function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  return undefined;
}
