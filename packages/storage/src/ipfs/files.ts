import { createReadStream } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import type { BlockStore } from "../blocks/block-store.ts";
import { writeWhole } from "../disk/durable-file.ts";
import { checkOutput } from "../disk/output-file.ts";
import { reasonOf, StorageError } from "../errors.ts";
import { parseCid } from "../parse-cid.ts";
import { LAYOUTS, type UnixfsLayout } from "../remote/unixfs.ts";
import { readParts } from "./file-tree.ts";
import { heliaBlocks, nameOf } from "./helia-blocks.ts";

export interface FileOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface ExportOptions extends FileOptions {
  /** Replace a file of that name. */
  readonly overwrite?: boolean | undefined;
}

export interface ImportOptions extends FileOptions {
  /** How the file is cut, which decides its CID: by default 1 MiB and 1024 children (IPIP-499, unixfs-v1-2025). */
  readonly layout?: UnixfsLayout | undefined;
  /** Told about each block of the file. */
  readonly onBlock?: ((cid: string) => void) | undefined;
}

/** Content that is read once, as a file of IPFS. @returns its CID @throws as `BlockStore.put` */
export async function importBytes(
  store: BlockStore,
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { layout = LAYOUTS[1]!, signal, onBlock }: Omit<ImportOptions, "onProgress"> = {},
): Promise<string> {
  const [{ unixfs }, { fixedSize }, { balanced }] = await Promise.all([
    import("@helia/unixfs"),
    import("ipfs-unixfs-importer/chunker"),
    import("ipfs-unixfs-importer/layout"),
  ]);
  const files = unixfs({ blockstore: heliaBlocks(store, onBlock) as never });
  const cid = await files.addByteStream(content, {
    cidVersion: 1,
    rawLeaves: true,
    reduceSingleLeafToSelf: true,
    chunker: fixedSize({ chunkSize: layout.chunkBytes }),
    layout: balanced({ maxChildrenPerNode: layout.width }),
    ...(signal ? { signal } : {}),
  });
  return cid.toString();
}

/**
 * Adds a file to a store, block by block.
 * @returns its CID: version 1, raw leaves
 * @throws StorageError `FileNotFound`, `QuotaExceeded`, `DiskFull`
 */
export async function importFile(store: BlockStore, file: string, options: ImportOptions = {}): Promise<string> {
  const { signal, onProgress } = options;
  const found = await fs.stat(file).catch((cause: unknown) => {
    throw new StorageError("FileNotFound", `${file} cannot be read: ${reasonOf(cause)}`, {
      cause,
      hint: "check the path",
    });
  });
  if (!found.isFile()) throw new StorageError("FileNotFound", `${file} is not a file`, { hint: "name one file" });
  const content = async function* () {
    let done = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20, ...(signal ? { signal } : {}) })) {
      signal?.throwIfAborted();
      yield chunk as Uint8Array;
      done += (chunk as Uint8Array).length;
      onProgress?.(done, found.size);
    }
  };
  return importBytes(store, content(), options);
}

/**
 * Writes a file of a store, whole or not at all.
 * @param ref a CID, or a CID of a folder and a path in it: `bafy.../data/iris.csv`
 * @throws StorageError `BlockMissing`, `UnsupportedFile`, `BadFile`, `FileExists`, `DiskFull`, `StoreFailed`
 */
export async function exportFile(
  store: BlockStore,
  ref: string,
  file: string,
  options: ExportOptions = {},
): Promise<number> {
  const { overwrite = false, signal, onProgress } = options;
  const target = path.resolve(file);
  await checkOutput(target, { overwrite });
  const [root = "", ...names] = ref.split("/");
  const { unixfs } = await import("@helia/unixfs");
  const files = unixfs({ blockstore: heliaBlocks(store) as never });
  const where = { ...(names.length > 0 ? { path: names.join("/") } : {}), ...(signal ? { signal } : {}) };
  const cid = parseCid(root);
  try {
    const found = await files.stat(cid, where);
    if (found.type === "directory")
      throw new StorageError("UnsupportedFile", `${ref} is a folder`, { hint: `name a file in it: ${ref}/NAME` });
    const total = Number(found.size);
    let done = 0;
    const fill = async (write: (bytes: Uint8Array) => Promise<void>) => {
      // One part at a time: Helia would read all of them ahead.
      for await (const part of readParts(store, nameOf(found.cid), { signal })) {
        signal?.throwIfAborted();
        await write(part);
        done += part.length;
        onProgress?.(done, total);
      }
    };
    await writeWhole(target, fill, { overwrite });
    return done;
  } catch (cause) {
    throw explained(cause, ref, signal);
  }
}

function explained(cause: unknown, ref: string, signal: AbortSignal | undefined): unknown {
  signal?.throwIfAborted();
  for (let error = cause; error instanceof Error; error = error.cause) if (error instanceof StorageError) return error;
  const { name, code } = cause as Error & { code?: string };
  if (code !== undefined && name !== undefined && /^E[A-Z]+$/.test(code)) return cause;
  if (name === "NotFoundError")
    return new StorageError("FileNotFound", `there is no such file: ${ref}`, {
      cause,
      hint: "check the path after the CID",
    });
  return new StorageError("BadFile", `${ref} is not a file of IPFS: ${reasonOf(cause)}`, { cause });
}
