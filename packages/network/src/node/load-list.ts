import fs from "node:fs/promises";
import { MAX_LIST_BYTES } from "../discovery/relay-list.ts";
import { NetworkError } from "../errors.ts";
import { scopeOfHost } from "../ip/scope.ts";

/** Of a URL: IPv6 is in brackets there. */
const isLoopback = (host: string): boolean => scopeOfHost(host.replace(/^\[|\]$/g, "")) === "loopback";

/** Whether a list is fetched from a server, not read from a file. @throws NetworkError `BadOption` for http elsewhere */
function isListUrl(source: string): boolean {
  if (!/^https?:\/\//.test(source)) return false;
  if (!URL.canParse(source)) throw new NetworkError("BadOption", `not a URL: ${source}`);
  const { protocol, hostname } = new URL(source);
  if (protocol === "https:" || isLoopback(hostname)) return true;
  throw new NetworkError("BadOption", `lists of relays are not fetched over plain http: ${source}`, {
    hint: "use https, which hides from your network which relays you will use",
  });
}

/**
 * The bytes of a list of relays from a file or an https URL (http from this machine only), at most 64 KiB. Redirects
 * are not followed.
 * @throws NetworkError `BadOption`, `NotFound`, `TooLarge`
 */
export async function loadList(source: string, signal: AbortSignal): Promise<Uint8Array> {
  return isListUrl(source) ? fetchList(source, signal) : readList(source);
}

async function readList(file: string): Promise<Uint8Array> {
  try {
    const { size } = await fs.stat(file);
    if (size > MAX_LIST_BYTES) throw tooLarge(file);
    return new Uint8Array(await fs.readFile(file));
  } catch (cause) {
    if (cause instanceof NetworkError) throw cause;
    throw new NetworkError("NotFound", `the list of relays cannot be read: ${file}`, { cause, hint: "check the path" });
  }
}

async function fetchList(url: string, signal: AbortSignal): Promise<Uint8Array> {
  let response: Response;
  try {
    response = await fetch(url, { signal, redirect: "error", headers: { accept: "application/json" } });
  } catch (cause) {
    signal.throwIfAborted();
    throw new NetworkError("NotFound", `the list of relays cannot be fetched: ${url}`, { cause });
  }
  if (!response.ok || response.body === null)
    throw new NetworkError("NotFound", `the server of the list of relays answers ${response.status}: ${url}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.length;
    if (size > MAX_LIST_BYTES) throw tooLarge(url);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

const tooLarge = (source: string) =>
  new NetworkError("TooLarge", `the list of relays has more than ${MAX_LIST_BYTES} bytes: ${source}`);
