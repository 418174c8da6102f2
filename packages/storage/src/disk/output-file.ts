// Files that a user has asked for. Nothing that is there is lost by accident: every command that writes one uses this.
import fs from "node:fs/promises";
import path from "node:path";
import { StorageError, storeError } from "../errors.ts";
import { fileExists, writeWhole } from "./durable-file.ts";

export interface OutputOptions {
  /** Replace a file of that name (--force). */
  readonly overwrite?: boolean | undefined;
  /** Files and folders that are read: what is one of them, or lies in one, is never replaced. */
  readonly inputs?: readonly string[] | undefined;
}

/**
 * Whether a file may be written, asked before the work that leads to it.
 * @throws StorageError `FileExists`, `StoreFailed`
 */
export async function checkOutput(file: string, { overwrite = false, inputs = [] }: OutputOptions = {}): Promise<void> {
  let found;
  try {
    found = await fs.stat(file, { bigint: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    throw storeError(cause, file);
  }
  if (found.isDirectory())
    throw new StorageError("FileExists", `${file} is a folder`, { hint: "name a file that is to be written" });
  for (const input of inputs)
    if (await isPartOf(file, found, input))
      throw new StorageError("FileExists", `${file} is read here, and is not replaced`, {
        hint: "choose another name: --force does not replace it either",
      });
  if (!overwrite) throw fileExists(file);
}

async function isPartOf(file: string, { dev, ino }: { dev: bigint; ino: bigint }, input: string): Promise<boolean> {
  const source = await fs.stat(input, { bigint: true }).catch(() => undefined);
  if (source === undefined) return false;
  if (source.dev === dev && source.ino === ino) return true;
  if (!source.isDirectory()) return false;
  const inside = path.relative(await fs.realpath(input), await fs.realpath(file));
  return inside !== ".." && !inside.startsWith(`..${path.sep}`) && !path.isAbsolute(inside);
}

/**
 * Writes a file for the user, whole or not at all, in a folder that is made if it is missing.
 * @throws StorageError `FileExists`, `DiskFull`, `StoreFailed`
 */
export async function writeOutput(
  file: string,
  content: Uint8Array | string,
  options: OutputOptions = {},
): Promise<void> {
  const target = path.resolve(file);
  await checkOutput(target, options);
  await fs.mkdir(path.dirname(target), { recursive: true }).catch((cause: unknown) => {
    throw storeError(cause, target);
  });
  await writeWhole(target, (write) => write(content), { overwrite: options.overwrite ?? false });
}
