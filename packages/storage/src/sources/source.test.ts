import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openTestFolder, type TestFolder } from "../testing-files.ts";
import { crashDownloads } from "./crashes.ts";
import { httpGet } from "./http-get.ts";
import { guardedLookup, isPublicAddress } from "./public-address.ts";
import { fetchSource, type FetchSourceOptions } from "./source.ts";

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const content = Buffer.from(Array.from({ length: 400_000 }, (_, i) => `${i},${i % 10}\n`).join(""));
let folder: TestFolder;
let server: http.Server;
let origin: string;
let requests: http.IncomingMessage[];
let handler: Handler;

beforeAll(async () => {
  folder = await openTestFolder();
  server = http.createServer((request, response) => {
    requests.push(request);
    handler(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  requests = [];
  handler = serve(content, '"v1"');
});

/** Serves bytes as servers do that can go on: ETag, Range, If-Range. Breaks the line after `cut` bytes. */
function serve(bytes: Uint8Array, etag: string, { cut }: { cut?: number } = {}): Handler {
  return ({ headers }, response) => {
    const from = headers["if-range"] === etag ? Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0) : 0;
    const range = from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { etag, "content-length": bytes.length - from, ...range });
    if (cut === undefined) response.end(bytes.subarray(from));
    else response.write(bytes.subarray(from, from + cut), () => response.destroy());
  };
}

let names = 0;
const urlOf = () => `${origin}/data-${names++}.csv?token=secret`;
const fetchUrl = (url: string, options: Partial<FetchSourceOptions> = {}) =>
  fetchSource(url, { folder: folder.path, allowPrivate: true, wait: async () => undefined, ...options });
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable("it did not fail"),
    (error: { code: string; message: string; hint?: string }) => error,
  );

