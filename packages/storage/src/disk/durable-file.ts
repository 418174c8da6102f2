// Files that are whole and stay, whenever the power fails.
import fs from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { StorageError, storeError } from "../errors.ts";

export interface WholeFileOptions {
  /** Replaces a file of that name; without it one is an error. */
  readonly overwrite: boolean;
  /** Permissions of the file. */
  readonly mode?: number | undefined;
  /** Name that it has until it is whole; by default one that no other process uses. */
  readonly temporary?: string | undefined;
}

/**
 * Writes a file piece by piece: it appears under its name when it is complete and on the disk, and not at all when `fill`
 * fails.
 * @throws StorageError `DiskFull`, `StoreFailed`, `FileExists`; what `fill` throws
 */
export async function writeWhole(
  file: string,
  fill: (write: (bytes: Uint8Array | string) => Promise<void>) => Promise<void>,
  { overwrite, mode = 0o666, temporary = `${file}.${process.pid}.part` }: WholeFileOptions,
): Promise<void> {
  const onDisk = async <Result>(work: Promise<Result>): Promise<Result> =>
    work.catch((cause: unknown) => {
      throw storeError(cause, file);
    });
  const handle = await onDisk(fs.open(temporary, "w", mode));
  try {
    try {
      await fill((bytes) => onDisk(handle.writeFile(bytes)));
      await onDisk(handle.sync());
    } finally {
      await handle.close();
    }
    await putInPlace(temporary, file, overwrite);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/**
 * Gives a file that is complete and on the disk its name, and has that on the disk, too.
 * @throws StorageError `FileExists` unless it may overwrite; `StoreFailed`
 */
export async function putInPlace(temporary: string, file: string, overwrite: boolean): Promise<void> {
  try {
    if (overwrite || !(await linkNew(temporary, file))) await fs.rename(temporary, file);
    await syncFolder(path.dirname(path.resolve(file)));
  } catch (cause) {
    throw storeError(cause, file);
  }
}

/** A rename would replace a file that appeared meanwhile; a link fails. @returns false where there are no links */
async function linkNew(temporary: string, file: string): Promise<boolean> {
  try {
    await fs.link(temporary, file);
  } catch (cause) {
    if (await isThere(file)) throw fileExists(file, cause);
    return false;
  }
  await fs.rm(temporary);
  return true;
}

export const fileExists = (file: string, cause?: unknown): StorageError =>
  new StorageError("FileExists", `there is a file already: ${file}`, {
    cause,
    hint: "choose another name, or --force to replace it",
  });

export const isThere = (file: string): Promise<boolean> =>
  fs.lstat(file).then(
    () => true,
    () => false,
  );

/** Notes of our own, which only their owner reads: the whole file or the one before. @throws StorageError `DiskFull`, `StoreFailed` */
export const writeDurably = (file: string, content: string): Promise<void> =>
  writeWhole(file, (write) => write(content), { overwrite: true, mode: 0o600, temporary: `${file}.tmp` });

/** A new name in a folder lasts only when the folder was synced. Windows opens no folders, and needs no such call. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await fs.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a folder that only its owner may enter, or closes one to others that is there.
 * @throws StorageError `DiskFull`, `StoreFailed`
 */
export async function openPrivateFolder(folder: string): Promise<void> {
  try {
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw storeError(cause, folder);
  }
  await closeToOthers(folder, 0o700);
}

/** Of somebody else, or on a file system without permissions, a file stays as it is. */
export const closeToOthers = (file: string, mode: number): Promise<void> => fs.chmod(file, mode).catch(() => undefined);

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

/** All bytes at a place of a file: a write may take a part only. */
export async function writeAll(handle: fs.FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
}
