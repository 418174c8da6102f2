import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as TestBeacon from "../generated/TestBeacon.ts";
import { startAnvil } from "./anvil.ts";
import { jobBoardAbi, workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { createChain } from "./chain/create.ts";
import type { ChainJobEvent } from "./chain/events.ts";
import type { Chain } from "./chain/types.ts";
import { skynetAddresses } from "./deployment/addresses.ts";
import { startTestChain, testKey, testMeta, testSpec } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties, postTestJob } from "./test-job.ts";

describe("the client", () => {
  let chain: TestChain;
  let parties: readonly Chain[];

  beforeAll(async () => {
    chain = await startTestChain(4);
    parties = chain.parties;
    await fundParties(parties);
  });
  afterAll(() => chain.stop());

  test("says both numbers when the budget exceeds the balance", async () => {
    const [requester] = parties as [Chain];
    const spec = testSpec(requester, { priceMax: 10n ** 9n });
    const { ledger } = await requester.balances(spec.token);
    await expect(requester.post(spec, testMeta)).rejects.toMatchObject({
      code: "InsufficientBalance",
      available: ledger,
      needed: 6n * 10n ** 9n + 14n,
    });
    await expect(requester.deposit(spec.token, 10n ** 20n)).rejects.toMatchObject({ code: "InsufficientBalance" });
    await expect(requester.withdraw(spec.token, ledger + 1n)).rejects.toMatchObject({ available: ledger });
  });

  test("names unknown jobs and unregistered workers", async () => {
    const [requester] = parties as [Chain];
    await expect(requester.job(`0x${"11".repeat(32)}`)).rejects.toMatchObject({ code: "UnknownJob" });
    expect(await requester.worker(requester.address)).toMatchObject({ registered: false, publicKey: undefined });
    const { registered, publicKey, payout } = await requester.worker(parties[1]!.address);
    expect([registered, publicKey?.length, payout]).toEqual([true, 130, parties[1]!.address]);
  });

  test("sends concurrent transactions of one account in order", async () => {
    const [requester] = parties as [Chain];
    const before = (await requester.balances(requester.addresses.testToken)).wallet;
    const receipts = await Promise.all(Array.from({ length: 12 }, () => requester.mint(1n)));
    expect(new Set(receipts.map(({ transactionHash }) => transactionHash)).size).toBe(12);
    expect((await requester.balances(requester.addresses.testToken)).wallet).toBe(before + 12n);
  });

  test("stops waiting when it is told to", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(parties[0]!.mint(1n, undefined, { signal })).rejects.toThrow("enough");
    await expect(parties[0]!.mint(1n)).resolves.toMatchObject({ status: "success" });
  });

  test("watches one job from any block and resumes", async () => {
    const job = await postTestJob(parties);
    await job.join([0]);
    const seen: ChainJobEvent[] = [];
    const stop = new AbortController();
    let next = 0n;
    const watching = job.requester.watch({
      jobId: job.jobId,
      fromBlock: 0n,
      intervalMs: 10,
      signal: stop.signal,
      onEvents: (events, nextBlock) => {
        seen.push(...events);
        next = nextBlock;
      },
    });
    while (seen.length < 2) await sleep(5);
    await job.join([1, 2]);
    while (!seen.some(({ name }) => name === "Assigned")) await sleep(5);
    stop.abort();
    await watching;
    expect(seen.map(({ name }) => name)).toEqual([
      "JobPosted",
      "Joined",
      "Joined",
      "Joined",
      "Assigned",
      "PhaseChanged",
    ]);
    expect(next).toBe((await job.requester.blockNumber()) + 1n);
    expect(await job.requester.events({ jobId: job.jobId, fromBlock: next })).toEqual([]);
  });

  test("deploys to the addresses that everybody computes, and again without effect", async () => {
    const before = await parties[0]!.blockNumber();
    await parties[1]!.deploy();
    expect(await parties[0]!.blockNumber()).toBe(before);
    expect(parties[0]!.addresses).toEqual(skynetAddresses());
  });
});

