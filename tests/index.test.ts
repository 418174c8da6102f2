import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ListingKind } from "@skynet/contracts";
import { startChild, type SkyNetChild } from "@skynet/node";
import { encode, encodeMarketMetadata, keccak256, toHex, type Hex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestChain, testSpec, type TestChain } from "../packages/contracts/src/test-chain.ts";
import { fundParties, postTestJob } from "../packages/contracts/src/test-job.ts";
import { eventsOf, skynet } from "./support/cli.ts";

let chain: TestChain;
let folder: string;
let rpcUrl: string;
const children: SkyNetChild[] = [];

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-index-cli-"));
  chain = await startTestChain(4);
  rpcUrl = chain.anvil.rpcUrl;
  await fundParties(chain.parties, 10_000_000n);
});

afterAll(async () => {
  await Promise.all(children.map((child) => child.stop()));
  await chain.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const file = (name: string) => path.join(folder, name);

function startIndex(data: string, ...more: string[]): SkyNetChild {
  const child = startChild(["index", "--rpc", rpcUrl, "--data", file(data), "--port", "0", ...more]);
  children.push(child);
  return child;
}

const urlOf = async (child: SkyNetChild): Promise<string> => String((await child.event("listening")).url);

async function post(name: string): Promise<Hex> {
  const requester = chain.parties[0]!;
  const meta = encode({ name });
  return (await requester.post(testSpec(requester, { metaHash: toHex(keccak256(meta)) }), meta)).jobId;
}

const env = (more: Record<string, string> = {}) => ({ env: { SKYNET_HOME: file("home"), ...more } });

async function jobsOf(...args: string[]) {
  const { code, stdout, stderr } = await skynet(["job", "list", "--json", ...args], env());
  expect(code, stderr).toBe(0);
  return eventsOf(stdout).find(({ event }) => event === "result")!.jobs as { jobId: Hex; name: string }[];
}

/** Waits until an index answers with the newest block. */
async function caughtUp(url: string): Promise<void> {
  const head = Number(await chain.parties[0]!.blockNumber());
  for (;;) {
    const status = (await (await fetch(`${url}/v1/status`)).json()) as { block: { number: number } | null };
    if ((status.block?.number ?? -1) >= head) return;
    await sleep(50);
  }
}

describe("commands with and without an index", () => {
  let url: string;
  let whole: Hex;
  let mnist: Hex;

  beforeAll(async () => {
    const job = await postTestJob(chain.parties);
    await job.join();
    await job.ready();
    await job.round();
    whole = job.jobId;
    mnist = await post("Fashion-MNIST for tests");
    url = await urlOf(startIndex("index"));
    await caughtUp(url);
  });

  it("both say the same of every job", async () => {
    const [indexed, read] = [await jobsOf("--index", url), await jobsOf("--rpc", rpcUrl)];
    expect(indexed.map(({ jobId }) => jobId)).toEqual([whole, mnist]);
    // the chain's reader takes only complete metadata for metadata; the index shows what can be read
    expect(read.map((job) => ({ ...job, name: "" }))).toEqual(
      indexed.map((job) => expect.objectContaining({ ...commonOf(job, read), name: "" })),
    );
  });

  /** The fields that the chain's description has. */
  const commonOf = (job: object, [example]: object[]) =>
    Object.fromEntries(Object.entries(job).filter(([name]) => name in example!));

  it("searches, filters and shows", async () => {
    expect((await jobsOf("--index", url, "--search", "mnist fash")).map(({ jobId }) => jobId)).toEqual([mnist]);
    expect(await jobsOf("--index", url, "--search", "nothing like it")).toEqual([]);
    expect(await jobsOf("--index", url, "--active")).toHaveLength(2);
    expect((await jobsOf("--rpc", rpcUrl, "--search", whole.slice(0, 12))).map(({ jobId }) => jobId)).toEqual([whole]);
    const shown = await skynet(["job", "show", mnist.slice(0, 14), "--index", url], env());
    expect(shown.stdout).toContain("Fashion-MNIST for tests");
    const fromEnvironment = await skynet(["job", "list"], env({ SKYNET_INDEX: url }));
    expect(fromEnvironment.stdout).toContain("Fashion-MNIST");
    expect(fromEnvironment.stderr).not.toContain("reading the chain");
    const missing = await skynet(["job", "show", "0xfffffffffffffffff", "--index", url], env());
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("the index has no job")]);
  });

  it("data and models for sale: the same list, the same search", async () => {
    const seller = chain.parties[0]!;
    const hash = (text: string) => toHex(keccak256(new TextEncoder().encode(text)));
    const terms = { licence: 1, token: seller.addresses.testToken, bond: 0n, keyCommit: hash("k"), aux: hash("a") };
    const digits = {
      version: 1,
      kind: "data",
      description: "Zehn Ziffern",
      bytes: 5_000,
      samples: 100,
      shape: [28, 28] as number[],
    } as const;
    for (const name of ["Digits of one hand", "Clothes"])
      await seller.catalog.list({
        ...terms,
        kind: ListingKind.DATA,
        price: 1_500_000n,
        contentRoot: hash(name),
        cid: "bafydata",
        meta: toHex(encodeMarketMetadata({ ...digits, name, classes: 10, batchSize: 10 })),
      });
    const model = {
      ...terms,
      kind: ListingKind.MODEL,
      price: 7n,
      contentRoot: hash("m"),
      cid: "bafymodel",
      meta: "0xff",
    } as const;
    await seller.catalog.list(model);
    await caughtUp(url);
    const listed = async (kind: string, ...args: string[]) => {
      const { code, stdout, stderr } = await skynet([kind, "list", "--json", ...args], env());
      expect(code, stderr).toBe(0);
      return eventsOf(stdout).find(({ event }) => event === "result")!.listings as { name: string }[];
    };
    const indexed = await listed("data", "--index", url);
    expect(indexed).toMatchObject([{ name: "Digits of one hand", price: "1500000" }, { name: "Clothes" }]);
    expect(indexed).toEqual(await listed("data", "--rpc", rpcUrl));
    expect(await listed("model", "--index", url)).toEqual(await listed("model", "--rpc", rpcUrl));
    for (const source of [
      ["--index", url],
      ["--rpc", rpcUrl],
    ])
      expect(await listed("data", ...source, "--search", "ziffern hand")).toMatchObject([
        { name: "Digits of one hand" },
      ]);
    const table = await skynet(["data", "list", "--index", url], env());
    expect(table.stdout).toContain("1.5 ");
  });

  it("without one the chain is read, and a line says so", async () => {
    const { code, stderr } = await skynet(["job", "list", "--rpc", rpcUrl], env());
    expect(code).toBe(0);
    expect(stderr).toContain("no index is configured (--index or SKYNET_INDEX): reading the chain");
  });

  it("one that does not answer is an error that says what to do", async () => {
    const { code, stdout, stderr } = await skynet(["job", "list", "--index", "http://127.0.0.1:1", "--json"], env());
    expect(code).toBe(1);
    expect(eventsOf(stdout)).toMatchObject([{ event: "error", code: "IndexUnreachable" }]);
    expect(stderr).toContain("leave it out to read the chain");
    const strange = await skynet(["job", "list", "--index", rpcUrl, "--json"], env());
    expect(eventsOf(strange.stdout)[0]!.code).toMatch(/^Index(Answer|Unreachable)$/);
  });

  it("a hostile name cannot steer the terminal", async () => {
    const id = await post("\u001b]0;owned\u0007\u001b[2J\u202Ereversed");
    await caughtUp(url);
    const { stdout } = await skynet(["job", "list", "--index", url], env());
    expect(stdout).toContain(id.slice(0, 10));
    // oxlint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/[\u001b\u0007\u202E]/);
  });
});

