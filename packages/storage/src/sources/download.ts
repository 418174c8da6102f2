import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openPrivateFolder } from "../disk/durable-file.ts";
import { StorageError } from "../errors.ts";
import { retryAfterMs } from "../remote/answer-error.ts";
import { brokenLine, httpGet, plainUrl } from "./http-get.ts";
import { isFinished, openPartialFile, type PartialFile } from "./partial-file.ts";
import { isPublicAddress } from "./public-address.ts";

export interface DownloadOptions {
  /** Where files are kept; made if it is missing. */
  readonly folder: string;
  /** Whether URLs may lead to this machine and private networks. */
  readonly allowPrivate?: boolean | undefined;
  /** Download it again, also if it is there; what is there stays until that has come. */
  readonly refresh?: boolean | undefined;
  /** Largest file: 64 GiB unless given. */
  readonly maxBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes that are there, and all of them where the server says it. */
  readonly onProgress?: ((bytes: number, total: number | undefined) => void) | undefined;
  /** Milliseconds without a byte after which a connection counts as broken; 60,000 unless given. */
  readonly idleMs?: number | undefined;
  /** Waits between attempts. */
  readonly wait?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
  /** Now, for dates of `Retry-After`. */
  readonly nowMs?: (() => number) | undefined;
}

const MAX_BYTES = 64 * 2 ** 30;
/** Attempts in a row without a new byte. */
const ATTEMPTS = 6;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 120_000;

/**
 * Downloads a URL into a folder, under a name that follows from the URL. Goes on where it was stopped, also by a crash,
 * if the server still has the same file (ETag or date); tries again after broken lines and answers 408, 429 and 5xx. A
 * file that is there already needs no network.
 * @returns path of the file
 * @throws StorageError `PrivateAddress`, `DownloadFailed`, `TooLarge`, `DiskFull`, `StoreFailed`
 */
export async function download(url: URL, options: DownloadOptions): Promise<string> {
  await openPrivateFolder(options.folder);
  const file = path.join(options.folder, nameOf(url));
  if (options.refresh !== true && (await isFinished(file))) return file;
  const partial = await openPartialFile(file);
  try {
    await downloadTo(partial, url, options);
    await partial.finish();
  } finally {
    await partial.close();
  }
  return file;
}

/** The hash keeps files apart, the name keeps their endings, which tell formats. */
function nameOf(url: URL): string {
  const hash = createHash("sha256").update(url.href).digest("hex").slice(0, 16);
  const name = path.posix
    .basename(url.pathname)
    .replaceAll(/[^\w.-]/g, "_")
    .slice(-80);
  return name === "" ? hash : `${hash}-${name}`;
}

async function downloadTo(partial: PartialFile, url: URL, options: DownloadOptions): Promise<void> {
  const { signal, wait = (ms, stop) => delay(ms, undefined, { signal: stop }) } = options;
  let most = partial.state.bytes;
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    const outcome = await tryOnce(partial, url, options);
    if (outcome === "done") return;
    await partial.sync();
    // More than ever: a file that begins anew each time would never end.
    if (partial.state.bytes > most) attempt = 1;
    most = Math.max(most, partial.state.bytes);
    if (attempt >= ATTEMPTS) throw outcome.error;
    const backoff = Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS);
    await wait(outcome.waitMs ?? backoff, signal);
  }
}

interface Failure {
  readonly error: StorageError;
  /** What the server asks for. */
  readonly waitMs?: number;
}

