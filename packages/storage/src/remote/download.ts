import fs from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { StorageError, storeError } from "../errors.ts";
import { isThere, putInPlace, readExactly, writeAll, writeDurably } from "../disk/durable-file.ts";
import { checkOutput } from "../disk/output-file.ts";
import { decryptFile } from "./encrypt-file.ts";
import { parseCid } from "../parse-cid.ts";
import type { GatewayFile, Gateways } from "./gateway.ts";
import {
  looksLikeManifest,
  MAX_MANIFEST_BYTES,
  parseObjectManifest,
  partLength,
  type ObjectManifest,
} from "./object-manifest.ts";
import { isFileCid } from "./unixfs.ts";

export interface DownloadProgress {
  readonly phase: "downloading" | "checking" | "decrypting";
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface DownloadOptions {
  readonly cid: string;
  /** Where the file goes: it appears there when all of it was checked. Until then, `FILE.download` beside it grows. */
  readonly file: string;
  readonly gateways: Gateways;
  /** Asked for only if the file is encrypted; an age identity. */
  readonly identity?: () => Promise<string>;
  readonly overwrite?: boolean;
  /** Most bytes that are written: a CID may name a file larger than any disk. */
  readonly maxBytes?: number;
  /** Parts on their way at once. */
  readonly concurrency?: number;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface Downloaded {
  readonly file: string;
  readonly size: number;
  readonly encrypted: boolean;
  /** Bytes that an earlier run had fetched. */
  readonly resumedBytes: number;
}

/** 64 GiB. */
const MAX_BYTES = 2 ** 36;
/** Bytes between two notes of how far a plain file is. */
const NOTE_BYTES = 8 * 1024 * 1024;

const notesSchema = z.strictObject({ cid: z.string(), parts: z.array(z.number().int()), offset: z.number().int() });
type Notes = z.output<typeof notesSchema>;

/** What a download works with: the growing file, and the notes of what in it was checked. */
interface Work extends DownloadOptions {
  readonly growing: string;
  readonly notesFile: string;
  readonly limit: number;
}

/**
 * Fetches a file that `uploadFile` stored, or any other file of IPFS, checks it against its CID, and decrypts it. The
 * same call goes on where an earlier one was ended.
 * @throws StorageError `FileExists`, `RemoteMissing`, `BadAnswer`, `DownloadFailed`, `TooLarge`, `CannotDecrypt`,
 *   `DiskFull`, `StoreFailed`; InvalidInputError `BadCid`
 */
export async function downloadFile(options: DownloadOptions): Promise<Downloaded> {
  const { file, overwrite = false, maxBytes: limit = MAX_BYTES } = options;
  parseCid(options.cid);
  await checkOutput(file, { overwrite });
  const growing = `${path.resolve(file)}.download`;
  const work: Work = { ...options, growing, notesFile: `${growing}.json`, limit };
  try {
    const { manifest, resumedBytes } = await fetchAll(work);
    // It may have appeared meanwhile.
    await checkOutput(file, { overwrite });
    if (manifest?.encryption === "age") await decrypt(work);
    else await putInPlace(growing, file, overwrite);
    await forget(work);
    return { file, size: (await fs.stat(file)).size, encrypted: manifest?.encryption === "age", resumedBytes };
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : storeError(error, file);
  }
}

/** Fetches into the growing file. A list of parts is small: it is fetched first, and replaced by what it lists. */
async function fetchAll(work: Work): Promise<{ manifest?: ObjectManifest; resumedBytes: number }> {
  const { cid, gateways, signal } = work;
  let source: GatewayFile;
  try {
    source = await gateways.file(cid, signal);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "BadAnswer") throw error;
    return fetchUnchecked(work);
  }
  if (source.size <= MAX_MANIFEST_BYTES) {
    const bytes = await collect(source);
    if (looksLikeManifest(bytes)) return fetchParts(work, parseObjectManifest(bytes));
  }
  return { resumedBytes: await fetchBlocks(work, source) };
}

async function collect({ size, content }: GatewayFile): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content(0)) {
    chunks.push(chunk);
    length += chunk.length;
    // Only a beginning decides; the rest of a file that is no list is fetched to the disk.
    if (length > size || (chunks.length === 1 && !looksLikeManifest(chunk))) break;
  }
  return Buffer.concat(chunks);
}

async function fetchParts(
  work: Work,
  manifest: ObjectManifest,
): Promise<{ manifest: ObjectManifest; resumedBytes: number }> {
  const { size, parts } = manifest;
  checkSize(work, size);
  const handle = await fs.open(work.growing, (await isThere(work.growing)) ? "r+" : "w+", 0o600);
  try {
    const notes = await checkedNotes(work, manifest, handle);
    await handle.truncate(size);
    const resumedBytes = notes.parts.reduce((sum, index) => sum + partLength(manifest, index), 0);
    let doneBytes = resumedBytes;
    const report = () => work.onProgress?.({ phase: "downloading", doneBytes, totalBytes: size });
    report();
    const open = parts
      .keys()
      .filter((index) => !notes.parts.includes(index))
      .toArray();
    let saving: Promise<void> = Promise.resolve();
    await inParallel(open, work.concurrency ?? 3, work.signal, async (index, signal) => {
      const bytes = await work.gateways.part(parts[index]!, partLength(manifest, index), signal);
      await writeAll(handle, bytes, index * manifest.partBytes);
      await handle.datasync();
      notes.parts.push(index);
      saving = saving.then(() => writeDurably(work.notesFile, JSON.stringify(notes)));
      await saving;
      doneBytes += bytes.length;
      report();
    });
    await handle.sync();
    return { manifest, resumedBytes };
  } finally {
    await handle.close();
  }
}

