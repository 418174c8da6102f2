import { cleanText, InvalidInputError } from "@skynet/protocol";
import { z } from "zod";
import { StorageError } from "../errors.ts";
import { parseCid } from "../parse-cid.ts";
import {
  baseUrl,
  createHttp,
  exchange,
  pause,
  readJson,
  type Http,
  type HttpOptions,
  type HttpRequest,
} from "./http.ts";
import type { PinRequest, RemoteObject, RemoteStatus, RemoteStorage } from "./remote-storage.ts";

// The protocol: github.com/ipfs/pinning-services-api-spec, version 1.0.0 (ipfs-pinning-service.yaml).

/** A page has up to 100 pins, each with up to 1000 pairs of metadata. */
const PAGE = 100;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_PAGES = 100_000;
const MAX_ORIGINS = 20;
const MAX_NAME = 255;
const ALL: readonly RemoteStatus[] = ["queued", "pinning", "pinned", "failed"];

export interface PinningServiceOptions {
  /** Address of the service, as its documentation names it for IPFS clients; `/pins` is added. */
  readonly base: string;
  readonly token: string;
  readonly http?: HttpOptions;
  /** Milliseconds between two questions for the status of a pin: the first wait, and the longest. */
  readonly pollMs?: number;
  readonly maxPollMs?: number;
}

export interface RemotePin extends RemoteObject {
  /** Multiaddrs of the nodes that will fetch the content: connect to them. */
  readonly delegates: readonly string[];
  /** What the service adds about the status, such as the place in the queue or why it failed. */
  readonly details: string;
}

export interface PinFilter {
  readonly cid?: string;
  readonly name?: string;
  readonly status?: readonly RemoteStatus[];
  readonly signal?: AbortSignal | undefined;
}

interface WithSignal {
  readonly signal?: AbortSignal | undefined;
}

export interface PinningService extends RemoteStorage {
  readonly name: "pinning";
  /** Asks for a pin; one that is there already, or on its way, is returned instead. */
  pin(request: PinRequest): Promise<RemotePin>;
  get(id: string, options?: WithSignal): Promise<RemotePin>;
  list(filter?: PinFilter): AsyncGenerator<RemotePin>;
  /** Another CID in a pin's place: blocks that both have are kept. @returns the new pin, with a new id */
  replace(id: string, request: PinRequest): Promise<RemotePin>;
  /**
   * Waits until a pin is there.
   * @throws StorageError `PinFailed` when the service gives up
   */
  wait(id: string, options?: WithSignal & { readonly onStatus?: (pin: RemotePin) => void }): Promise<RemotePin>;
}

/**
 * Client of any service that speaks the IPFS Pinning Service API.
 * @throws InvalidInputError `BadUrl`; StorageError `NoApiKey`
 */
export function createPinningService(options: PinningServiceOptions): PinningService {
  const { token, pollMs = 500, maxPollMs = 15_000 } = options;
  if (!/^[\x21-\x7e]{1,4096}$/.test(token))
    throw new StorageError(
      "NoApiKey",
      "this is no token of a pinning service: it is empty, or has strange characters",
      {
        hint: "copy it from the service and enter it: npx skynet storage login --service pinning",
      },
    );
  const call: Call = { http: createHttp(options.http), base: baseUrl(options.base, "the pinning service"), token };
  const service: PinningService = {
    name: "pinning",
    async pin(request) {
      const body = bodyOf(request);
      for await (const pin of list(call, { cid: request.cid, status: ALL.slice(0, 3), signal: request.signal }))
        if (pin.cid === request.cid) return pin;
      return onePin(call, {
        method: "POST",
        path: "/pins",
        body,
        what: `the request to pin ${request.cid}`,
        ...request,
      });
    },
    get: (id, { signal } = {}) =>
      onePin(call, { path: pathOf(id), what: `the question for pin ${cleanText(id)}`, signal }),
    list: (filter = {}) => list(call, filter),
    replace: (id, request) =>
      onePin(call, {
        method: "POST",
        path: pathOf(id),
        body: bodyOf(request),
        what: `the replacement of pin ${cleanText(id)}`,
        signal: request.signal,
      }),
    async remove(id, { signal } = {}) {
      const request = requestOf(call, {
        method: "DELETE",
        path: pathOf(id),
        what: `the removal of pin ${cleanText(id)}`,
        signal,
      });
      await exchange(call.http, request, async () => undefined);
    },
    async wait(id, { signal, onStatus } = {}) {
      for (let waitMs = pollMs; ; waitMs = Math.min(maxPollMs, waitMs * 1.5)) {
        const pin = await service.get(id, { signal });
        onStatus?.(pin);
        if (pin.status === "pinned") return pin;
        if (pin.status === "failed")
          throw new StorageError(
            "PinFailed",
            `the service could not pin ${pin.cid}${pin.details && `: ${pin.details}`}`,
            {
              hint: "see that a node with the content is online and name it with --origin, then pin again",
            },
          );
        await pause(waitMs, signal);
      }
    },
  };
  return service;
}