/** @returns what to tell when nothing helps; raises what another attempt cannot mend */
async function tryOnce(partial: PartialFile, url: URL, options: DownloadOptions): Promise<"done" | Failure> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const idle = setTimeout(() => stop.abort(new Error("no answer")), options.idleMs ?? 60_000);
  try {
    const { validator, bytes } = partial.state;
    const resume = validator !== undefined && bytes > 0;
    const headers = {
      "accept-encoding": "identity",
      "user-agent": "skynet",
      ...(resume ? { range: `bytes=${bytes}-`, "if-range": validator } : {}),
    };
    const answer = await httpGet(url, {
      headers,
      signal,
      isAllowed: options.allowPrivate ? () => true : isPublicAddress,
    });
    try {
      return await take(answer, partial, url, { ...options, onBytes: () => idle.refresh() });
    } finally {
      answer.destroy();
    }
  } catch (cause) {
    options.signal?.throwIfAborted();
    if (cause instanceof StorageError) throw cause;
    return { error: brokenLine(url, stop.signal.aborted ? stop.signal.reason : cause) };
  } finally {
    clearTimeout(idle);
  }
}

async function take(
  answer: IncomingMessage,
  partial: PartialFile,
  url: URL,
  { maxBytes = MAX_BYTES, onProgress, onBytes, nowMs = Date.now }: DownloadOptions & { onBytes: () => void },
): Promise<"done" | Failure> {
  const status = answer.statusCode ?? 0;
  if (status === 416) {
    // It has less than we do: the file changed.
    await partial.begin({ bytes: 0 });
    return { error: statusError(url, status), waitMs: 0 };
  }
  if (status !== 200 && status !== 206) {
    const error = statusError(url, status);
    if (status !== 408 && status !== 429 && status < 500) throw error;
    const waitMs = retryAfterMs(answer.headers["retry-after"] ?? null, nowMs());
    return waitMs === undefined ? { error } : { error, waitMs: Math.min(waitMs, LONGEST_WAIT_MS) };
  }
  if (!(await beginAt(answer, partial)))
    return { error: brokenLine(url, "it sent another part than asked for"), waitMs: 0 };
  const { total } = partial.state;
  const check = (bytes: number): void => {
    if (bytes > maxBytes)
      throw new StorageError("TooLarge", `${plainUrl(url)}: more than ${maxBytes} bytes`, {
        hint: "raise the limit if you trust it",
      });
  };
  check(total ?? 0);
  onProgress?.(partial.state.bytes, total);
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    onBytes();
    check(partial.state.bytes + chunk.length);
    await partial.append(chunk);
    onProgress?.(partial.state.bytes, total);
  }
  if (total === undefined || partial.state.bytes === total) return "done";
  if (partial.state.bytes > total) await partial.begin({ bytes: 0 });
  return { error: brokenLine(url, `${total} bytes were announced, ${partial.state.bytes} came`) };
}

/**
 * Makes the file ready for the body of an answer. A part counts only with the validator and the size of what came before:
 * there are servers that do not know If-Range, and send the rest of another version.
 * @returns whether the answer fits
 */
async function beginAt({ statusCode, headers }: IncomingMessage, partial: PartialFile): Promise<boolean> {
  const { etag, "last-modified": modified, "content-length": length } = headers;
  const validator = etag !== undefined && !etag.startsWith("W/") ? etag : modified;
  if (statusCode === 206) {
    const [, from, all] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers["content-range"] ?? "") ?? [];
    const { state } = partial;
    const isSame = validator !== undefined && validator === state.validator;
    const fits = isSame && Number(from) === state.bytes && (state.total === undefined || Number(all) === state.total);
    await partial.begin(fits ? { ...state, total: Number(all) } : { bytes: 0 });
    return fits;
  }
  const total = length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  await partial.begin({
    bytes: 0,
    ...(validator === undefined ? {} : { validator }),
    ...(total === undefined ? {} : { total }),
  });
  return true;
}

function statusError(url: URL, status: number): StorageError {
  const hints: Record<number, string> = {
    401: "the file needs a login: download it yourself and use its path",
    403: "the file needs a login: download it yourself and use its path",
    404: "check the URL",
    429: "the server asks for fewer requests; run this again later: it goes on where it stopped",
  };
  return new StorageError("DownloadFailed", `${plainUrl(url)}: the server answered ${status}`, {
    hint:
      hints[status] ??
      (status >= 500 ? "the server has a problem; run this again later: it goes on where it stopped" : "check the URL"),
  });
}
