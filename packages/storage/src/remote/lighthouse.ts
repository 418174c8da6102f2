import { cleanText } from "@skynet/protocol";
import { z } from "zod";
import { StorageError } from "../errors.ts";
import { addFile } from "./add-file.ts";
import { baseUrl, createHttp, exchange, readJson, type Http, type HttpOptions, type HttpRequest } from "./http.ts";
import type { PinRequest, RemoteObject, RemoteStorage } from "./remote-storage.ts";
import type { PartTarget } from "./upload.ts";

// Sources of the protocol: docs.lighthouse.storage (how-to: upload-data/file, list-files, get-balance, pin-cid,
// check-for-filecoin-deals) and github.com/lighthouse-web3/lighthouse-package, src/lighthouse.config.ts and src/Lighthouse.
export const LIGHTHOUSE_API = "https://api.lighthouse.storage";
export const LIGHTHOUSE_UPLOAD = "https://upload.lighthouse.storage";

/** A page of the list has up to 2000 entries of about 500 bytes. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Pages that are asked for at most: 20 million objects. */
const MAX_PAGES = 10_000;

export interface LighthouseOptions {
  readonly apiKey: string;
  readonly apiBase?: string;
  readonly uploadBase?: string;
  readonly http?: HttpOptions;
}

/** Bytes. */
export interface LighthouseQuota {
  readonly limit: number;
  readonly used: number;
  readonly remaining: number;
}

/** A contract with a Filecoin storage provider; fields that the service leaves out are undefined. */
export interface FilecoinDeal {
  readonly dealId: number | undefined;
  readonly provider: string | undefined;
  /** For example "Sealing: Proving". */
  readonly status: string | undefined;
  readonly pieceCid: string | undefined;
  readonly startEpoch: number | undefined;
  readonly endEpoch: number | undefined;
}

export interface Lighthouse extends RemoteStorage {
  readonly name: "lighthouse";
  /** Takes the parts of `uploadFile`. */
  readonly target: PartTarget;
  quota(options?: { readonly signal?: AbortSignal | undefined }): Promise<LighthouseQuota>;
}

/**
 * Client of Lighthouse, a service that keeps files on IPFS and Filecoin.
 * @throws InvalidInputError `BadUrl`; StorageError `NoApiKey`
 */
export function createLighthouse(options: LighthouseOptions): Lighthouse {
  const { apiKey } = options;
  if (!/^[\x21-\x7e]{1,512}$/.test(apiKey))
    throw new StorageError(
      "NoApiKey",
      "this is no key of Lighthouse: it is empty, or has spaces or strange characters",
      {
        hint: "copy the key from files.lighthouse.storage and enter it: npx skynet storage login",
      },
    );
  const http = createHttp(options.http);
  const api = baseUrl(options.apiBase ?? LIGHTHOUSE_API, "Lighthouse");
  const uploads = baseUrl(options.uploadBase ?? LIGHTHOUSE_UPLOAD, "Lighthouse's uploads");
  const call = { http, api, apiKey };
  return {
    name: "lighthouse",
    target: {
      id: uploads,
      add: (part) => addFile({ http, base: uploads, secret: apiKey }, part),
      check: (bytes, signal) => checkRoom(call, bytes, signal),
    },
    quota: ({ signal } = {}) => quota(call, signal),
    list: ({ signal } = {}) => list(call, signal),
    pin: (request) => pin(call, request),
    async remove(id, { signal } = {}) {
      const url = `${api}/api/user/delete_file?id=${encodeURIComponent(id)}`;
      const request = {
        url,
        method: "DELETE" as const,
        what: `the removal of ${id}`,
        failure: "ServiceFailed" as const,
      };
      await exchange(http, { ...request, secret: apiKey, signal }, async () => undefined);
    },
  };
}

interface Call {
  readonly http: Http;
  readonly api: string;
  readonly apiKey: string;
}

const amount = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,15}$/)
      .transform(Number),
  ])
  .pipe(z.number().int().min(0));
const usageSchema = z.object({ dataLimit: amount, dataUsed: amount });

async function quota({ http, api, apiKey }: Call, signal: AbortSignal | undefined): Promise<LighthouseQuota> {
  const what = "the question for the remaining quota";
  const url = `${api}/api/user/user_data_usage`;
  return exchange(http, { url, secret: apiKey, what, failure: "ServiceFailed", signal }, async (answer) => {
    const parse = (value: unknown) => usageSchema.parse(value);
    const { dataLimit: limit, dataUsed: used } = await readJson(answer, { limit: MAX_ANSWER_BYTES, what, parse });
    return { limit, used, remaining: Math.max(0, limit - used) };
  });
}

