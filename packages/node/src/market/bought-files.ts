// Bought content in the buyer's folder.
import path from "node:path";
import { equalBytes } from "@skynet/protocol";
import { checkOutput, writeOutput } from "@skynet/storage";
import { readFileIfThere } from "../runtime/files.ts";
import type { ContentKind } from "./listings.ts";

export interface BoughtFile {
  readonly name: string;
  readonly content: Uint8Array;
}

const NAMES: Record<ContentKind, readonly string[]> = {
  data: ["dataset.yaml", "dataset.md", "images-idx3-ubyte", "inputs-idx2-byte", "labels-idx1-ubyte"],
  model: ["model.onnx"],
};

/** Asked before anything is paid. @throws StorageError `FileExists` for what the content would replace */
export async function checkRoom(folder: string, kind: ContentKind, overwrite: boolean): Promise<void> {
  for (const name of NAMES[kind]) await checkOutput(path.join(folder, name), { overwrite });
}

/**
 * Writes content; what is there already, of a run that was interrupted, stays.
 * @returns the files
 * @throws StorageError `FileExists` for another file of one of the names: then nothing is written; `DiskFull`
 */
export async function writeBought(folder: string, files: readonly BoughtFile[], overwrite: boolean): Promise<string[]> {
  const missing: { file: string; content: Uint8Array }[] = [];
  for (const { name, content } of files) {
    const file = path.join(folder, name);
    const there = await readFileIfThere(file).catch(() => undefined);
    if (there !== undefined && equalBytes(there, content)) continue;
    await checkOutput(file, { overwrite });
    missing.push({ file, content });
  }
  for (const { file, content } of missing) await writeOutput(file, content, { overwrite });
  return files.map(({ name }) => path.join(folder, name));
}
