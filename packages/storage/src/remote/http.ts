import { setTimeout as sleep } from "node:timers/promises";
import { InvalidInputError } from "@skynet/protocol";
import { reasonOf, StorageError, type StorageErrorCode } from "../errors.ts";
import { answerError, Retryable } from "./answer-error.ts";

/** How requests to services are made. */
export interface HttpOptions {
  readonly fetch?: typeof fetch;
  /** Tries of one request before it counts as failed. */
  readonly attempts?: number;
  /** Milliseconds before the second try; twice as long before each later one, plus up to as much again by chance. */
  readonly backoffMs?: number;
  /** Longest wait between two tries, also when the service asks for more with Retry-After. */
  readonly maxWaitMs?: number;
  /** A connection on which nothing moves for so long is given up. */
  readonly idleMs?: number;
  /** From 0 to 1, spreads the tries of many clients. */
  readonly random?: () => number;
  /** Told before every wait for another try. */
  readonly onRetry?: (retry: { readonly reason: string; readonly attempt: number; readonly waitMs: number }) => void;
}

export interface HttpRequest {
  readonly url: string;
  readonly method?: "GET" | "POST" | "DELETE";
  readonly headers?: Record<string, string>;
  /** Called for every try; `moved` is told the bytes that were taken to be sent. */
  readonly body?: (moved: (bytes: number) => void) => BodyInit;
  /** Key that goes with the request, as a bearer token. It is in no error. */
  readonly secret?: string | undefined;
  /** Code of a failure that has no better one. */
  readonly failure: StorageErrorCode;
  /** What was asked, for messages: "the upload of part 3". */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The body as it comes. It ends with an error that is tried again if the connection breaks or stalls. */
  readonly body: AsyncIterable<Uint8Array>;
}

export type Http = Required<HttpOptions>;

const DEFAULTS = { attempts: 6, backoffMs: 500, maxWaitMs: 120_000, idleMs: 60_000 };

export const createHttp = (options: HttpOptions = {}): Http => ({
  fetch: (...args) => fetch(...args),
  random: Math.random,
  onRetry: () => {},
  ...DEFAULTS,
  ...options,
});

/**
 * Sends a request until it is answered well: again after network errors, stalls, cut answers, and the statuses that ask
 * for it (408, 425, 429, 5xx), waiting as Retry-After says or ever longer.
 * @param take reads the answer; what it throws as `Retryable` is tried again, too
 * @throws StorageError `WrongApiKey`, `QuotaExceeded`, `RemoteMissing`, `BadAnswer`, or the request's own code
 */
export async function exchange<T>(
  http: Http,
  request: HttpRequest,
  take: (answer: HttpAnswer) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    request.signal?.throwIfAborted();
    try {
      return await once(http, request, take);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (!(error instanceof Retryable)) throw error;
      const { failure, afterMs } = error;
      const waitMs = afterMs ?? backoff(http, attempt);
      if (attempt >= http.attempts) throw finalError(failure, `${attempt} tries`);
      if (waitMs > http.maxWaitMs)
        throw finalError(failure, `it asks to be left alone for ${Math.ceil(waitMs / 1000)} s`);
      http.onRetry({ reason: failure.message, attempt, waitMs });
      await pause(waitMs, request.signal);
    }
  }
}

/** Waits, or throws the signal's reason as soon as it is aborted. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
}

/** All bytes of an answer. @throws StorageError `BadAnswer` when there are more than `limit` */
export async function readAll({ body }: HttpAnswer, limit: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > limit) throw new StorageError("BadAnswer", `${what}: the answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, length));
}

/**
 * An answer in JSON, through a schema. One that does not parse was probably cut on its way, so it is asked for again.
 * @throws StorageError `BadAnswer`
 */
export async function readJson<T>(
  answer: HttpAnswer,
  { limit, what, parse }: { limit: number; what: string; parse: (value: unknown) => T },
): Promise<T> {
  const bytes = await readAll(answer, limit, what);
  try {
    return parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (cause) {
    if (cause instanceof Retryable) throw cause;
    const reason = cause instanceof SyntaxError || cause instanceof TypeError ? "it is not JSON" : "its form is wrong";
    throw new Retryable(
      new StorageError("BadAnswer", `${what}: the answer cannot be used, ${reason}`, {
        cause,
        hint: "check the address of the service; a proxy may have answered in its place",
      }),
    );
  }
}

/**
 * The base address of a service, without a slash at the end. A key goes over TLS or stays on this machine.
 * @throws InvalidInputError `BadUrl`
 */
export function baseUrl(text: string, name: string): string {
  const bad = (why: string) =>
    new InvalidInputError("BadUrl", `the address of ${name} ${why}: ${text.slice(0, 200)}`, {
      hint: "use an address such as https://api.example.com",
    });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad("is none");
  }
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && local)) throw bad("must begin with https://");
  if (url.username !== "" || url.password !== "") throw bad("must not hold a password");
  if (url.search !== "" || url.hash !== "") throw bad("must not have a ? or #");
  return url.href.replace(/\/+$/, "");
}

async function once<T>(http: Http, request: HttpRequest, take: (answer: HttpAnswer) => Promise<T>): Promise<T> {
  const idle = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const touch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => idle.abort(), http.idleMs);
  };
  const broken = (cause: unknown) => networkFailure(request, cause, idle.signal.aborted, http.idleMs);
  touch();
  try {
    const signal = request.signal === undefined ? idle.signal : AbortSignal.any([request.signal, idle.signal]);
    const response = await http.fetch(request.url, initOf(request, touch, signal)).catch((cause: unknown) => {
      throw broken(cause);
    });
    touch();
    const answer = { status: response.status, headers: response.headers, body: bodyOf(response, touch, broken) };
    if (!response.ok) throw await answerError(request, answer);
    const result = await take(answer);
    return result;
  } finally {
    clearTimeout(timer);
    // What was not read must not hold the connection.
    idle.abort();
  }
}

function initOf(request: HttpRequest, touch: () => void, signal: AbortSignal): RequestInit {
  const { method = "GET", headers = {}, secret, body } = request;
  return {
    method,
    headers: secret === undefined ? headers : { ...headers, authorization: `Bearer ${secret}` },
    // A key, or a body that is sent once, does not follow to other places.
    redirect: secret === undefined && body === undefined ? "follow" : "manual",
    signal,
    ...(body === undefined ? {} : { body: body(touch), duplex: "half" as const }),
  };
}

async function* bodyOf(
  response: Response,
  touch: () => void,
  broken: (cause: unknown) => Retryable,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw broken(cause);
      });
      touch();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function networkFailure({ what, failure }: HttpRequest, cause: unknown, stalled: boolean, idleMs: number): Retryable {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = (inner as NodeJS.ErrnoException | undefined)?.code;
  const why = stalled ? `nothing moved for ${idleMs / 1000} s` : `${reasonOf(inner)}${code ? ` (${code})` : ""}`;
  return new Retryable(
    new StorageError(failure, `${what} failed: ${why}`, { cause, hint: "check the connection to the internet" }),
  );
}

/** Twice as long after each try, half of it by chance. */
const backoff = ({ backoffMs, maxWaitMs, random }: Http, attempt: number): number =>
  Math.min(maxWaitMs, backoffMs * 2 ** (attempt - 1)) * (0.5 + 0.5 * random());

function finalError({ code, message, hint, cause }: StorageError, why: string): StorageError {
  return new StorageError(code, `${message} (${why})`, { cause, ...(hint === undefined ? {} : { hint }) });
}