interface Call {
  readonly http: Http;
  readonly base: string;
  readonly token: string;
}

interface Question extends WithSignal {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: string;
  readonly what: string;
}

const text = z
  .string()
  .nullish()
  .transform((value) => cleanText(value ?? ""));
const pinSchema = z
  .object({
    requestid: z.string().regex(/^[\x21-\x7e]{1,1024}$/),
    status: z.enum(["queued", "pinning", "pinned", "failed"]),
    created: z.string(),
    pin: z.object({ cid: z.string(), name: text }),
    // The specification asks for at least one; services leave them out.
    delegates: z.array(z.string()).max(1000).nullish(),
    info: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform(({ requestid, status, created, pin, delegates, info }): RemotePin & { readonly created: string } => {
    const { status_details: details, dag_size: size } = info ?? {};
    const createdMs = Date.parse(created);
    return {
      id: requestid,
      status,
      created,
      cid: cleanText(pin.cid),
      name: pin.name,
      createdMs: Number.isNaN(createdMs) ? undefined : createdMs,
      bytes: typeof size === "string" && /^\d{1,15}$/.test(size) ? Number(size) : undefined,
      delegates: (delegates ?? []).map((address) => cleanText(address)),
      details: typeof details === "string" ? cleanText(details) : "",
    };
  });
const resultsSchema = z.object({ count: z.number().int().min(0), results: z.array(pinSchema) });

function requestOf({ base, token }: Call, { method = "GET", path, body, what, signal }: Question): HttpRequest {
  return {
    url: `${base}${path}`,
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: () => body }),
    secret: token,
    what,
    failure: "ServiceFailed",
    signal,
  };
}

async function onePin(call: Call, question: Question): Promise<RemotePin> {
  return exchange(call.http, requestOf(call, question), async (answer) => {
    const parse = (value: unknown) => pinSchema.parse(value);
    const { created: _, ...pin } = await readJson(answer, { limit: MAX_ANSWER_BYTES, what: question.what, parse });
    return pin;
  });
}

/** From the newest to the oldest: a page ends with its oldest pin, before which the next one begins. */
async function* list(call: Call, { cid, name, status = ALL, signal }: PinFilter): AsyncGenerator<RemotePin> {
  const what = "the list of pins";
  const seen = new Set<string>();
  let before: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = new URLSearchParams({ limit: String(PAGE), status: status.join(",") });
    for (const [key, value] of Object.entries({ cid, name, before })) if (value !== undefined) query.set(key, value);
    const request = requestOf(call, { path: `/pins?${query.toString()}`, what, signal });
    const parse = (value: unknown) => resultsSchema.parse(value);
    const { count, results } = await exchange(call.http, request, (answer) =>
      readJson(answer, { limit: MAX_ANSWER_BYTES, what, parse }),
    );
    const fresh = results.filter(({ id }) => !seen.has(id));
    for (const { created: _, ...pin } of fresh) {
      seen.add(pin.id);
      yield pin;
    }
    // A service that repeats itself would be asked without end.
    if (fresh.length === 0 || results.length >= count) return;
    before = results.at(-1)!.created;
  }
}

const pathOf = (id: string): string => `/pins/${encodeURIComponent(id)}`;

/** @throws InvalidInputError `BadCid`, `BadMultiaddr`, `BadName` */
function bodyOf({ cid, name, origins = [] }: PinRequest): string {
  parseCid(cid);
  if (name !== undefined && name.length > MAX_NAME)
    throw new InvalidInputError("BadName", `the name of a pin may have ${MAX_NAME} characters, not ${name.length}`);
  for (const origin of origins)
    if (!/^\/.+\/p2p\/[A-Za-z0-9]+$/.test(origin))
      throw new InvalidInputError("BadMultiaddr", `not the address of a node: ${cleanText(origin)}`, {
        hint: "it looks like /dns4/node.example.com/tcp/4001/p2p/12D3...",
      });
  return JSON.stringify({
    cid,
    ...(name === undefined ? {} : { name }),
    ...(origins.length === 0 ? {} : { origins: [...new Set(origins)].slice(0, MAX_ORIGINS) }),
  });
}