describe("the local chain", () => {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-anvil-"));
  afterAll(() => fs.rmSync(dataDir, { recursive: true, force: true }));

  test("keeps its state through a crash and a restart", async () => {
    const first = await startAnvil({ dataDir });
    const chain = await createChain({ rpcUrl: first.rpcUrl, privateKey: testKey(0) });
    await expect(chain.assertDeployed()).rejects.toMatchObject({ code: "NotDeployed" });
    await first.setBalance(chain.address, 10n ** 21n);
    await chain.deploy();
    await chain.mint(777n);
    const height = await chain.blockNumber();
    // the state is written every second
    await sleep(2_500);
    process.kill(first.pid, "SIGKILL");
    await first.stop();
    await expect(chain.now()).rejects.toMatchObject({ code: "ChainUnreachable" });

    const second = await startAnvil({ dataDir, port: first.port });
    try {
      await chain.assertDeployed();
      expect((await chain.balances(chain.addresses.testToken)).wallet).toBe(777n);
      expect(await chain.blockNumber()).toBeGreaterThanOrEqual(height);
      const elsewhere = path.join(dataDir, "elsewhere");
      const refused = startAnvil({ dataDir: elsewhere, port: first.port });
      await expect(refused).rejects.toMatchObject({ code: "PortInUse" });
    } finally {
      await second.stop();
    }
  });

  test("takes the place of a chain whose parent was killed", async () => {
    const folder = path.join(dataDir, "orphan");
    const module = path.join(import.meta.dirname, "anvil.ts");
    const script = `const { startAnvil } = await import(${JSON.stringify(module)});
console.log((await startAnvil({ dataDir: ${JSON.stringify(folder)} })).rpcUrl); setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [line] = await once(parent.stdout, "data");
    const orphan = await createChain({ rpcUrl: String(line).trim(), privateKey: testKey(0) });
    parent.kill("SIGKILL");
    await once(parent, "exit");
    expect(await orphan.blockNumber()).toBeGreaterThanOrEqual(0n);
    const next = await startAnvil({ dataDir: folder });
    await next.stop();
    await expect(orphan.blockNumber()).rejects.toMatchObject({ code: "ChainUnreachable" });
  });

  test("the same contracts live on other chains, with public windows, without test tokens and beacons", async () => {
    const anvil = await startAnvil({ dataDir: path.join(dataDir, "scroll"), chainId: 534352, blockTimeSeconds: 0 });
    try {
      const chain = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: testKey(0) });
      await anvil.setBalance(chain.address, 10n ** 21n);
      await chain.deploy();
      const { publicClient, walletClient } = await connect(anvil.rpcUrl, testKey(0));
      const { jobBoard, workerRegistry, testToken } = chain.addresses;
      const read = { address: jobBoard, abi: jobBoardAbi, functionName: "minWindow" } as const;
      expect(await publicClient.readContract(read)).toBe(900n);
      const unbonding = { address: workerRegistry, abi: workerRegistryAbi, functionName: "unbonding" } as const;
      expect(await publicClient.readContract(unbonding)).toBe(604_800n);
      expect(await publicClient.getCode({ address: testToken })).toBeUndefined();
      expect(await publicClient.getCode({ address: chain.addresses.testBeacon })).toBeUndefined();
      // whoever puts the test beacon there gets no values from it
      const { abi, bytecode } = TestBeacon;
      const hash = await walletClient.deployContract({ abi, bytecode });
      const { contractAddress } = await publicClient.waitForTransactionReceipt({ hash });
      const ticket = publicClient.readContract({ address: contractAddress!, abi, functionName: "ticket" });
      await expect(ticket).rejects.toThrow("OnlyDevelopmentChain");
      const args = [1n] as const;
      const value = publicClient.readContract({ address: contractAddress!, abi, functionName: "value", args });
      await expect(value).rejects.toThrow("OnlyDevelopmentChain");
    } finally {
      await anvil.stop();
    }
  });

  test("ends with its signal", async () => {
    const stop = new AbortController();
    const anvil = await startAnvil({ dataDir: path.join(dataDir, "other"), signal: stop.signal });
    stop.abort();
    await anvil.stop();
    expect(() => process.kill(anvil.pid, 0)).toThrow("ESRCH");
  });

  test("an address where nothing listens is a clear error", async () => {
    const unreachable = createChain({ rpcUrl: "http://127.0.0.1:9", privateKey: testKey(0) });
    await expect(unreachable).rejects.toMatchObject({ code: "ChainUnreachable" });
  });
});
