import fs from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { openPrivateFolder, putInPlace } from "../disk/durable-file.ts";
import { StorageError } from "../errors.ts";
import { isCid } from "../parse-cid.ts";
import { download, type DownloadOptions } from "./download.ts";
import { isFinished, markFinished } from "./partial-file.ts";

export interface FetchSourceOptions extends DownloadOptions {
  /** Folder that paths are relative to; the working directory unless given. */
  readonly base?: string | undefined;
  /** Writes the content of a CID to a file. Without it CIDs are refused. */
  readonly fetchCid?:
    | ((cid: string, file: string, options: Pick<DownloadOptions, "signal" | "onProgress">) => Promise<void>)
    | undefined;
}

/**
 * Brings data onto this machine: a path as it is, `http(s)://` by {@link download}, `ipfs://CID` or a CID by `fetchCid`.
 * @returns path of the file, which may be missing where a path was given
 * @throws StorageError `UnsupportedFile` (another kind of URL), and those of the download or of `fetchCid`
 */
export async function fetchSource(ref: string, options: FetchSourceOptions): Promise<string> {
  const { base = ".", signal } = options;
  signal?.throwIfAborted();
  const scheme = /^([a-z][a-z\d+.-]+):\/\//i.exec(ref)?.[1]?.toLowerCase();
  if (scheme === "http" || scheme === "https") return download(parseUrl(ref), options);
  if (scheme === "ipfs") return fetchByCid(ref.slice("ipfs://".length), options);
  if (scheme === "file") return fileURLToPath(parseUrl(ref));
  if (scheme !== undefined) throw unsupported(`${scheme}:// is not read`);
  const file = path.resolve(base, ref);
  if (!isCid(ref) || (await exists(file))) return file;
  return fetchByCid(ref, options);
}

async function fetchByCid(cid: string, { folder, fetchCid, signal, onProgress }: FetchSourceOptions): Promise<string> {
  if (!isCid(cid)) throw unsupported(`ipfs://${cid} is not ipfs:// and a CID`);
  if (fetchCid === undefined) throw unsupported(`there is no way here to fetch ${cid}`);
  const file = path.join(folder, cid);
  await openPrivateFolder(folder);
  if (await isFinished(file)) return file;
  const part = `${file}.part`;
  await fetchCid(cid, part, { signal, onProgress });
  await putInPlace(part, file, true);
  await markFinished(file);
  return file;
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw unsupported(`${JSON.stringify(text.slice(0, 200))} is not a URL`);
  return url;
}

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}

function unsupported(message: string): StorageError {
  return new StorageError("UnsupportedFile", message, {
    hint: "give a path, a URL that starts with http:// or https://, or ipfs:// and a CID",
  });
}