async function checkRoom(call: Call, bytes: number, signal: AbortSignal | undefined): Promise<void> {
  const left = await quota(call, signal).catch((error: unknown) => {
    // That the service cannot tell is no reason to send nothing: it will refuse what is too much.
    if (error instanceof StorageError && error.code !== "WrongApiKey" && error.code !== "QuotaExceeded")
      return undefined;
    throw error;
  });
  if (left === undefined || bytes <= left.remaining) return;
  const { remaining, limit } = left;
  throw new StorageError("QuotaExceeded", `${bytes} bytes are to be stored, and ${remaining} of ${limit} are left`, {
    hint: "remove something, or get a larger plan at the service; npx skynet storage quota shows what is left",
  });
}

const shown = z
  .string()
  .nullish()
  .transform((text) => cleanText(text ?? ""));
const fileSchema = z.object({
  id: z.string().regex(/^[\x21-\x7e]{1,1024}$/),
  cid: z.string(),
  fileName: shown,
  fileSizeInBytes: amount.nullish().catch(undefined),
  createdAt: z.number().nullish().catch(undefined),
});
const listSchema = z.object({ fileList: z.array(fileSchema) });

/** Pages of up to 2000; `lastKey` is the id of the last entry of the page before, and "null" for the first one. */
async function* list({ http, api, apiKey }: Call, signal: AbortSignal | undefined): AsyncGenerator<RemoteObject> {
  const what = "the list of uploads";
  const seen = new Set<string>();
  let lastKey = "null";
  for (let page = 0; page < MAX_PAGES; page++) {
    const url = `${api}/api/user/files_uploaded?lastKey=${encodeURIComponent(lastKey)}`;
    const request = { url, secret: apiKey, what, failure: "ServiceFailed" as const, signal };
    const parse = (value: unknown) => listSchema.parse(value);
    const { fileList } = await exchange(http, request, (answer) =>
      readJson(answer, { limit: MAX_LIST_BYTES, what, parse }),
    );
    for (const { id, cid, fileName, fileSizeInBytes, createdAt } of fileList) {
      if (seen.has(id)) continue;
      seen.add(id);
      const bytes = fileSizeInBytes ?? undefined;
      yield { id, cid: cleanText(cid), name: fileName, bytes, status: "pinned", createdMs: createdAt ?? undefined };
    }
    const last = fileList.at(-1)?.id;
    // A page that ends like the one before would be asked for without end.
    if (last === undefined || last === lastKey) return;
    lastKey = last;
  }
}

async function pin({ http, api, apiKey }: Call, { cid, name, signal }: PinRequest): Promise<RemoteObject> {
  const what = `the request to pin ${cid}`;
  const request: HttpRequest = {
    url: `${api}/api/lighthouse/pin`,
    method: "POST",
    headers: { "content-type": "application/json" },
    secret: apiKey,
    what,
    failure: "PinFailed",
    body: () => JSON.stringify({ cid, ...(name === undefined ? {} : { fileName: name }) }),
    signal,
  };
  // The form of the answer is not documented: that it took the request is all that it says.
  await exchange(http, request, async () => undefined);
  return { id: cid, cid, name: name ?? "", bytes: undefined, status: "queued", createdMs: undefined };
}

const epoch = z.number().nullish().catch(undefined);
const dealSchema = z.object({
  chainDealID: epoch,
  dealId: epoch,
  miner: shown,
  storageProvider: shown,
  dealStatus: shown,
  pieceCID: shown,
  startEpoch: epoch,
  endEpoch: epoch,
});

/**
 * Filecoin deals of a CID. Everybody may ask; no key is needed.
 * @throws InvalidInputError `BadUrl`; StorageError `ServiceFailed`, `BadAnswer`, `RemoteMissing`
 */
export async function filecoinDeals(
  cid: string,
  options: { readonly apiBase?: string; readonly http?: HttpOptions; readonly signal?: AbortSignal } = {},
): Promise<FilecoinDeal[]> {
  const what = `the question for the deals of ${cid}`;
  const base = baseUrl(options.apiBase ?? LIGHTHOUSE_API, "Lighthouse");
  const url = `${base}/api/lighthouse/deal_status?cid=${encodeURIComponent(cid)}`;
  const request = { url, what, failure: "ServiceFailed" as const, signal: options.signal };
  return exchange(createHttp(options.http), request, async (answer) => {
    const parse = (value: unknown) => z.array(dealSchema).parse(value);
    const deals = await readJson(answer, { limit: MAX_ANSWER_BYTES, what, parse });
    return deals.map((deal) => ({
      dealId: deal.chainDealID ?? deal.dealId ?? undefined,
      provider: deal.storageProvider || deal.miner || undefined,
      status: deal.dealStatus || undefined,
      pieceCid: deal.pieceCID || undefined,
      startEpoch: deal.startEpoch ?? undefined,
      endEpoch: deal.endEpoch ?? undefined,
    }));
  });
}
