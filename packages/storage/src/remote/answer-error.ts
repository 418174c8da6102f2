import { cleanText } from "@skynet/protocol";
import { StorageError } from "../errors.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";

/** A failure that may pass: the request is sent again. */
export class Retryable extends Error {
  readonly failure: StorageError;
  /** Milliseconds that the service asks to wait. */
  readonly afterMs: number | undefined;

  constructor(failure: StorageError, afterMs?: number) {
    super(failure.message);
    this.failure = failure;
    this.afterMs = afterMs;
  }
}

const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Lighthouse does not document how it refuses an account that is full, so its words count besides the status. */
const FULL = /quota|insufficient|exceed|limit reached|storage limit|data limit|not enough (space|storage|balance)/i;
const MAX_ERROR_BYTES = 64 * 1024;

/** What an answer with a status other than 2xx means. @returns a StorageError, or one to try again */
export async function answerError(request: HttpRequest, answer: HttpAnswer): Promise<StorageError | Retryable> {
  const { status, headers } = answer;
  const said = saidBy(reasonIn(await beginning(answer)), request.secret);
  const text = `${request.what} was refused with status ${status}${said === "" ? "" : `: ${said}`}`;
  if (PASSING.has(status)) {
    const busy = status === 429 ? "the service allows fewer requests" : "the service has a problem";
    const failure = new StorageError(request.failure, text, { hint: `${busy}: try again later` });
    return new Retryable(failure, retryAfterMs(headers.get("retry-after"), Date.now()));
  }
  if (request.secret === undefined && [401, 402, 403].includes(status))
    return new StorageError(request.failure, text, { hint: "it serves only its customers: use another one" });
  // 409 is the pinning services' status for it, 413 and 507 are those of HTTP and WebDAV.
  if (status === 402 || status === 507 || ([400, 403, 409, 413].includes(status) && FULL.test(said)))
    return new StorageError("QuotaExceeded", text, {
      hint: "see what is left: npx skynet storage quota; remove something, or get a larger plan at the service",
    });
  if (status === 401 || status === 403)
    return new StorageError("WrongApiKey", text, {
      hint: "make a new key at the service and enter it: npx skynet storage login",
    });
  if (status === 404 || status === 410)
    return new StorageError("RemoteMissing", text, {
      hint: "check the CID or id; what is new needs some minutes to be found",
    });
  if (status >= 300 && status < 400)
    return new StorageError("BadAnswer", `${request.what}: the service has moved to another address`, {
      hint: "set the address that its documentation names now",
    });
  return new StorageError(request.failure, text, { hint: "the service does not accept this request" });
}

/**
 * Milliseconds that a Retry-After header asks to wait, given as seconds or as a date (RFC 9110, 10.2.3).
 * @param nowMs since the epoch
 */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/** Text of a service for people: one line, not endless, and without the key if somebody repeats it. */
const saidBy = (text: string, secret?: string): string =>
  cleanText(secret === undefined || secret === "" ? text : text.replaceAll(secret, "(key)"));

async function beginning({ body }: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_ERROR_BYTES) break;
    }
  } catch {
    // The status says enough.
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, MAX_ERROR_BYTES));
}

/** Pinning services answer {"error":{"reason","details"}}, Lighthouse {"error":"..."} or {"message":"..."}, Kubo {"Message"}. */
function reasonIn(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return body.trimStart().startsWith("<") ? "" : body;
  }
  const { error, message, Message } = (value ?? {}) as Record<string, unknown>;
  const { reason, details } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  return [error, reason, details, message, Message].filter((part) => typeof part === "string").join(", ");
}
