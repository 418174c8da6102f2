import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createChain, startAnvil, type Anvil, type Chain } from "@skynet/contracts";
import { encode, keccak256, toHex, type Hex } from "@skynet/protocol";
import { createTestClient, http, publicActions } from "viem";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTestChain, testKey, testSpec, type TestChain } from "../../contracts/src/test-chain.ts";
import { fundParties, postTestJob } from "../../contracts/src/test-job.ts";
import { startTestIndex, temporaryFolder, until, type TestIndex } from "./testing.ts";

let chain: TestChain;
let index: TestIndex;
let dataDir: string;
let requester: Chain;

async function openScene(chainDir?: string): Promise<void> {
  chain = await startTestChain(4, chainDir);
  requester = chain.parties[0]!;
  await fundParties(chain.parties, 100_000_000n);
  dataDir = temporaryFolder();
  index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir });
}

beforeEach(() => openScene());

afterEach(async () => {
  await index.stop();
  await chain.stop();
  fs.rmSync(dataDir, { recursive: true, force: true });
});

const rpc = (anvil: Anvil) => createTestClient({ mode: "anvil", transport: http(anvil.rpcUrl) }).extend(publicActions);

async function postNamed(name: string, poster = requester): Promise<Hex> {
  const meta = encode({ name });
  return (await poster.post(testSpec(poster, { metaHash: toHex(keccak256(meta)) }), meta)).jobId;
}

/** Everything that an index says, apart from what depends on its own history. */
async function contentOf({ client }: TestIndex) {
  const jobs = [];
  for (const { id } of (await client.jobs({ limit: 200 })).items) jobs.push(await client.job(id));
  const [{ items: workers }, { items: verifiers }, status] = await Promise.all([
    client.workers({ limit: 200 }),
    client.verifiers({ limit: 200 }),
    client.status(),
  ]);
  return { jobs, workers, verifiers, counts: status.counts, block: status.block };
}

/** What an index built from nothing says. */
async function contentFromScratch() {
  const folder = temporaryFolder();
  const fresh = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir: folder });
  const content = await contentOf(fresh);
  await fresh.stop();
  fs.rmSync(folder, { recursive: true });
  return content;
}

async function settled(): Promise<void> {
  const head = await rpc(chain.anvil).getBlock();
  await until(async () => (await index.client.status()).block?.hash === head.hash);
}

describe("reorganisations", () => {
  it("orphaned posts, joins, phases, stakes and words are taken back, and what replaces them is indexed", async () => {
    const kept = await postTestJob(chain.parties);
    await settled();
    const undo = await chain.checkpoint();
    await kept.join();
    await kept.ready();
    await kept.commit();
    const gone = await postNamed("vanishing zebra");
    await chain.parties[3]!.beginUnstake(requester.addresses.testToken, 5_000n);
    await settled();
    expect((await index.client.job(kept.jobId))?.phase).toBe("PROVE");
    expect((await index.client.jobs({ q: "zebra" })).items).toHaveLength(1);

    await undo();
    const other = await postNamed("another giraffe");
    await kept.join([0]);
    await settled();
    expect(await index.client.job(gone)).toBeUndefined();
    expect((await index.client.jobs({ q: "zebra" })).items).toEqual([]);
    expect((await index.client.jobs({ q: "giraffe" })).items.map(({ id }) => id)).toEqual([other]);
    expect(await index.client.job(kept.jobId)).toMatchObject({ phase: "OPEN", workers: [chain.parties[1]!.address] });
    expect(await contentOf(index)).toEqual(await contentFromScratch());
    expect((await index.client.status()).reorgs).toBeGreaterThan(0);
  });

  it("a chain that becomes shorter takes rows back at once", async () => {
    const undo = await chain.checkpoint();
    const gone = await postNamed("short life");
    await settled();
    expect(await index.client.job(gone)).toBeDefined();
    await undo();
    await settled();
    expect(await index.client.job(gone)).toBeUndefined();
    expect(await contentOf(index)).toEqual(await contentFromScratch());
  });

  it("anvil's own reorganisation of several blocks, again and again", async () => {
    for (let i = 0; i < 4; i++) {
      await postNamed(`wave ${i}`);
      await postNamed(`crest ${i}`);
      await settled();
      await rpc(chain.anvil).request({ method: "anvil_reorg", params: [2 + (i % 2), []] } as never);
      await settled();
      expect(await contentOf(index)).toEqual(await contentFromScratch());
    }
  });

  it("one that happened while the index was stopped", async () => {
    const undo = await chain.checkpoint();
    const gone = await postNamed("unseen end");
    await settled();
    await index.stop();
    await undo();
    await postNamed("new history");
    await postNamed("more of it");
    index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir });
    await settled();
    expect(await index.client.job(gone)).toBeUndefined();
    expect(await contentOf(index)).toEqual(await contentFromScratch());
  });

  it("one that is deeper than what can be undone builds the index again", async () => {
    const undo = await chain.checkpoint();
    const gone = await postNamed("deep below");
    await rpc(chain.anvil).mine({ blocks: 300 });
    await settled();
    await undo();
    await rpc(chain.anvil).mine({ blocks: 310, interval: 2 });
    const other = await postNamed("on top");
    await settled();
    expect(index.notices.join()).toContain("deeper than 128 blocks");
    expect(await index.client.job(gone)).toBeUndefined();
    expect(await index.client.job(other)).toBeDefined();
    expect(await contentOf(index)).toEqual(await contentFromScratch());
  });
});

