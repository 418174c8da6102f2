import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { FileError } from "./files.ts";

const LOCK = "lock";

/**
 * Takes a data folder for this process until it ends. A lock of a process that is gone is taken over.
 * @returns function that gives the folder back
 * @throws FileError `FolderInUse`
 */
export function lockFolder(folder: string): () => void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, LOCK);
  const owner = lockOwner(folder);
  if (owner !== undefined && owner !== process.pid)
    throw new FileError("FolderInUse", `another SkyNet process (${owner}) works in ${folder}`, {
      hint: "stop it first, or choose another --data folder",
    });
  fs.writeFileSync(file, String(process.pid));
  return () => {
    if (lockOwner(folder) === process.pid) fs.rmSync(file, { force: true });
  };
}

/** Process that holds the folder and is alive. */
export function lockOwner(folder: string): number | undefined {
  try {
    const pid = Number(fs.readFileSync(path.join(folder, LOCK), "utf8"));
    // A power cut can leave an empty file.
    if (!Number.isInteger(pid) || pid <= 0) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
