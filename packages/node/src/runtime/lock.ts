import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { FileError } from "./files.ts";

/**
 * Takes a data folder for this process until it ends. A lock of a process that is gone is taken over.
 * @returns function that gives the folder back
 * @throws FileError `FolderInUse`
 */
export function lockFolder(folder: string): () => void {
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "lock");
  const owner = ownerOf(file);
  if (owner !== undefined && owner !== process.pid)
    throw new FileError("FolderInUse", `another SkyNet process (${owner}) works in ${folder}`, {
      hint: "stop it first, or choose another --data folder",
    });
  fs.writeFileSync(file, String(process.pid));
  return () => {
    if (ownerOf(file) === process.pid) fs.rmSync(file, { force: true });
  };
}

/** Process that holds the lock and is alive. */
function ownerOf(file: string): number | undefined {
  try {
    const pid = Number(fs.readFileSync(file, "utf8"));
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
