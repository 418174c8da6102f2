import fs from "node:fs/promises";
import path from "node:path";
import { reasonOf, StorageError, storeError } from "../errors.ts";
import { readExactly } from "../disk/durable-file.ts";
import { encryptFile } from "./encrypt-file.ts";
import { encodeObjectManifest, PART_BYTES, partLength } from "./object-manifest.ts";
import { isFileCid } from "./unixfs.ts";
import {
  journalFile,
  openJournal,
  readJournal,
  sameStamp,
  stampOf,
  uploadFolder,
  type FileStamp,
  type UploadJournal,
} from "./upload-journal.ts";

/** Where the parts of a file go. */
export interface PartTarget {
  /** For the journal: the same file at another target is another upload. */
  readonly id: string;
  /** Sends bytes as one file and returns the CID that was checked against them; `moved` hears of bytes on their way. */
  add(part: {
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly name: string;
    readonly what: string;
    readonly moved: (bytes: number) => void;
    readonly signal: AbortSignal;
  }): Promise<string>;
  /** Refuses at once what cannot go well: no room for so many bytes, a wrong key. */
  check?(bytes: number, signal: AbortSignal | undefined): Promise<void>;
}

export interface UploadProgress {
  readonly phase: "encrypting" | "uploading";
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface UploadOptions {
  readonly file: string;
  /** Folder for the journals of uploads and for encrypted copies while they are sent. */
  readonly stateDir: string;
  readonly target: PartTarget;
  /** age recipients that can open it; undefined: everybody can. */
  readonly recipients?: readonly string[] | undefined;
  readonly partBytes?: number;
  /** Parts on their way at once. */
  readonly concurrency?: number;
  readonly onProgress?: (progress: UploadProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface Uploaded {
  /** Of the object that lists the parts: it names the file. */
  readonly cid: string;
  readonly parts: readonly string[];
  /** Bytes of the file, and bytes that were stored for it. */
  readonly size: number;
  readonly storedBytes: number;
  readonly encrypted: boolean;
  /** Parts that an earlier run had sent. */
  readonly resumedParts: number;
}

/**
 * Uploads a file in parts, then the object that lists them. The same call goes on where an earlier one was ended, at any
 * moment. A file that has changed since is sent anew, except for parts that are still the same.
 * @throws StorageError `FileNotFound`, `FileChanged`, `DiskFull`, `BadKey`, and those of the target
 */
export async function uploadFile(options: UploadOptions): Promise<Uploaded> {
  const { file, target, recipients, stateDir } = options;
  const stamp = await stampOrFail(file);
  const folder = uploadFolder(stateDir, [path.resolve(file), target.id, ...(recipients ?? [])]);
  await fs.mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw storeError(cause, folder);
  });
  const source = recipients === undefined ? file : await encryptedCopy(options, folder, stamp, recipients);
  const { journal, resumedParts } = await resume(options, folder, source, stamp);
  const parts = await sendParts(options, journal, source);
  if (!sameStamp(stamp, await stampOrFail(file)))
    throw new StorageError("FileChanged", `${file} changed while it was uploaded`, {
      hint: "run the command again when nothing writes to the file: parts that stayed the same are not sent again",
    });
  const { size, partBytes } = journal.content;
  const cid = await target.add({
    bytes: encodeObjectManifest({
      format: "skynet-file",
      version: 1,
      size,
      partBytes,
      ...(recipients === undefined ? { encryption: "none", name: path.basename(file) } : { encryption: "age" }),
      parts,
    }),
    name: `${recipients === undefined ? path.basename(file) : "encrypted"}.skynet.json`,
    what: "the upload of the list of parts",
    moved: () => {},
    signal: options.signal ?? new AbortController().signal,
  });
  await fs.rm(folder, { recursive: true, force: true });
  return { cid, parts, size: stamp.size, storedBytes: size, encrypted: recipients !== undefined, resumedParts };
}

/** The file's encrypted copy: made once, since every encryption gives other bytes, and kept until all is sent. */
async function encryptedCopy(
  { file, onProgress, signal }: UploadOptions,
  folder: string,
  stamp: FileStamp,
  recipients: readonly string[],
): Promise<string> {
  // The name holds the stamp: a copy of an earlier content is never taken for this one's.
  const copy = path.join(folder, `${stamp.size}-${stamp.modified}-${stamp.changed}.age`);
  const names = await fs.readdir(folder);
  if (names.includes(path.basename(copy))) return copy;
  for (const name of names) if (name.includes(".age")) await fs.rm(path.join(folder, name), { force: true });
  // Parts of another copy would not fit this one.
  await fs.rm(journalFile(folder), { force: true });
  await encryptFile(file, copy, {
    recipients,
    signal,
    onProgress: (doneBytes) => onProgress?.({ phase: "encrypting", doneBytes, totalBytes: stamp.size }),
  });
  return copy;
}

async function resume(
  { partBytes = PART_BYTES }: UploadOptions,
  folder: string,
  source: string,
  stamp: FileStamp,
): Promise<{ journal: UploadJournal; resumedParts: number }> {
  const { size } = await stampOrFail(source);
  const before = await readJournal(folder);
  const parts: (string | null)[] = Array<null>(Math.ceil(size / partBytes)).fill(null);
  if (before?.partBytes === partBytes) {
    const unchanged = sameStamp(before.stamp, stamp) && before.size === size;
    for (const [index, cid] of before.parts.entries())
      if (
        index < parts.length &&
        cid !== null &&
        (unchanged || (await stillIs(source, { size, partBytes, index, cid })))
      )
        parts[index] = cid;
  }
  const journal = await openJournal(folder, { version: 1, stamp, partBytes, size, parts });
  return { journal, resumedParts: parts.filter((cid) => cid !== null).length };
}

async function stillIs(
  source: string,
  { index, cid, ...sizes }: { size: number; partBytes: number; index: number; cid: string },
): Promise<boolean> {
  const handle = await fs.open(source);
  try {
    const range = { offset: index * sizes.partBytes, length: partLength(sizes, index), name: source };
    const bytes = await readExactly(handle, range);
    return await isFileCid(cid, () => [bytes]);
  } finally {
    await handle.close();
  }
}

async function sendParts(options: UploadOptions, journal: UploadJournal, source: string): Promise<string[]> {
  const { target, concurrency = 3, onProgress, file, recipients } = options;
  const { size, parts } = journal.content;
  const open = parts.flatMap((cid, index) => (cid === null ? [index] : []));
  const length = (index: number) => partLength(journal.content, index);
  await target.check?.(
    open.reduce((sum, index) => sum + length(index), 0),
    options.signal,
  );
  let doneBytes = parts.reduce((sum, cid, index) => sum + (cid === null ? 0 : length(index)), 0);
  const moving = new Map<number, number>();
  let mostBytes = 0;
  const report = () => {
    const onTheWay = [...moving].reduce((sum, [index, bytes]) => sum + Math.min(bytes, length(index)), 0);
    // What is sent again does not count twice, and nothing goes backwards.
    mostBytes = Math.max(mostBytes, doneBytes + onTheWay);
    onProgress?.({ phase: "uploading", doneBytes: mostBytes, totalBytes: size });
  };
  report();
  const handle = await fs.open(source);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const work = async () => {
    for (let index = open.shift(); index !== undefined; index = open.shift()) {
      signal.throwIfAborted();
      const at = index;
      const bytes = await readExactly(handle, {
        offset: at * journal.content.partBytes,
        length: length(at),
        name: source,
      });
      const cid = await target.add({
        bytes,
        name: partName(recipients === undefined ? path.basename(file) : "encrypted", at, parts.length),
        what: `the upload of part ${at + 1} of ${parts.length}`,
        moved: (sent) => {
          moving.set(at, sent);
          report();
        },
        signal,
      });
      await journal.done(at, cid);
      moving.delete(at);
      doneBytes += bytes.length;
      report();
    }
  };
  try {
    const workers = Array.from({ length: Math.max(1, concurrency) }, () =>
      work().catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    // All have ended before the file is closed; the first error is the one that stopped the others.
    await Promise.allSettled(workers);
    signal.throwIfAborted();
  } finally {
    await handle.close();
  }
  return parts as string[];
}

const partName = (name: string, index: number, count: number): string =>
  `${name}.part-${String(index + 1).padStart(String(count).length, "0")}-of-${count}`;

async function stampOrFail(file: string): Promise<FileStamp> {
  const unreadable = (why: string, cause?: unknown) =>
    new StorageError("FileNotFound", `cannot read ${file}: ${why}`, {
      cause,
      hint: "check the path; folders are packed first",
    });
  const handle = await fs.open(file).catch((cause: unknown) => {
    throw unreadable(reasonOf(cause), cause);
  });
  try {
    if (!(await handle.stat()).isFile()) throw unreadable("it is not a file");
    return await stampOf(handle);
  } finally {
    await handle.close();
  }
}
