import fs from "node:fs/promises";
import path from "node:path";
import { reasonOf, StorageError } from "../errors.ts";

/** Writes the whole file or nothing, and has it on the disk when it returns. @throws StorageError `DiskFull`, `StoreFailed` */
export async function writeDurably(file: string, content: string): Promise<void> {
  const temporary = `${file}.tmp`;
  try {
    const handle = await fs.open(temporary, "w", 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (cause) {
    throw diskError(cause, file);
  }
}

/** Has a rename in the folder on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders.
  if (process.platform === "win32") return;
  const handle = await fs.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function diskError(cause: unknown, file: string): StorageError {
  if (cause instanceof StorageError) return cause;
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new StorageError("DiskFull", `the disk is full: ${file} could not be written`, {
      cause,
      hint: "free some space, then run the same command again: what is done stays done",
    });
  return new StorageError("StoreFailed", `${file} could not be written: ${reasonOf(cause)}`, {
    cause,
    hint: "check that the folder exists and can be written",
  });
}

/** Exactly these bytes of a file. @throws StorageError `FileChanged` when it is shorter now */
export async function readExactly(
  handle: fs.FileHandle,
  { offset, length, name }: { offset: number; length: number; name: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
    if (bytesRead === 0)
      throw new StorageError("FileChanged", `${name} became shorter while it was read`, {
        hint: "run the command again when nothing writes to the file",
      });
    at += bytesRead;
  }
  return bytes;
}