describe("downloads", () => {
  it("brings a file once, with progress, under a name that keeps its ending", async () => {
    const url = urlOf();
    const seen: [number, number | undefined][] = [];
    const file = await fetchUrl(url, { onProgress: (...progress) => seen.push(progress) });
    expect((await fs.readFile(file)).equals(content)).toBe(true);
    expect(path.basename(file)).toMatch(/^[0-9a-f]{16}-data-\d+\.csv$/);
    expect(seen.at(-1)).toEqual([content.length, content.length]);
    handler = (_, response) => response.writeHead(500).end();
    expect(await fetchUrl(url)).toBe(file);
    expect(requests).toHaveLength(1);
  });

  it("downloads again where that is asked for, and keeps what it has until that has come", async () => {
    const url = urlOf();
    const file = await fetchUrl(url);
    handler = (_, response) => response.writeHead(404).end();
    expect(await failure(fetchUrl(url, { refresh: true }))).toMatchObject({ code: "DownloadFailed" });
    expect((await fs.readFile(file)).equals(content)).toBe(true);
    handler = serve(Buffer.from("new"), '"v2"');
    expect(await fetchUrl(url, { refresh: true })).toBe(file);
    expect(await fs.readFile(file, "utf8")).toBe("new");
  });

  it("notices that somebody changed the file since, and brings it again", async () => {
    const url = urlOf();
    const file = await fetchUrl(url);
    await fs.writeFile(file, Buffer.from(content).fill("x", 10, 20));
    await fetchUrl(url);
    expect((await fs.readFile(file)).equals(content)).toBe(true);
  });

  it("goes on after broken lines where they broke", async () => {
    handler = serve(content, '"v1"', { cut: 1_000_000 });
    const file = await fetchUrl(urlOf());
    expect((await fs.readFile(file)).equals(content)).toBe(true);
    const parts = Math.ceil(content.length / 1_000_000);
    expect(requests.length).toBeGreaterThanOrEqual(parts);
    expect(requests.slice(1).every(({ headers }) => headers.range !== undefined)).toBe(true);
  });

  it("starts anew when the file changed between two attempts", async () => {
    const changed = Buffer.from(content).reverse();
    handler = (request, response) => {
      serve(content, '"v1"', { cut: 500_000 })(request, response);
      handler = serve(changed, '"v2"');
    };
    expect((await fs.readFile(await fetchUrl(urlOf()))).equals(changed)).toBe(true);
  });

  it.each([
    ["has another ETag", { etag: '"v2"' }],
    ["has none", {}],
    ["says another size", { etag: '"v1"', size: 7 }],
  ])("does not mix two versions when a part %s: such servers do not know If-Range", async (_what, said) => {
    const changed = Buffer.from(content).reverse();
    const { etag, size = changed.length } = said as { etag?: string; size?: number };
    handler = (request, response) => {
      serve(content, '"v1"', { cut: 500_000 })(request, response);
      handler = ({ headers }, next) => {
        const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
        const range = from > 0 ? { "content-range": `bytes ${from}-${changed.length - 1}/${size}` } : {};
        next.writeHead(from > 0 ? 206 : 200, { ...range, ...(etag !== undefined && { etag }) });
        next.end(changed.subarray(from));
      };
    };
    expect((await fs.readFile(await fetchUrl(urlOf()))).equals(changed)).toBe(true);
    expect(requests[1]!.headers.range).toBeDefined();
  });

  it("gives up where every part is of another version, instead of beginning anew for ever", async () => {
    let version = 0;
    handler = (request, response) => {
      const etag = `"${version++}"`;
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const range = from > 0 ? { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` } : {};
      response.writeHead(from > 0 ? 206 : 200, { etag, "content-length": content.length - from, ...range });
      response.write(content.subarray(from, from + 1000), () => response.destroy());
    };
    expect(await failure(fetchUrl(urlOf()))).toMatchObject({ code: "DownloadFailed" });
  });

  it.skipIf(process.platform === "win32")("keeps what it brought for its owner alone", async () => {
    const place = path.join(folder.path, "downloads");
    await fs.mkdir(place, { mode: 0o755 });
    const file = await fetchUrl(urlOf(), { folder: place });
    const modes = await Promise.all([place, file, `${file}.json`].map(async (it) => (await fs.stat(it)).mode & 0o777));
    expect(modes).toEqual([0o700, 0o600, 0o600]);
  });

  it("starts anew where the server says nothing that tells versions apart", async () => {
    handler = (_, response) => {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 300_000), () => response.destroy());
      handler = (__, next) => next.end(content);
    };
    expect((await fs.readFile(await fetchUrl(urlOf()))).equals(content)).toBe(true);
    expect(requests.every(({ headers }) => headers.range === undefined)).toBe(true);
  });

  it("waits as the server asks, and longer each time where it does not", async () => {
    const waits: number[] = [];
    const answers = [
      { status: 429, headers: { "retry-after": "7" } },
      { status: 503, headers: { "retry-after": new Date(1_000_000_000_000 + 5000).toUTCString() } },
      { status: 503, headers: {} },
      { status: 500, headers: { "retry-after": "999999" } },
    ];
    handler = (request, response) => {
      const answer = answers.shift();
      if (answer === undefined) serve(content, '"v1"')(request, response);
      else response.writeHead(answer.status, answer.headers).end();
    };
    const wait = async (ms: number) => void waits.push(ms);
    await fetchUrl(urlOf(), { wait, nowMs: () => 1_000_000_000_000 });
    expect(waits).toEqual([7000, 5000, 4000, 120_000]);
  });

  it("gives up after six attempts that brought nothing, and keeps what came", async () => {
    const url = urlOf();
    handler = serve(content, '"v1"', { cut: 0 });
    expect(await failure(fetchUrl(url))).toMatchObject({ code: "DownloadFailed" });
    expect(requests).toHaveLength(6);
    handler = serve(content, '"v1"', { cut: 2_000_000 });
    const stop = new AbortController();
    const onProgress = (bytes: number) => bytes >= 1_500_000 && stop.abort(new Error("enough"));
    expect((await failure(fetchUrl(url, { signal: stop.signal, onProgress }))).message).toBe("enough");
  });

  it.each([
    [404, /answered 404/],
    [403, /answered 403/],
  ])("does not ask again after %d, and tells no secrets of the URL", async (status, message) => {
    handler = (_, response) => response.writeHead(status).end();
    const error = await failure(fetchUrl(urlOf()));
    expect(error).toMatchObject({ code: "DownloadFailed", message: expect.stringMatching(message) });
    expect(error.message).not.toContain("secret");
    expect(requests).toHaveLength(1);
  });

  it("stops at the largest size that is allowed, announced or not", async () => {
    expect(await failure(fetchUrl(urlOf(), { maxBytes: 1000 }))).toMatchObject({ code: "TooLarge" });
    handler = (_, response) => void response.write(content);
    expect(await failure(fetchUrl(urlOf(), { maxBytes: 1000 }))).toMatchObject({ code: "TooLarge" });
  });

  it("counts a line without a byte as broken", async () => {
    handler = (_, response) => {
      response.writeHead(200, { etag: '"v1"', "content-length": content.length }).write(content.subarray(0, 1000));
      handler = serve(content, '"v1"');
    };
    expect((await fs.readFile(await fetchUrl(urlOf(), { idleMs: 200 }))).equals(content)).toBe(true);
  });

  it("goes on after its process was killed at any byte", async () => {
    const { kills, resumed } = await crashDownloads({ count: 2, seed: 1 });
    expect(kills).toBe(2);
    expect(resumed).toBeGreaterThan(0);
  });
});

describe("private addresses", () => {
  const get = (url: string, isAllowed = isPublicAddress) =>
    httpGet(new URL(url), { headers: {}, isAllowed, signal: AbortSignal.timeout(30_000) });

  it.each([
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:808:808]/",
    "http://[64:ff9b::a00:1]/",
    "http://[2002:a00:1::]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://localhost/",
    "http://user@127.0.0.1/",
  ])("%s is refused before anything is sent", async (url) => {
    expect(await failure(fetchSource(url, { folder: folder.path }))).toMatchObject({
      code: "PrivateAddress",
      hint: expect.stringContaining("--allow-private") as string,
    });
  });

  it("keeps to public addresses as the registries of addresses list them", () => {
    const outside = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"];
    const inside = [
      "172.16.0.1",
      "192.168.0.1",
      "100.64.0.1",
      "224.0.0.1",
      "255.255.255.255",
      "ff02::1",
      "fec0::1",
      "2001::1",
      "name",
    ];
    expect(outside.filter((address) => !isPublicAddress(address))).toEqual([]);
    expect(inside.filter(isPublicAddress)).toEqual([]);
  });

  it("refuses a redirect to a private address, one from the first to the last", async () => {
    handler = ({ url }, response) =>
      response.writeHead(302, { location: url === "/1" ? "http://127.0.0.2:9/" : "/1" }).end();
    const onlyOne = (address: string) => address === "127.0.0.1";
    expect(await failure(get(`${origin}/0`, onlyOne))).toMatchObject({ code: "PrivateAddress" });
    expect(requests).toHaveLength(2);
  });

  it("follows five redirects, and no more", async () => {
    handler = ({ url }, response) => {
      const left = Number(url!.slice(1));
      if (left === 0) response.end("here");
      else response.writeHead(307, { location: `/${left - 1}` }).end();
    };
    const answer = await get(`${origin}/5`, () => true);
    expect(answer.statusCode).toBe(200);
    answer.destroy();
    expect(await failure(get(`${origin}/6`, () => true))).toMatchObject({ code: "DownloadFailed" });
  });

  it("refuses a redirect to something that is no web address, and names and passwords in URLs", async () => {
    handler = (_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end();
    expect(await failure(get(origin, () => true))).toMatchObject({ code: "DownloadFailed" });
    const error = await failure(fetchUrl(`http://me:hidden@127.0.0.1:1/`));
    expect(error).toMatchObject({ code: "DownloadFailed" });
    expect(error.message).not.toContain("hidden");
  });

  it("checks the very addresses that are connected to, all of them", async () => {
    const names: Record<string, string[]> = {
      inner: ["10.0.0.1"],
      mixed: ["8.8.8.8", "127.0.0.1"],
      outer: ["8.8.8.8"],
    };
    const lookup = guardedLookup(isPublicAddress, (name, _, callback) =>
      callback(
        null,
        names[name]!.map((address) => ({ address, family: 4 })),
      ),
    );
    const ask = (name: string, all: boolean) =>
      new Promise((resolve, reject) =>
        lookup(name, { all }, (error, address) => (error === null ? resolve(address) : reject(error))),
      );
    expect(await failure(ask("inner", true))).toMatchObject({ code: "PrivateAddress" });
    expect(await failure(ask("mixed", false))).toMatchObject({ code: "PrivateAddress" });
    expect(await ask("outer", false)).toBe("8.8.8.8");
    expect(await ask("outer", true)).toEqual([{ address: "8.8.8.8", family: 4 }]);
  });
});

describe("other sources", () => {
  it("takes paths as they are, from a folder", async () => {
    expect(await fetchSource("a/b.csv", { folder: folder.path, base: "/base" })).toBe("/base/a/b.csv");
    expect(await fetchSource("file:///x/y%20z.csv", { folder: folder.path })).toBe("/x/y z.csv");
  });

  it("fetches CIDs by the function that it is given, once, and again when somebody changed the file", async () => {
    const cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    const asked: string[] = [];
    const fetchCid = async (name: string, file: string) => {
      asked.push(name);
      await fs.writeFile(file, "1,2\n");
    };
    const file = await fetchSource(`ipfs://${cid}`, { folder: folder.path, fetchCid });
    expect(await fetchSource(cid, { folder: folder.path, fetchCid })).toBe(file);
    expect(await fs.readFile(file, "utf8")).toBe("1,2\n");
    expect(asked).toEqual([cid]);
    await fs.writeFile(file, "1,3\n");
    await fetchSource(cid, { folder: folder.path, fetchCid });
    expect(await fs.readFile(file, "utf8")).toBe("1,2\n");
    expect(asked).toEqual([cid, cid]);
  });

  it.each(["ipfs://nonsense", "s3://bucket/file", "ftp://host/file", "http://"])("refuses %s", async (ref) => {
    const fetchCid = async () => undefined;
    expect(await failure(fetchSource(ref, { folder: folder.path, fetchCid }))).toMatchObject({
      code: "UnsupportedFile",
    });
  });
});
