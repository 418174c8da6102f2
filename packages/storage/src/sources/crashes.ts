import { fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createRandom } from "../blocks/testing-blocks.ts";
import { download } from "./download.ts";

const BYTES = 40 * 2 ** 20;
const PART_BYTES = 2 ** 18;

/**
 * Kills processes that download a file, each at a random byte, and lets the next one go on; `count` kills in all.
 * Whatever has the name of the file must be the file, and what was noted as being on disk is not sent again.
 * @throws Error on anything else
 */
export async function crashDownloads({
  count,
  seed,
  onProgress,
}: {
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}): Promise<{ kills: number; files: number; resumed: number; sentTwice: number }> {
  const random = createRandom(seed);
  const content = Buffer.from(Uint32Array.from({ length: BYTES / 4 }, (_, i) => i * 2654435761).buffer);
  const served = { bytes: 0, resumed: 0 };
  const server = await serve(content, served);
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "skynet-downloads-"));
  let kills = 0;
  let files = 0;
  try {
    while (kills < count) {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${files++}.csv`;
      for (let left = 1 + random(6); left > 0 && kills < count; left--) {
        await killAt(url, folder, random(BYTES));
        kills++;
        onProgress?.(kills);
        for (const name of await fs.readdir(folder))
          if (name.endsWith(".csv")) await expectContent(path.join(folder, name), content);
      }
      const file = await download(new URL(url), { folder, allowPrivate: true });
      await expectContent(file, content);
      await fs.rm(file);
    }
    return { kills, files, resumed: served.resumed, sentTwice: served.bytes - files * BYTES };
  } finally {
    server.closeAllConnections();
    server.close();
    await fs.rm(folder, { recursive: true });
  }
}

async function serve(content: Buffer, served: { bytes: number; resumed: number }): Promise<http.Server> {
  const server = http.createServer(async ({ headers }, response) => {
    const from = headers["if-range"] === '"1"' ? Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")![1]) : 0;
    if (from > 0) served.resumed++;
    const range = from > 0 ? { "content-range": `bytes ${from}-${BYTES - 1}/${BYTES}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { etag: '"1"', "content-length": BYTES - from, ...range });
    const parts = function* () {
      for (let at = from; at < BYTES; at += PART_BYTES) {
        const part = content.subarray(at, at + PART_BYTES);
        served.bytes += part.length;
        yield part;
      }
    };
    // Fails when the process at the other end is killed.
    await pipeline(Readable.from(parts()), response).catch(() => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** Runs a download in a process of its own, and kills it when it has so many bytes, if it still runs then. */
async function killAt(url: string, folder: string, bytes: number): Promise<void> {
  const child = fork(path.join(import.meta.dirname, "..", "testing-download.ts"), [url, folder]);
  child.on("message", (done) => {
    if (Number(done) >= bytes) child.kill("SIGKILL");
  });
  await once(child, "exit");
}

async function expectContent(file: string, content: Buffer): Promise<void> {
  if (!(await fs.readFile(file)).equals(content)) throw new Error(`${file} is not what was served`);
}
