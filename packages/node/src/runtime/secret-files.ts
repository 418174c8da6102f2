import fs from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { printable } from "@skynet/protocol";
import { FileError, explainFileError } from "./files.ts";

const OTHERS_WRITE = 0o022;
const OTHERS_READ = 0o044;

/** Where warnings go that must not mix with a command's output. */
export const warnOnStderr = (text: string): void => void process.stderr.write(`warning: ${printable(text)}\n`);

/**
 * Looks at who else may use a file with a secret. One that others can change is refused: they could exchange the key.
 * One that others can read is used with a warning, or refused with `strict`. Windows has no such modes.
 * @throws FileError `UnsafePermissions`; nothing when the file is not there
 */
export async function checkSecretFile(
  file: string,
  { warn = warnOnStderr, strict = false }: { warn?: (text: string) => void; strict?: boolean } = {},
): Promise<void> {
  if (process.platform === "win32") return;
  const stat = await fs.stat(file).catch(() => undefined);
  // Files that systemd hands over as credentials are readable by their service alone, which their mode does not show.
  if (stat === undefined || isCredential(file)) return;
  const mode = modeText(stat.mode);
  const problem = (what: string) =>
    new FileError("UnsafePermissions", `${file} ${what} (mode ${mode})`, { hint: `chmod 600 ${file}` });
  if ((stat.mode & OTHERS_WRITE) !== 0) throw problem("can be changed by other users");
  if ((stat.mode & OTHERS_READ) === 0) return;
  if (strict) throw problem("holds a secret and can be read by other users");
  warn(`${file} holds a secret and can be read by other users (mode ${mode}); mend it: chmod 600 ${file}`);
}

const isCredential = (file: string): boolean => {
  const folder = process.env.CREDENTIALS_DIRECTORY;
  return folder !== undefined && folder !== "" && path.dirname(path.resolve(file)) === path.resolve(folder);
};

/** Permission bits as chmod takes them, for example "0600". */
export const modeText = (mode: number): string => (mode & 0o777).toString(8).padStart(4, "0");

/**
 * Writes a new file with mode 0600, in a folder that is made with mode 0700 if need be: the whole file or nothing, and
 * never over another one.
 * @throws FileError `FileExists`, `DiskFull`, `NotPermitted`
 */
export async function writeNewSecretFile(file: string, content: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await fs.rm(temporary, { force: true });
    const handle = await fs.open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // A rename would replace a file that appeared in the meantime; a link fails.
    await fs.link(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST")
      throw new FileError("FileExists", `there is a file already: ${file}`, {
        cause: error,
        hint: "choose another name; files with keys are never overwritten",
      });
    throw explainFileError(error, file);
  } finally {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
  }
}