describe("another chain", () => {
  /** The chain of a new folder on the port of the old one. */
  async function replace(chainId?: number): Promise<Anvil> {
    const { port } = chain.anvil;
    await chain.anvil.stop();
    const anvil = await startAnvil({
      dataDir: temporaryFolder(),
      port,
      blockTimeSeconds: 0,
      ...(chainId === undefined ? {} : { chainId }),
    });
    const party = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: testKey(0) });
    await anvil.setBalance(party.address, 10n ** 24n);
    await party.deploy();
    return anvil;
  }

  it("under the same address while the index runs: it is built again", async () => {
    const old = await postNamed("of the old chain");
    await settled();
    const anvil = await replace();
    const party = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: testKey(0) });
    await party.mint(200_000_000n);
    await party.deposit(party.addresses.testToken, 100_000_000n);
    const fresh = await postNamed("of the new chain", party);
    await until(async () => (await index.client.job(fresh)) !== undefined);
    expect(await index.client.job(old)).toBeUndefined();
    expect(index.notices.join()).toContain("replaced");
    expect((await index.client.status()).counts).toMatchObject({ jobs: 1, workers: 0 });
    await anvil.stop();
  });

  it("while the index was stopped: it is built again", async () => {
    const old = await postNamed("of the old chain");
    await settled();
    await index.stop();
    const anvil = await replace();
    index = await startTestIndex({ rpcUrl: anvil.rpcUrl, dataDir });
    expect(await index.client.job(old)).toBeUndefined();
    expect(index.notices.join()).toContain("replaced");
    await anvil.stop();
  });

  it("of another id: a clear error, and the index keeps what it has", async () => {
    const old = await postNamed("kept");
    await settled();
    await index.stop();
    const other = await startAnvil({ dataDir: temporaryFolder(), blockTimeSeconds: 0, chainId: 31338 });
    const party = await createChain({ rpcUrl: other.rpcUrl, privateKey: testKey(0) });
    await other.setBalance(party.address, 10n ** 24n);
    await party.deploy();
    await expect(startTestIndex({ rpcUrl: other.rpcUrl, dataDir })).rejects.toMatchObject({ code: "WrongChain" });
    const rebuilt = await startTestIndex({ rpcUrl: other.rpcUrl, dataDir: temporaryFolder() });
    await expect(
      import("./client/open-index.ts").then(({ openIndex }) => openIndex({ url: rebuilt.url, chainId: 31337 })),
    ).rejects.toMatchObject({ code: "WrongIndex" });
    await rebuilt.stop();
    await other.stop();
    index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir });
    expect(await index.client.job(old)).toBeDefined();
  });

  it("the same chain after a restart of anvil goes on", async () => {
    await Promise.all([index.stop(), chain.stop()]);
    const folder = temporaryFolder();
    await openScene(folder);
    const old = await postNamed("before the restart");
    await settled();
    const { port } = chain.anvil;
    await chain.anvil.stop();
    await until(async () => (await index.client.status()).trouble !== null);
    const anvil = await startAnvil({ dataDir: folder, port, blockTimeSeconds: 0 });
    const later = await postNamed("after the restart");
    await until(async () => (await index.client.job(later)) !== undefined);
    expect(await index.client.job(old)).toBeDefined();
    expect(index.notices.join()).not.toContain("built again");
    await anvil.stop();
    fs.rmSync(folder, { recursive: true });
  });
});

describe("the folder", () => {
  const file = () => path.join(dataDir, "index.sqlite");

  it("a kill in the middle loses nothing and leaves nothing twice", async () => {
    for (let i = 0; i < 40; i++) {
      await postNamed(`job ${i}`);
      await rpc(chain.anvil).mine({ blocks: 10 });
    }
    await index.stop();
    const script = `
      import { startIndexer } from ${JSON.stringify(path.join(import.meta.dirname, "start.ts"))};
      const indexer = await startIndexer({ rpcUrl: ${JSON.stringify(chain.anvil.rpcUrl)}, rebuild: process.argv[1] === "0",
        dataDir: ${JSON.stringify(dataDir)}, signal: new AbortController().signal,
        onProgress: () => process.stdout.write("."), onNotice: () => undefined });
      await indexer.caughtUp;
      process.stdout.write("done");`;
    let killed = 0;
    for (let run = 0; run < 5; run++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script, String(run)], { stdio: "pipe" });
      let said = "";
      child.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        // a little after a batch: in the middle of the next one
        setTimeout(() => child.kill("SIGKILL"), run);
      });
      await once(child, "exit");
      if (!said.includes("done")) killed++;
    }
    expect(killed).toBeGreaterThan(1);
    index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir });
    await settled();
    expect((await index.client.status()).counts.jobs).toBe(40);
    expect(await contentOf(index)).toEqual(await contentFromScratch());
  });

  it("a layout of another version is built again by itself, a damaged file when it is told to", async () => {
    await postNamed("stays on the chain");
    await settled();
    await index.stop();
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(file());
    database.exec("UPDATE facts SET value = 'another' WHERE name = 'format'");
    database.close();
    index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir });
    expect(index.notices.join()).toContain("another version");
    expect((await index.client.jobs({ q: "stays" })).items).toHaveLength(1);
    await index.stop();

    fs.writeFileSync(file(), "this is no database, and never was one ".repeat(100));
    await expect(startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir })).rejects.toMatchObject({
      code: "IndexDamaged",
      hint: expect.stringContaining("--rebuild"),
    });
    index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir, rebuild: true });
    expect((await index.client.jobs({ q: "stays" })).items).toHaveLength(1);
  });
});
