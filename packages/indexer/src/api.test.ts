import http from "node:http";
import net from "node:net";
import type { Chain } from "@skynet/contracts";
import { encode, keccak256, toHex } from "@skynet/protocol";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestChain, testSpec, type TestChain } from "../../contracts/src/test-chain.ts";
import { fundParties } from "../../contracts/src/test-job.ts";
import { openIndex } from "./client/open-index.ts";
import { listJobs } from "./queries/jobs.ts";
import { matchOf } from "./queries/list.ts";
import { tables } from "./sources/index.ts";
import { openStore } from "./store/store.ts";
import { rawRequest, startTestIndex, temporaryFolder, type TestIndex } from "./testing.ts";

let chain: TestChain;
let index: TestIndex;
let requester: Chain;

beforeAll(async () => {
  chain = await startTestChain(1);
  requester = chain.parties[0]!;
  await fundParties(chain.parties, 100_000_000n);
  for (const name of ["first", "second", "third AND fourth"]) {
    const meta = encode({ name });
    await requester.post(testSpec(requester, { metaHash: toHex(keccak256(meta)) }), meta);
  }
  index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir: temporaryFolder() });
});

afterAll(async () => {
  await index.stop();
  await chain.stop();
});

const ask = (target: string, options?: Parameters<typeof rawRequest>[2]) => rawRequest(index.url, target, options);
const codeOf = ({ body }: { body: string }) => (JSON.parse(body) as { error: { code: string } }).error.code;

describe("searches", () => {
  it.each([
    '"',
    '""',
    "'",
    "*",
    "AND",
    "OR NOT",
    "NEAR(a b)",
    "first*",
    "^first",
    "search:first",
    "-first",
    "(first",
    "first)",
    '" OR search : "',
    "first; DROP TABLE jobs",
    "\0first",
    "{first second}",
    "first + second",
    "a\\",
    "💥",
    "%",
    "_",
    "\ud800",
  ])("%j is words and no syntax", async (q) => {
    const answer = await index.client.jobs({ q }).catch((error: unknown) => error);
    if (answer instanceof Error) expect(answer).toMatchObject({ code: "BadQuery" });
    else expect((answer as { items: unknown[] }).items.length).toBeLessThanOrEqual(3);
    expect((await index.client.status()).counts.jobs).toBe(3);
  });

  it("operators are words like others", async () => {
    expect((await index.client.jobs({ q: "third AND fourth" })).items).toHaveLength(1);
    expect((await index.client.jobs({ q: "first OR second" })).items).toHaveLength(0);
    expect((await index.client.jobs({ q: "FIR" })).items).toHaveLength(1);
    expect((await index.client.jobs({ q: "irst" })).items).toHaveLength(0);
  });

  it("any text gives an answer or BadQuery", async () => {
    const store = openStore({ dataDir: temporaryFolder(), tables, undoBlocks: 8 });
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (q) => {
        try {
          expect(listJobs(store.reader, { q, limit: 10 }).items).toEqual([]);
        } catch (error) {
          expect(error).toMatchObject({ code: "BadQuery" });
        }
      }),
      { numRuns: 500 },
    );
    store.close();
    expect(matchOf('a"b  c')).toBe('"a""b"* "c"*');
  });
});

