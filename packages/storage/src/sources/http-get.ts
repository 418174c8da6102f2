import http from "node:http";
import https from "node:https";
import { reasonOf, StorageError } from "../errors.ts";
import { checkHost, guardedLookup, type AddressRule } from "./public-address.ts";

export interface GetOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Addresses that may be connected to. */
  readonly isAllowed: AddressRule;
  readonly signal: AbortSignal;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Requests a URL and follows up to five redirects, each checked like the first: http or https, no name and password in
 * it, and only addresses that are allowed.
 * @returns the answer, whatever its status; its body must be read or destroyed
 * @throws StorageError `PrivateAddress`, `DownloadFailed` (a URL that is refused); other errors: the line is broken
 */
export async function httpGet(url: URL, options: GetOptions): Promise<http.IncomingMessage> {
  let current = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const answer = await request(current, options);
    const { location } = answer.headers;
    if (!REDIRECTS.has(answer.statusCode ?? 0) || location === undefined) return answer;
    answer.destroy();
    const next = URL.parse(location, current.href);
    if (next === null)
      throw refused(current, `it redirects to ${JSON.stringify(location.slice(0, 200))}, which is no URL`);
    if (current.protocol === "https:" && next.protocol === "http:")
      throw refused(current, "it redirects from https to http, where anybody on the way can change the data");
    current = next;
  }
  throw refused(url, `it redirects more than ${MAX_REDIRECTS} times`);
}

/** A URL for people and logs: without what may be secret in it. */
export function plainUrl({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

function request(url: URL, { headers, isAllowed, signal }: GetOptions): Promise<http.IncomingMessage> {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw refused(url, `${url.protocol} is not read`, "use a URL that starts with http:// or https://");
  checkHost(url, isAllowed);
  if (url.username !== "" || url.password !== "")
    throw refused(
      url,
      "a name or password stands in the URL",
      "use a URL that needs none, or download the file yourself",
    );
  const { get } = url.protocol === "https:" ? https : http;
  return new Promise((resolve, reject) => {
    // Without an agent there is neither a proxy nor a connection that was made without the check.
    const options = { headers, signal, agent: false as const, lookup: guardedLookup(isAllowed) };
    get(url, options, resolve).on("error", reject);
  });
}

function refused(url: URL, problem: string, hint = "check the URL in a browser"): StorageError {
  return new StorageError("DownloadFailed", `${plainUrl(url)}: ${problem}`, { hint });
}

/** @returns the error about a line that broke, for the last attempt */
export function brokenLine(url: URL, cause: unknown): StorageError {
  return new StorageError("DownloadFailed", `${plainUrl(url)}: ${reasonOf(cause)}`, {
    cause,
    hint: "check the network and run this again: it goes on where it stopped",
  });
}