/** Parts that an earlier run noted, if they are still what it fetched. */
async function checkedNotes(work: Work, manifest: ObjectManifest, handle: fs.FileHandle): Promise<Notes> {
  const before = await readNotes(work);
  const { size: there } = await handle.stat();
  const kept: number[] = [];
  for (const index of new Set(before.parts)) {
    const length = index >= 0 && index < manifest.parts.length ? partLength(manifest, index) : Infinity;
    const offset = index * manifest.partBytes;
    if (offset + length > there) continue;
    const bytes = await readExactly(handle, { offset, length, name: work.growing });
    if (await isFileCid(manifest.parts[index]!, () => [bytes])) kept.push(index);
    work.onProgress?.({ phase: "checking", doneBytes: offset + length, totalBytes: manifest.size });
  }
  return { cid: work.cid, parts: kept, offset: 0 };
}

/** A file of IPFS that is not ours: in order, so that the offset says all. */
async function fetchBlocks(work: Work, source: GatewayFile): Promise<number> {
  checkSize(work, source.size);
  const before = await readNotes(work);
  const handle = await fs.open(work.growing, (await isThere(work.growing)) ? "r+" : "w+", 0o600);
  try {
    const from = Math.min(before.offset, (await handle.stat()).size, source.size);
    await handle.truncate(from);
    const note = async (offset: number) => {
      await handle.datasync();
      await writeDurably(work.notesFile, JSON.stringify({ cid: work.cid, parts: [], offset } satisfies Notes));
    };
    let at = from;
    let noted = from;
    if (from < source.size)
      for await (const chunk of source.content(from)) {
        work.signal?.throwIfAborted();
        if (at + chunk.length > source.size) throw new StorageError("BadAnswer", `${work.cid} is longer than it says`);
        await writeAll(handle, chunk, at);
        at += chunk.length;
        work.onProgress?.({ phase: "downloading", doneBytes: at, totalBytes: source.size });
        if (at - noted >= NOTE_BYTES) await note((noted = at));
      }
    if (at !== source.size) throw new StorageError("BadAnswer", `${work.cid} is shorter than it says`);
    await note(at);
    return from;
  } finally {
    await handle.close();
  }
}

/** From gateways that send files only: all of it, then its hash. */
async function fetchUnchecked(work: Work): Promise<{ manifest?: ObjectManifest; resumedBytes: number }> {
  const { cid, growing, gateways, signal } = work;
  await gateways.unchecked(
    cid,
    async ({ headers, body }) => {
      const totalBytes = Number(headers.get("content-length") ?? 0);
      const handle = await fs.open(growing, "w", 0o600);
      try {
        let doneBytes = 0;
        for await (const chunk of body) {
          doneBytes += chunk.length;
          checkSize(work, doneBytes);
          await handle.appendFile(chunk);
          work.onProgress?.({ phase: "downloading", doneBytes, totalBytes: Math.max(totalBytes, doneBytes) });
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
      return isFileCid(cid, () => readChunks(growing));
    },
    signal,
  );
  if ((await fs.stat(growing)).size > MAX_MANIFEST_BYTES) return { resumedBytes: 0 };
  const bytes = await fs.readFile(growing);
  return looksLikeManifest(bytes) ? fetchParts(work, parseObjectManifest(bytes)) : { resumedBytes: 0 };
}

async function decrypt(work: Work): Promise<void> {
  const { identity, growing, file, onProgress, signal } = work;
  if (identity === undefined)
    throw new StorageError("CannotDecrypt", `${work.cid} is encrypted, and no key was given`, {
      hint: "use the wallet that it was uploaded with: --keystore",
    });
  const { size: totalBytes } = await fs.stat(growing);
  await decryptFile(growing, file, {
    identity: await identity(),
    signal,
    onProgress: (doneBytes) => onProgress?.({ phase: "decrypting", doneBytes, totalBytes }),
  });
}

async function* readChunks(file: string): AsyncGenerator<Uint8Array> {
  const handle = await fs.open(file);
  try {
    yield* handle.createReadStream({ highWaterMark: 1 << 20, autoClose: false });
  } finally {
    await handle.close();
  }
}

async function inParallel(
  items: number[],
  width: number,
  signal: AbortSignal | undefined,
  work: (item: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const one = async () => {
    for (let item = items.shift(); item !== undefined && !both.aborted; item = items.shift()) await work(item, both);
  };
  await Promise.all(
    Array.from({ length: Math.max(1, width) }, () =>
      one().catch((error: unknown) => {
        if (!both.aborted) stop.abort(error);
      }),
    ),
  );
  both.throwIfAborted();
}

async function readNotes({ notesFile, cid }: Work): Promise<Notes> {
  try {
    const notes = notesSchema.parse(JSON.parse(await fs.readFile(notesFile, "utf8")));
    if (notes.cid === cid) return notes;
  } catch {
    // None yet, or of no use.
  }
  return { cid, parts: [], offset: 0 };
}

function checkSize({ cid, limit }: Work, size: number): void {
  if (size <= limit) return;
  throw new StorageError("TooLarge", `${cid} has ${size} bytes or more, and ${limit} are allowed`, {
    hint: "allow more with --max-size if there is room for it",
  });
}

async function forget({ growing, notesFile }: Work): Promise<void> {
  await fs.rm(growing, { force: true });
  await fs.rm(notesFile, { force: true });
}
