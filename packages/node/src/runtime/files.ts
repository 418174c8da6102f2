import fs from "node:fs/promises";
import path from "node:path";
import { SkyNetError } from "@skynet/protocol";

export class FileError extends SkyNetError {}

const BAD_PATHS = {
  ENOENT: "its folder does not exist and cannot be made",
  ENOTDIR: "a part of the path is a file",
  EISDIR: "it is a folder",
  ENAMETOOLONG: "the name is too long",
};

/** Turns the operating system's error into one that says what to do; everything else passes unchanged. */
export function explainFileError(error: unknown, file: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new FileError("DiskFull", `the disk is full: ${file} could not be written`, {
      cause: error,
      hint: "free some space or choose another --data folder, then run the same command again: nothing is lost",
    });
  if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR" || code === "ENAMETOOLONG")
    return new FileError("BadPath", `${file} cannot be written: ${BAD_PATHS[code]}`, {
      cause: error,
      hint: "check the path",
    });
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new FileError("NotPermitted", `no permission to write ${file}`, {
      cause: error,
      hint: "choose another --data folder",
    });
  return error;
}

/**
 * Writes the whole file or nothing: a crash leaves the old content. A file that only its owner may read gets a folder of
 * that kind, if it has none yet.
 * @throws FileError `DiskFull`, `NotPermitted`, `BadPath`
 */
export async function writeFileAtomic(file: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await fs.mkdir(path.dirname(file), { recursive: true, mode: (mode & 0o077) === 0 ? 0o700 : 0o777 });
    // One that a crash left behind may have another mode.
    await fs.rm(temporary, { force: true });
    const handle = await fs.open(temporary, "wx", mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw explainFileError(error, file);
  }
}

/** Content of the file, or undefined when it does not exist. */
export async function readFileIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await fs.readFile(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Content of a file that a user named.
 * @throws FileError `FileNotFound`
 */
export async function readInputFile(file: string, what: string): Promise<Uint8Array> {
  const content = await readFileIfThere(file).catch((cause: unknown) => {
    throw new FileError("FileNotFound", `${what} cannot be read: ${file}`, { cause });
  });
  if (content === undefined)
    throw new FileError("FileNotFound", `${what} does not exist: ${file}`, { hint: "check the path" });
  return content;
}
