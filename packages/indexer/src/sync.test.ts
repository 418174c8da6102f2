import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Chain } from "@skynet/contracts";
import { encode, keccak256, toHex, type Hex } from "@skynet/protocol";
import { createTestClient, http as viemHttp } from "viem";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startTestChain, testSpec, type TestChain } from "../../contracts/src/test-chain.ts";
import { fundParties } from "../../contracts/src/test-job.ts";
import { startTestIndex, temporaryFolder, until } from "./testing.ts";

let chain: TestChain;
let requester: Chain;
let proxy: http.Server | undefined;

beforeAll(async () => {
  chain = await startTestChain(1);
  requester = chain.parties[0]!;
  await fundParties(chain.parties, 100_000_000n);
  for (let i = 0; i < 5; i++) await post(`before ${i}`);
  await rpc().mine({ blocks: 400 });
  for (let i = 0; i < 5; i++) await post(`after ${i}`);
});

afterAll(() => chain.stop());

afterEach(() => {
  proxy?.closeAllConnections();
  proxy?.close();
});

const rpc = () => createTestClient({ mode: "anvil", transport: viemHttp(chain.anvil.rpcUrl) });

async function post(name: string): Promise<Hex> {
  const meta = encode({ name });
  return (await requester.post(testSpec(requester, { metaHash: toHex(keccak256(meta)) }), meta)).jobId;
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly { readonly fromBlock: Hex; readonly toBlock: Hex }[];
}

type Verdict =
  | { readonly status?: number; readonly error?: { readonly code: number; readonly message: string } }
  | undefined;

/** An endpoint in front of the chain, with the habits of public ones: `judge` may change or refuse a call before it is passed on. */
async function endpoint(judge: (call: Call) => Verdict | Promise<Verdict>): Promise<string> {
  proxy = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = JSON.parse(Buffer.concat(chunks).toString()) as Call;
    const verdict = await judge(call);
    if (verdict !== undefined) {
      const reply = { jsonrpc: "2.0", id: call.id, error: verdict.error };
      return response.writeHead(verdict.status ?? 200).end(JSON.stringify(reply));
    }
    const headers = { "content-type": "application/json" };
    const answer = await fetch(chain.anvil.rpcUrl, { method: "POST", headers, body: JSON.stringify(call) });
    return response.writeHead(answer.status).end(await answer.text());
  });
  await new Promise<void>((resolve) => proxy!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

const blocksOf = ({ params: [filter] }: Call) => Number(filter!.toBlock) - Number(filter!.fromBlock) + 1;

describe("endpoints with habits", () => {
  it("one that refuses more than seven blocks at once is asked for fewer", async () => {
    let refusals = 0;
    const rpcUrl = await endpoint((call) => {
      if (call.method !== "eth_getLogs" || blocksOf(call) <= 7) return undefined;
      refusals++;
      return { error: { code: -32005, message: "query exceeds max block range 7" } };
    });
    const progress: [number, number][] = [];
    const index = await startTestIndex({
      rpcUrl,
      dataDir: temporaryFolder(),
      onProgress: (done, total) => void progress.push([done, total]),
    });
    expect((await index.client.status()).counts.jobs).toBe((await requester.jobIds()).length);
    expect(refusals).toBeGreaterThan(0);
    const dones = progress.map(([done]) => done);
    expect(dones).toEqual([...dones].sort((a, b) => a - b));
    expect(progress.at(-1)![0]).toBe(progress.at(-1)![1]);
    await index.stop();
  });

  it("one that fails for a while is tried again, and the status says why", async () => {
    let broken = false;
    const rpcUrl = await endpoint(() =>
      broken ? { status: 500, error: { code: -32603, message: "internal trouble" } } : undefined,
    );
    const index = await startTestIndex({ rpcUrl, dataDir: temporaryFolder() });
    broken = true;
    const id = await post("posted during the trouble");
    await until(async () => (await index.client.status()).trouble !== null);
    expect(await index.client.job(id)).toBeUndefined();
    broken = false;
    await until(async () => (await index.client.job(id)) !== undefined);
    expect((await index.client.status()).trouble).toBeNull();
    expect(index.notices.filter((text) => text.includes("cannot be read"))).toHaveLength(1);
    await index.stop();
  });

  it("a reorganisation between two requests of one batch leaves nothing of the orphaned chain", async () => {
    const undo = await chain.checkpoint();
    const gone = await post("only on the orphaned chain");
    const other: Hex[] = [];
    const rpcUrl = await endpoint(async (call) => {
      // headers were read from the old chain, logs come from the new one
      if (call.method !== "eth_getLogs" || other.length > 0) return undefined;
      other.push("0x");
      await undo();
      await rpc().increaseTime({ seconds: 7 });
      other.push(await post("only on the new chain"));
      return undefined;
    });
    const index = await startTestIndex({ rpcUrl, dataDir: temporaryFolder() });
    expect(await index.client.job(other[1]!)).toMatchObject({ name: "only on the new chain" });
    expect(await index.client.job(gone)).toBeUndefined();
    await index.stop();
  });

  it("one that has fallen behind is waited for, and nothing is thrown away", async () => {
    let behind = false;
    const rpcUrl = await endpoint((call) => {
      const params = call.params as unknown[];
      if (behind && params[0] === "latest") params[0] = "0x5";
      return undefined;
    });
    const index = await startTestIndex({ rpcUrl, dataDir: temporaryFolder() });
    const before = (await index.client.status()).counts.jobs;
    behind = true;
    await until(async () => (await index.client.status()).trouble?.includes("far behind") === true);
    expect((await index.client.status()).counts.jobs).toBe(before);
    behind = false;
    const id = await post("after it has caught up");
    await until(async () => (await index.client.job(id)) !== undefined);
    expect(index.notices).toEqual([]);
    await index.stop();
  });
});
