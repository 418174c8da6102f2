import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openIndex, type IndexClient } from "./client/open-index.ts";
import { startIndexer, type Indexer, type IndexerOptions } from "./start.ts";

/** An index of the tests, with what it said. */
export interface TestIndex extends Indexer {
  readonly client: IndexClient;
  readonly notices: readonly string[];
  /** Waits until the index has this block, or one after it. */
  reaches(block: bigint): Promise<void>;
  stop(): Promise<void>;
}

export const temporaryFolder = (): string => fs.mkdtempSync(path.join(os.tmpdir(), "skynet-index-"));

/** Waits for something that must come. */
export async function until(holds: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("what was waited for did not come");
    await sleep(50);
  }
}

/** Starts an index, and waits until it has caught up. */
export async function startTestIndex(
  options: Omit<IndexerOptions, "signal" | "onNotice"> & { readonly perSecond?: number },
): Promise<TestIndex> {
  const controller = new AbortController();
  const notices: string[] = [];
  const indexer = await startIndexer({
    perSecond: 1_000,
    ...options,
    onNotice: (text) => void notices.push(text),
    signal: controller.signal,
  });
  await indexer.caughtUp;
  const client = await openIndex({ url: indexer.url });
  return {
    ...indexer,
    client,
    notices,
    reaches: (block) => until(async () => BigInt((await client.status()).block?.number ?? -1) >= block),
    stop: async () => {
      controller.abort();
      await indexer.done;
    },
  };
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A request with exactly this path, method, headers and body: `fetch` would mend them. */
export function rawRequest(
  url: string,
  target: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, path: target, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}
