import { skynetAddresses } from "@skynet/contracts";
import { cleanText } from "@skynet/protocol";
import type { z } from "zod";
import { IndexError } from "../errors.ts";
import type { JobQuery } from "../queries/jobs.ts";
import type { ListingQuery } from "../queries/listings.ts";
import type { OfferQuery } from "../queries/offers.ts";
import type { VerifierQuery } from "../queries/verifiers.ts";
import type { WorkerQuery } from "../queries/workers.ts";
import {
  errorItem,
  jobDetail,
  jobItem,
  listingItem,
  offerItem,
  pageOf,
  statusItem,
  verifierItem,
  workerItem,
} from "../schemas.ts";

/** A page of entries, newest first; `next` is the cursor of the following page. */
export interface IndexPage<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

type Optional<Query> = { readonly [Name in keyof Query]?: Query[Name] | undefined };
type ListOf<Query, Item extends z.ZodType> = (query?: Optional<Query>) => Promise<IndexPage<z.output<Item>>>;
type FindOf<Item extends z.ZodType> = (id: string) => Promise<z.output<Item> | undefined>;

/**
 * Access to an index. Everything that it says is checked for its form and cleaned, but an index can omit or lie: read
 * the chain before money depends on it.
 *
 * Every call rejects with IndexError: `IndexUnreachable`, `IndexAnswer` (an answer that is none of an index),
 * or the code with which the index refused the request.
 */
export interface IndexClient {
  readonly url: string;
  status(): Promise<z.output<typeof statusItem>>;
  jobs: ListOf<JobQuery, typeof jobItem>;
  job: FindOf<typeof jobDetail>;
  listings: ListOf<ListingQuery, typeof listingItem>;
  listing: FindOf<typeof listingItem>;
  offers: ListOf<OfferQuery, typeof offerItem>;
  offer: FindOf<typeof offerItem>;
  workers: ListOf<WorkerQuery, typeof workerItem>;
  worker: FindOf<typeof workerItem>;
  verifiers: ListOf<VerifierQuery, typeof verifierItem>;
  verifier: FindOf<typeof verifierItem>;
}

export interface IndexClientOptions {
  /** Such as http://127.0.0.1:8650. */
  readonly url: string;
  /** Milliseconds for one answer, default 10 s. */
  readonly timeoutMs?: number;
  /** Bytes of one answer, default 4 MiB. */
  readonly maxBytes?: number;
  /** Chain that the caller means; an index of another one is refused. */
  readonly chainId?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const unreachable = (url: string, cause: unknown) =>
  new IndexError("IndexUnreachable", `no index answers at ${url}`, {
    cause,
    hint: "start one with npx skynet index, correct --index or SKYNET_INDEX, or leave it out to read the chain",
  });

const notAnIndex = (url: string, why: string, cause?: unknown) =>
  new IndexError("IndexAnswer", `what answers at ${url} is no index of this version: ${why}`, {
    cause,
    hint: "check the address, and that both sides run the same version",
  });

/** @throws IndexError `BadIndexUrl` */
function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && ["http:", "https:"].includes(url.protocol) && url.username === "") return url;
  throw new IndexError("BadIndexUrl", `not the address of an index: ${cleanText(text, 100)}`, {
    hint: "such as http://127.0.0.1:8650",
  });
}

async function readText(response: Response, maxBytes: number, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw notAnIndex(url, `the answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notAnIndex(url, "the answer is not JSON", cause);
  }
}

/** @throws IndexError `IndexUnreachable`, `IndexAnswer`, `WrongIndex`, `BadIndexUrl` */
export async function openIndex(options: IndexClientOptions): Promise<IndexClient> {
  const { timeoutMs = 10_000, maxBytes = 4 * 1024 * 1024, chainId, signal } = options;
  const base = parseUrl(options.url);
  const url = base.href.replace(/\/$/, "");

  /** Status and body. */
  const request = async (path: string, query: object = {}): Promise<[number, unknown]> => {
    const target = new URL(url + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) target.searchParams.set(name, String(value));
    const timeout = AbortSignal.timeout(timeoutMs);
    const limits = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    try {
      const response = await fetch(target, { redirect: "error", signal: limits });
      return [response.status, parseJson(await readText(response, maxBytes, url), url)];
    } catch (error) {
      if (error instanceof IndexError) throw error;
      signal?.throwIfAborted();
      throw unreachable(url, error);
    }
  };
  const parse = <Item extends z.ZodType>(item: Item, body: unknown): z.output<Item> => {
    const parsed = item.safeParse(body);
    if (parsed.success) return parsed.data;
    const { path, message } = parsed.error.issues[0]!;
    throw notAnIndex(url, cleanText(`${path.join(".")}: ${message}`, 100), parsed.error);
  };
  const get = async <Item extends z.ZodType>(item: Item, path: string, query?: object): Promise<z.output<Item>> => {
    const [status, body] = await request(path, query);
    if (status === 200) return parse(item, body);
    const { error } = parse(errorItem, body);
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    throw new IndexError(error.code, `the index refused: ${error.message}`, hint);
  };
  const list =
    <Query, Item extends z.ZodType>(path: string, item: Item): ListOf<Query, Item> =>
    (query) =>
      get(pageOf(item), path, query) as Promise<IndexPage<z.output<Item>>>;
  const find =
    <Item extends z.ZodType>(path: string, item: Item): FindOf<Item> =>
    async (id) => {
      try {
        return await get(item, `${path}/${encodeURIComponent(id)}`);
      } catch (error) {
        if (error instanceof IndexError && error.code === "NotFound") return undefined;
        throw error;
      }
    };

  const client: IndexClient = {
    url,
    status: () => get(statusItem, "/v1/status"),
    jobs: list("/v1/jobs", jobItem),
    job: find("/v1/jobs", jobDetail),
    listings: list("/v1/listings", listingItem),
    listing: find("/v1/listings", listingItem),
    offers: list("/v1/offers", offerItem),
    offer: find("/v1/offers", offerItem),
    workers: list("/v1/workers", workerItem),
    worker: find("/v1/workers", workerItem),
    verifiers: list("/v1/verifiers", verifierItem),
    verifier: find("/v1/verifiers", verifierItem),
  };
  assertSame(await client.status(), url, chainId);
  return client;
}

/** @throws IndexError `WrongIndex` */
function assertSame(status: z.output<typeof statusItem>, url: string, chainId: number | undefined): void {
  const differs = (what: string) =>
    new IndexError("WrongIndex", `the index at ${url} follows ${what}`, {
      hint: "take an index of this chain and version, or leave --index out to read the chain",
    });
  if (chainId !== undefined && status.chainId !== chainId)
    throw differs(`chain ${status.chainId}, not chain ${chainId}`);
  if (status.contracts.jobBoard !== skynetAddresses().jobBoard) throw differs("contracts of another version");
}