describe("bad requests", () => {
  it.each([
    "cursor=x",
    "cursor=cDAx",
    "cursor=cC0x",
    "cursor=cDE7RFJPUA",
    "cursor=%00",
    "limit=0",
    "limit=201",
    "limit=-1",
    "limit=1e2",
    "limit=5&limit=6",
    "phase=open",
    "phase=9",
    "requester=0x12",
    "requester=%27",
    "active=yes",
    "mode=2",
    "prefix=zz",
    "unknown=1",
    "__proto__=1",
    `q=${"a".repeat(201)}`,
    "q=",
    "worker=0x",
    "constructor=1",
  ])("?%s is refused", async (query) => {
    const answer = await ask(`/v1/jobs?${query}`);
    expect(answer.status).toBe(400);
    expect(["BadQuery", "BadCursor"]).toContain(codeOf(answer));
  });

  it.each([
    ["/", 404],
    ["/v1", 404],
    ["/v1/jobs/", 404],
    ["//v1/jobs", 404],
    ["/v1/../../etc/passwd", 404],
    ["/v1/%2e%2e/%2e%2e/etc/passwd", 404],
    ["/v1/jobs/../../../index.sqlite", 404],
    ["/index.sqlite", 404],
    ["/v1/jobs/0x12", 400],
    ["/v1/jobs/%", 400],
    ["/v1/jobs/%00", 400],
    [`/v1/jobs/0x${"0".repeat(64)}`, 404],
    ["/v1/workers/..%2f..%2f", 400],
    ["/V1/JOBS", 404],
    [`/v1/jobs?q=${"a".repeat(3_000)}`, 414],
    ["/v1/jobs/__proto__", 400],
    ["http://other.example/v1/nothing", 404],
  ])("%s answers %d in JSON", async (target, status) => {
    const answer = await ask(target);
    expect(answer.status).toBe(status);
    expect(codeOf(answer)).toMatch(/^[A-Z]/);
  });

  it.each(["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "HEAD"])("%s is refused", async (method) => {
    const answer = await ask("/v1/jobs", { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe("GET, OPTIONS");
  });

  it("a body is refused", async () => {
    const answer = await ask("/v1/jobs", { headers: { "content-length": "5" }, body: "12345" });
    expect([answer.status, codeOf(answer)]).toEqual([400, "BodyNotAllowed"]);
    const chunked = await ask("/v1/jobs", { headers: { "transfer-encoding": "chunked" }, body: "12345" });
    expect([chunked.status, codeOf(chunked)]).toEqual([400, "BodyNotAllowed"]);
  });

  it("what is no HTTP at all ends its connection only", async () => {
    for (const bytes of [
      "\0\0\0\0",
      "GET /v1/jobs HTTP/9.9\r\n\r\n",
      `GET / HTTP/1.1\r\nA: ${"b".repeat(40_000)}\r\n\r\n`,
    ]) {
      const socket = net.connect(Number(new URL(index.url).port), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.end(bytes);
      await new Promise((resolve) => socket.once("close", resolve).resume());
    }
    expect((await index.client.status()).counts.jobs).toBe(3);
  });
});

describe("who may ask", () => {
  it.each([
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "10.0.0.1",
    "[::2]",
    "0.0.0.0",
    "a@127.0.0.1:x",
  ])("Host %j is refused: a stranger's page must not read", async (host) => {
    const answer = await ask("/v1/jobs", { headers: { host } });
    expect([400, 403]).toContain(answer.status);
    expect(answer.body).not.toContain("requester");
  });

  it.each(["localhost", "LOCALHOST:1", "127.0.0.1:9", "127.1.2.3", "[::1]:80"])(
    "Host %s is this machine",
    async (host) => {
      expect((await ask("/v1/status", { headers: { host } })).status).toBe(200);
    },
  );

  it("pages of this machine may read, others may not", async () => {
    for (const origin of ["http://localhost:5173", "http://127.0.0.1", "https://[::1]:8443"])
      expect((await ask("/v1/jobs", { headers: { origin } })).headers["access-control-allow-origin"]).toBe(origin);
    for (const origin of ["https://evil.example", "null", "http://localhost.evil.example", "file://"])
      expect((await ask("/v1/jobs", { headers: { origin } })).headers["access-control-allow-origin"]).toBeUndefined();
    const preflight = await ask("/v1/jobs", { method: "OPTIONS", headers: { origin: "http://localhost:1" } });
    expect(preflight.headers).toMatchObject({ "access-control-allow-methods": "GET", vary: "Origin" });
    expect(preflight.status).toBe(204);
  });

  it("a public index answers to every name and page", async () => {
    const open = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir: temporaryFolder(), listen: "0.0.0.0" });
    const url = open.url.replace("0.0.0.0", "127.0.0.1");
    const answer = await rawRequest(url, "/v1/jobs", {
      headers: { host: "index.example", origin: "https://a.example" },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBe("*");
    await open.stop();
  });

  it("a flood gets 429 with Retry-After, and only the flooding address", async () => {
    const slow = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir: temporaryFolder(), perSecond: 3 });
    const answers = await Promise.all(Array.from({ length: 60 }, () => rawRequest(slow.url, "/v1/jobs")));
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(30);
    expect(refused.length).toBeGreaterThanOrEqual(30);
    expect(Number(refused[0]!.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    expect(codeOf(refused[0]!)).toBe("TooManyRequests");
    await expect(openIndex({ url: slow.url })).rejects.toMatchObject({ code: "TooManyRequests" });
    const { port } = new URL(slow.url);
    const elsewhere = await new Promise<number>((resolve, reject) => {
      http
        .get({ hostname: "127.0.0.1", port, path: "/v1/jobs", localAddress: "127.0.0.9" }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        })
        .on("error", reject);
    });
    expect(elsewhere).toBe(200);
    await slow.stop();
  });
});

describe("the description", () => {
  interface Described {
    openapi: string;
    paths: Record<
      string,
      { get: { parameters: { name: string; in: string }[]; responses: Record<string, { content: unknown }> } }
    >;
  }

  it("names every path that answers, with its parameters", async () => {
    const description = JSON.parse((await ask("/openapi.json")).body) as Described;
    expect(description.openapi).toBe("3.1.0");
    for (const [path, { get }] of Object.entries(description.paths)) {
      const answer = await ask(path.replace("{id}", `0x${"1".repeat(64)}`));
      expect(answer.status, path).not.toBe(500);
      expect(Object.keys(get.responses)).toContain(String(answer.status));
      for (const { name, in: place } of get.parameters) {
        if (place !== "query") continue;
        expect((await ask(`${path}?${name}=%01`)).status, `${path} ${name}`).toBe(400);
      }
    }
    expect(Object.keys(description.paths)).toContain("/v1/jobs/{id}");
    const jobs = JSON.stringify(description.paths["/v1/jobs"]!.get.responses["200"]!.content);
    expect(jobs).toContain('"items"');
    expect(jobs).toContain('"budget"');
  });
});

describe("sizes and ends", () => {
  it("a page ends before it is too large", async () => {
    const store = openStore({ dataDir: temporaryFolder(), tables, undoBlocks: 8 });
    const hash = (i: number) => toHex(keccak256(new Uint8Array([i])));
    await store.write({ hashes: [{ number: 1, hash: hash(0) }], final: true }, async (rows) => {
      const zero = "0x";
      for (let i = 0; i < 150; i++) {
        rows.insert("jobs", {
          id: hash(i),
          block: 1,
          tx: zero,
          requester: zero,
          token: zero,
          mode: 0,
          seats: 256,
          rounds: 1,
          phase: 1,
          outcome: 0,
          round: 0,
          stopping: 0,
          price_min: "0",
          price_max: "0",
          stake: "0",
          price: "0",
          budget: "0",
          paid: "0",
          refunded: "0",
          burned: "0",
          model: zero,
          verifier: zero,
          data_root: zero,
          zero_knowledge: 0,
          meta_bytes: 0,
          spec: "{}",
          search: "full",
        });
        for (let seat = 0; seat < 256; seat++)
          rows.insert("seats", { job: hash(i), seat, worker: hash(seat).slice(0, 42) });
      }
    });
    const seen = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = listJobs(store.reader, { q: "full", limit: 200, cursor });
      expect(JSON.stringify(page).length).toBeLessThan(600_000);
      for (const { id } of page.items) seen.add(id);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(seen.size).toBe(150);
    store.close();
  });

  it("a port in use and a strange address are clear errors", async () => {
    const options = { rpcUrl: chain.anvil.rpcUrl, dataDir: temporaryFolder() };
    const taken = Number(new URL(index.url).port);
    await expect(startTestIndex({ ...options, port: taken })).rejects.toMatchObject({ code: "PortInUse" });
    await expect(startTestIndex({ ...options, listen: "203.0.113.7" })).rejects.toMatchObject({ code: "BadListen" });
  });

  it("the end waits for no idle connection", async () => {
    const short = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir: temporaryFolder() });
    const socket = net.connect(Number(new URL(short.url).port), "127.0.0.1");
    socket.on("error", () => undefined);
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.write("GET /v1/jobs HTTP/1.1\r\nHost: loc");
    const before = performance.now();
    await short.stop();
    expect(performance.now() - before).toBeLessThan(4_000);
    await expect(fetch(short.url)).rejects.toThrow();
  });
});
