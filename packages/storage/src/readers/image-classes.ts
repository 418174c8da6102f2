import path from "node:path";
import { StorageError } from "../errors.ts";

/** The class of each image, and its part of the data where folders say it. */
export interface ImageClasses {
  readonly labels?: readonly string[];
  readonly splits?: readonly string[];
  /** Sorted. */
  readonly classes?: readonly string[];
  readonly notes: readonly string[];
}

const SPLITS: ReadonlySet<string> = new Set(["train", "training", "test", "testing", "val", "valid", "validation"]);

/**
 * Takes classes from folders: the first folder below the one that all images share, or the second one where the first
 * is the part of the data (train, test, validation).
 * @param names with / between folders
 * @throws StorageError `BadFile` if only some images lie in a folder
 */
export function assignClasses(file: string, names: readonly string[]): ImageClasses {
  const folders = names.map((name) => name.split("/").slice(0, -1));
  const flat = folders.find((parts) => parts.length === 0);
  if (folders.every((parts) => parts.length === 0))
    return { notes: ["the images lie in no folder, so they have no class"] };
  if (flat !== undefined) throw noClass(file, names[folders.indexOf(flat)]!);
  const shared = sharedDepth(folders);
  const below = folders.map((parts) => parts.slice(shared));
  const isSplit = below.every((parts) => parts.length >= 2 && SPLITS.has(parts[0]!.toLowerCase()));
  const labels = below.map((parts, i) => {
    const label = parts[isSplit ? 1 : 0];
    if (label === undefined) throw noClass(file, names[i]!);
    return label;
  });
  const classes = [...new Set(labels)].sort();
  const one = classes.length === 1 ? [`all images are of one class, ${classes[0]}`] : [];
  const splits = below.map((parts) => parts[0]!);
  return { labels, classes, ...(isSplit && { splits }), notes: one };
}

/** Number of folders that all images share, without the last one of any image, which may be its class. */
function sharedDepth(folders: readonly (readonly string[])[]): number {
  const first = folders[0]!;
  let depth = 0;
  const shares = (parts: readonly string[]) => parts[depth] === first[depth];
  const oneClass = folders.every(
    (parts) => parts.length === first.length && parts.every((part, i) => part === first[i]),
  );
  const limit = oneClass ? first.length - 1 : first.length;
  while (depth < limit && folders.every(shares)) depth++;
  return depth;
}

const noClass = (file: string, name: string): StorageError =>
  new StorageError("BadFile", `${file}: ${name} lies in no folder of a class, as other images do`, {
    hint: `move it into one: CLASS/${path.posix.basename(name)}`,
  });
