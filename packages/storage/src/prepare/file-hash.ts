import { createHash } from "node:crypto";
import fs, { type FileHandle } from "node:fs/promises";
import path from "node:path";
import { StorageError, storeError } from "../errors.ts";
import type { ReadOptions } from "../readers/reader.ts";

export interface FileHash {
  /** Lower-case hexadecimal digits; of a folder: of the names and hashes of its files. */
  readonly sha256: string;
  readonly bytes: number;
}

/** @throws StorageError `FileNotFound`, `StoreFailed` */
export async function fileHash(file: string, options: ReadOptions = {}): Promise<FileHash> {
  const stat = await fs.stat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT") throw storeError(cause, file);
    throw new StorageError("FileNotFound", `there is no file ${file}`, { cause, hint: "check the path" });
  });
  return stat.isDirectory() ? folderHash(file, options) : hashOf(file, stat.size, options);
}

async function hashOf(file: string, size: number, { signal, onProgress }: ReadOptions): Promise<FileHash> {
  const hash = createHash("sha256");
  let handle: FileHandle | undefined;
  try {
    handle = await fs.open(file);
    let bytes = 0;
    for await (const chunk of handle.createReadStream({ highWaterMark: 2 ** 20, autoClose: false })) {
      signal?.throwIfAborted();
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      onProgress?.(bytes, size);
    }
    return { sha256: hash.digest("hex"), bytes };
  } catch (cause) {
    signal?.throwIfAborted();
    throw storeError(cause, file);
  } finally {
    await handle?.close();
  }
}

async function folderHash(folder: string, { signal }: ReadOptions): Promise<FileHash> {
  const entries = await fs.readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  let bytes = 0;
  for (const file of files.toSorted()) {
    const own = await hashOf(file, 0, { signal });
    hash.update(`${path.relative(folder, file).split(path.sep).join("/")}\0${own.sha256}\n`);
    bytes += own.bytes;
  }
  return { sha256: hash.digest("hex"), bytes };
}
