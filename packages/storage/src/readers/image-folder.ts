import { constants } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { reasonOf, StorageError } from "../errors.ts";
import { fileError } from "../sources/decompress.ts";
import { openZip } from "./zip.ts";

/** One image, by its name with / between folders. */
export interface ImageEntry {
  readonly name: string;
  /** On disk. */
  readonly bytes: number;
  read(): Promise<Uint8Array>;
}

/** A folder or an archive with images in it. */
export interface ImageSource {
  readonly entries: readonly ImageEntry[];
  /** Names of what is not an image. */
  readonly others: readonly string[];
  close(): Promise<void>;
}

const MAX_ENTRIES = 500_000;
const MAX_DEPTH = 32;
/** Of one compressed image: 64 MiB. */
const MAX_IMAGE_BYTES = 2 ** 26;

/** Images are compressed already: one that deflate makes 100 times smaller is a bomb. */
const ZIP_LIMITS = {
  entries: MAX_ENTRIES,
  entryBytes: MAX_IMAGE_BYTES,
  totalBytes: 2 ** 40,
  ratio: 100,
  ratioFromBytes: 2 ** 20,
};

const isImage = (name: string): boolean => /\.(png|jpe?g)$/i.test(name);

/** Files of the systems that people pack on: .DS_Store, __MACOSX, Thumbs.db and the like. */
const isHidden = (name: string): boolean =>
  name
    .split("/")
    .some((part) => part.startsWith(".") || part === "__MACOSX" || /^(thumbs\.db|desktop\.ini)$/i.test(part));

/** @throws StorageError of {@link openZip} */
export async function openImageZip(file: string, signal?: AbortSignal): Promise<ImageSource> {
  const zip = await openZip(file, ZIP_LIMITS, signal);
  const visible = zip.entries.filter(({ name }) => !isHidden(name));
  const entries = visible
    .filter(({ name }) => isImage(name))
    .map((entry) => ({ name: entry.name, bytes: entry.packedBytes, read: () => zip.read(entry) }));
  return {
    entries,
    others: visible.map(({ name }) => name).filter((name) => !isImage(name)),
    close: () => zip.close(),
  };
}

/**
 * Lists a folder and those in it. Links to outside of it are not followed, nor links to folders.
 * @throws StorageError `FileNotFound`, `StoreFailed`, `TooLarge`
 */
export async function openImageFolder(folder: string, signal?: AbortSignal): Promise<ImageSource> {
  const root = await fs.realpath(folder).catch((cause: unknown) => {
    throw fileError(folder, cause);
  });
  const entries: ImageEntry[] = [];
  const others: string[] = [];
  const visit = async (relative: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH)
      throw new StorageError("TooLarge", `${folder}: folders more than ${MAX_DEPTH} deep: ${relative}`);
    const list = await fs.readdir(path.join(root, relative), { withFileTypes: true }).catch((cause: unknown) => {
      throw fileError(path.join(folder, relative), cause);
    });
    for (const item of list) {
      signal?.throwIfAborted();
      const name = relative === "" ? item.name : `${relative}/${item.name}`;
      if (isHidden(item.name)) continue;
      if (item.isDirectory()) await visit(name, depth + 1);
      else if (!isImage(name) || !(item.isFile() || (await pointsInside(root, name)))) others.push(name);
      else entries.push(await folderEntry(folder, root, name));
      if (entries.length > MAX_ENTRIES)
        throw new StorageError("TooLarge", `${folder}: more than ${MAX_ENTRIES} images`);
    }
  };
  await visit("", 0);
  return { entries, others: others.sort(), close: () => Promise.resolve() };
}

async function pointsInside(root: string, name: string): Promise<boolean> {
  try {
    const target = await fs.realpath(path.join(root, name));
    return target.startsWith(root + path.sep) && (await fs.stat(target)).isFile();
  } catch {
    return false;
  }
}

async function folderEntry(folder: string, root: string, name: string): Promise<ImageEntry> {
  const where = path.join(folder, name);
  const target = await fs.realpath(path.join(root, name)).catch((cause: unknown) => {
    throw fileError(where, cause);
  });
  const { size } = await fs.stat(target);
  return { name, bytes: size, read: () => readImageFile(target, where) };
}

/** The file that was found when the folder was listed: a link that was put in its place since then is refused. */
async function readImageFile(target: string, where: string): Promise<Uint8Array> {
  let handle;
  try {
    handle = await fs.open(target, constants.O_RDONLY | constants.O_NOFOLLOW);
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error("not a file");
    if (stat.size > MAX_IMAGE_BYTES)
      throw new StorageError("TooLarge", `${where}: ${stat.size} bytes are more than ${MAX_IMAGE_BYTES}`, {
        hint: "make the image smaller, or take it out",
      });
    return await handle.readFile();
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw new StorageError("StoreFailed", `cannot read ${where}: ${reasonOf(cause)}`, {
      cause,
      hint: "check that the file can be read",
    });
  } finally {
    await handle?.close();
  }
}