describe("skynet index", () => {
  it("ends cleanly, goes on where it was, and is built again when told to", async () => {
    const first = startIndex("life");
    const url = await urlOf(first);
    await first.event("ready");
    await caughtUp(url);
    const ended = once(first.process, "exit");
    first.process.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(fs.readdirSync(file("life"))).toEqual(["index.sqlite"]);

    const before = await jobsOf("--rpc", rpcUrl);
    for (const more of [[], ["--rebuild"]]) {
      const next = startIndex("life", ...more);
      await next.event("ready");
      const list = await jobsOf("--index", await urlOf(next));
      expect(list.map(({ jobId }) => jobId)).toEqual(before.map(({ jobId }) => jobId));
      await next.stop();
    }
  });

  it("one folder and one port belong to one index", async () => {
    const url = await urlOf(startIndex("mine"));
    const same = await skynet(["index", "--rpc", rpcUrl, "--data", file("mine"), "--port", "0"], env());
    expect([same.code, same.stderr]).toEqual([1, expect.stringContaining("another SkyNet process")]);
    const port = new URL(url).port;
    const taken = await skynet(["index", "--rpc", rpcUrl, "--data", file("other"), "--port", port], env());
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining(`port ${port} is in use`)]);
  });

  it.each([
    [["--port", "70000"], 2, "whole number"],
    [["--rpc", "http://127.0.0.1:1"], 1, "no chain answers"],
    [["--listen", "not-an-address"], 1, "cannot listen"],
  ])("%j is refused", async (args, code, message) => {
    const result = await skynet(["index", "--rpc", rpcUrl, "--data", file("refused"), "--port", "0", ...args], env());
    expect([result.code, result.stderr]).toEqual([code, expect.stringContaining(message)]);
  });

  it("a chain without the contracts, and an index of another chain, are refused", async () => {
    const { startAnvil } = await import("@skynet/contracts");
    const empty = await startAnvil({ dataDir: file("empty"), blockTimeSeconds: 0, chainId: 99 });
    const result = await skynet(["index", "--rpc", empty.rpcUrl, "--data", file("empty-index"), "--port", "0"], env());
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining("of this version")]);
    const url = await urlOf(startIndex("of-31337"));
    const list = await skynet(["job", "list", "--rpc", empty.rpcUrl, "--index", url], env());
    expect([list.code, list.stderr]).toEqual([1, expect.stringContaining("follows chain 31337, not chain 99")]);
    await empty.stop();
  });

  it("the devnet has one, which its commands use", async () => {
    const home = file("devnet-home");
    const devnet = startChild(["devnet", "--workers", "0"], {
      env: { ...process.env, SKYNET_HOME: home, SKYNET_INDEX: undefined },
    });
    children.push(devnet);
    const { index } = await devnet.event("ready");
    expect(index).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const { code, stdout } = await skynet(["job", "list"], { env: { SKYNET_HOME: home } });
    expect([code, stdout.trim()]).toEqual([0, "there are no such jobs on this chain yet"]);
    await devnet.stop();
    await expect(fetch(String(index))).rejects.toThrow();
  });
});
