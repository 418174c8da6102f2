import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import fs, { constants } from "node:fs/promises";
import { z } from "zod";
import { closeToOthers, writeAll, writeDurably } from "../disk/durable-file.ts";
import { storeError } from "../errors.ts";

const stateSchema = z.object({
  /** Strong ETag or date of last change; without it a download cannot go on. */
  validator: z.string().optional(),
  total: z.number().int().nonnegative().optional(),
  /** Bytes that are surely on the disk. */
  bytes: z.number().int().nonnegative(),
});
export type PartialState = z.infer<typeof stateSchema>;

const finishedSchema = z.object({ size: z.number().int().nonnegative(), sha256: z.string(), modifiedMs: z.number() });

/** After so many bytes they are written through to the disk, and noted down. */
const SYNC_BYTES = 8 * 2 ** 20;

/** A file that is being downloaded: it goes on after a stop at any moment, and gets its name only when it is whole. */
export interface PartialFile {
  readonly state: PartialState;
  /** Begins anew with other content, or goes on at `state.bytes` of the same. */
  begin(state: PartialState): Promise<void>;
  append(bytes: Uint8Array): Promise<void>;
  /** Notes down all bytes so far. */
  sync(): Promise<void>;
  /** Gives the file its name. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** @param file the name that it gets in the end @throws StorageError `DiskFull`, `StoreFailed` */
export async function openPartialFile(file: string): Promise<PartialFile> {
  const part = `${file}.part`;
  const stateFile = `${part}.json`;
  const handle = await fs.open(part, constants.O_RDWR | constants.O_CREAT, 0o600).catch(diskError(part));
  let state: PartialState = (await readJson(stateFile, stateSchema)) ?? { bytes: 0 };
  if ((await handle.stat()).size < state.bytes) state = { bytes: 0 };
  let synced = state.bytes;
  const sync = async (): Promise<void> => {
    await handle.datasync();
    await writeDurably(stateFile, JSON.stringify(state));
    synced = state.bytes;
  };
  return {
    get state() {
      return state;
    },
    async begin(next) {
      state = next;
      await handle.truncate(next.bytes).catch(diskError(part));
      await sync().catch(diskError(part));
    },
    async append(bytes) {
      await writeAll(handle, bytes, state.bytes).catch(diskError(part));
      state = { ...state, bytes: state.bytes + bytes.length };
      if (state.bytes - synced >= SYNC_BYTES) await sync().catch(diskError(part));
    },
    sync: () => sync().catch(diskError(part)),
    async finish() {
      await sync().catch(diskError(part));
      await fs.rename(part, file).catch(diskError(file));
      await fs.rm(stateFile, { force: true });
      await markFinished(file);
    },
    close: () => handle.close(),
  };
}

/**
 * Whether a file is there as its download left it. Its hash is computed again when it was touched since.
 * @throws StorageError `StoreFailed`
 */
export async function isFinished(file: string): Promise<boolean> {
  const stat = await fs.stat(file).catch(() => undefined);
  if (stat === undefined) return false;
  // Those of earlier versions could be read by others.
  await closeToOthers(file, 0o600);
  const noted = await readJson(`${file}.json`, finishedSchema);
  // A file has its name only when it is whole; then the note may still lack.
  if (noted === undefined) {
    await markFinished(file);
    return true;
  }
  if (noted.size !== stat.size) return false;
  return noted.modifiedMs === stat.mtimeMs || noted.sha256 === (await hashOf(file));
}

/** Notes what a file is, so that {@link isFinished} knows it again. */
export async function markFinished(file: string): Promise<void> {
  const { size, mtimeMs } = await fs.stat(file);
  await writeDurably(`${file}.json`, JSON.stringify({ size, sha256: await hashOf(file), modifiedMs: mtimeMs }));
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await fs.readFile(file, "utf8").catch(() => "");
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    // Torn by a crash, or by somebody else: as if it were not there.
    return undefined;
  }
}

function diskError(file: string): (cause: unknown) => never {
  return (cause) => {
    throw storeError(cause, file);
  };
}
