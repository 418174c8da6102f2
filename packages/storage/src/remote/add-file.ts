import { cleanText } from "@skynet/protocol";
import { randomUUID } from "node:crypto";
import { z } from "zod";
import { StorageError } from "../errors.ts";
import { Retryable } from "./answer-error.ts";
import { exchange, readJson, type Http, type HttpRequest } from "./http.ts";
import { multipart } from "./multipart.ts";
import { isFileCid } from "./unixfs.ts";
import type { PartTarget } from "./upload.ts";

const MAX_ANSWER_BYTES = 1024 * 1024;
const addSchema = z.object({ Name: z.string(), Hash: z.string(), Size: z.union([z.string(), z.number()]) });

/**
 * The add call of the IPFS daemon, which Lighthouse speaks, too; of its parameters that service lets through cid-version
 * and wrap-with-directory.
 * @returns the CID, which is that of the bytes
 * @throws StorageError `UploadFailed`, `BadAnswer` when another CID is told every time, `WrongApiKey`, `QuotaExceeded`
 */
export async function addFile(
  { http, base, secret }: { readonly http: Http; readonly base: string; readonly secret?: string },
  { bytes, name, what, moved, signal }: Parameters<PartTarget["add"]>[0],
): Promise<string> {
  const form = multipart(name, bytes, `skynet-${randomUUID()}`);
  const request: HttpRequest = {
    url: `${base}/api/v0/add?wrap-with-directory=false&cid-version=1`,
    method: "POST",
    headers: form.headers,
    secret,
    what,
    failure: "UploadFailed",
    signal,
    body: (touch) => {
      let sent = 0;
      return form.body((length) => {
        touch(length);
        moved((sent += length));
      });
    },
  };
  return exchange(http, request, async (answer) => {
    const { Hash } = await readJson(answer, {
      limit: MAX_ANSWER_BYTES,
      what,
      parse: (value) => addSchema.parse(value),
    });
    if (await isFileCid(Hash, () => [bytes])) return Hash;
    throw new Retryable(
      new StorageError("BadAnswer", `${what}: the service stored something else, ${cleanText(Hash)}`, {
        hint: "try again; if it stays so, the service or a proxy before it changes files",
      }),
    );
  });
}
