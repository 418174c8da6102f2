import fs from "node:fs/promises";
import path from "node:path";
import type { Partials } from "../bulk/partials.ts";

const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Keeps beginnings of blocks as files of a folder, one file a block; the file's size says how far it came.
 * @throws Error of the file system when the folder cannot be made
 */
export async function openPartialFiles(folder: string): Promise<Partials> {
  await fs.mkdir(folder, { recursive: true, mode: 0o700 });
  const fileOf = (cid: string) => path.join(folder, `${cid}.part`);
  let turn: Promise<unknown> = Promise.resolve();
  /** One after the other: a block that is whole is removed after its beginning was written. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };
  const sizeOf = async (file: string) => (await fs.stat(file).catch(absent))?.size ?? 0;
  return {
    load: (cid) =>
      inTurn(async () => {
        if ((await sizeOf(fileOf(cid))) > MAX_BYTES) await fs.rm(fileOf(cid), { force: true });
        return (await fs.readFile(fileOf(cid)).catch(absent)) ?? new Uint8Array();
      }),
    append: (cid, from, bytes) =>
      inTurn(async () => {
        // Another transfer of the same block may have come further.
        if ((await sizeOf(fileOf(cid))) === from) await fs.appendFile(fileOf(cid), bytes, { mode: 0o600 });
      }),
    remove: (cid) => inTurn(() => fs.rm(fileOf(cid), { force: true })),
  };
}

function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  return undefined;
}
