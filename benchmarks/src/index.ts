// How fast skynet index reads 10,000 jobs from a chain, and how fast it answers searches over HTTP.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createChain, jobBoardAbi, startAnvil, type Chain } from "@skynet/contracts";
import { openIndex, type IndexClient } from "@skynet/indexer";
import { startChild } from "@skynet/node";
import { budgetOf, encode, keccak256, toHex, type Hex, type JobSpec } from "@skynet/protocol";
import { encodeFunctionData, zeroAddress, zeroHash } from "viem";

const JOBS = 10_000;
const JOBS_PER_BLOCK = 100;
const SEARCHES = 2_000;
/** First account of anvil's public test mnemonic: the chain signs for it. */
const POSTER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

const subjects = ["fashion", "digits", "street signs", "leaves", "x-ray", "satellite", "handwriting", "birds", "cells"];
const models = ["mlp", "perceptron", "wide network", "deep network", "classifier", "tiny model", "baseline"];
const places = ["zürich", "nairobi", "quito", "hanoi", "oslo", "lagos", "lima", "kyoto", "tartu", "porto", "perth"];

/** Names with words of different frequency. */
const nameOf = (i: number) =>
  `${subjects[i % subjects.length]} ${models[i % models.length]} ${places[i % places.length]} run ${i}`;

const metadataOf = (i: number): Uint8Array =>
  encode({
    version: 1,
    name: nameOf(i),
    arithmetic: "fixed",
    verification: "quorum",
    modelCid: `bafkreimodel${i}`,
    manifestCid: `bafkreimanifest${i}`,
    batchSize: 128,
    learningRate: 0.5,
    initialSeed: keccak256(new TextEncoder().encode(String(i))),
  });

function specOf(requester: Chain, meta: Uint8Array): JobSpec {
  const window = 1_000;
  return {
    requester: requester.address,
    seats: 4,
    minSeats: 2,
    rounds: 2,
    maxFails: 2,
    mode: 0,
    auditSteps: 1,
    steps: 8,
    token: requester.addresses.testToken,
    auditBps: 0,
    deliveryBps: 2_000,
    holdBps: 500,
    deadline: 0,
    joinWindow: window,
    readyWindow: window,
    commitWindow: window,
    drawWindow: window,
    proveWindow: window,
    mergeWindow: window,
    deliverWindow: window,
    segment: 1,
    averaging: 4,
    priceMin: 100n,
    priceMax: 100n,
    stake: 120n,
    missPenalty: 5n,
    mergeFee: 7n,
    nBatches: 60n,
    workUnits: 1_000n,
    stepVerifier: zeroHash,
    modelId: toHex(keccak256(meta)),
    dataRoot: toHex(keccak256(meta)),
    admitter: zeroAddress,
    beacon: zeroAddress,
    metaHash: toHex(keccak256(meta)),
  };
}

async function rpc(url: string, calls: readonly { method: string; params: readonly unknown[] }[]): Promise<void> {
  const body = JSON.stringify(calls.map((call, id) => ({ jsonrpc: "2.0", id, ...call })));
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const replies = (await response.json()) as { error?: { message: string } }[];
  const failed = replies.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw new Error(`the chain refused: ${failed.error!.message}`);
}

/** Posts the jobs as transactions of their own, many in a block; no part of what is measured. */
async function postJobs(chain: Chain): Promise<void> {
  const token = chain.addresses.testToken;
  const budget = BigInt(JOBS) * budgetOf(specOf(chain, metadataOf(0)));
  await chain.mint(budget);
  await chain.deposit(token, budget);
  await rpc(chain.rpcUrl, [{ method: "evm_setAutomine", params: [false] }]);
  for (let first = 0; first < JOBS; first += JOBS_PER_BLOCK) {
    const posts = Array.from({ length: JOBS_PER_BLOCK }, (_, i) => {
      const meta = metadataOf(first + i);
      const args = [specOf(chain, meta), toHex(meta)] as const;
      const data: Hex = encodeFunctionData({ abi: jobBoardAbi, functionName: "post", args });
      const call = { from: chain.address, to: chain.addresses.jobBoard, data, gas: "0xf4240" };
      return { method: "eth_sendTransaction", params: [call] };
    });
    await rpc(chain.rpcUrl, posts);
    await rpc(chain.rpcUrl, [{ method: "evm_mine", params: [] }]);
  }
}

/** Searches as people make them: frequent and rare words, beginnings of words, filters, ids. */
function searchOf(i: number, ids: readonly Hex[]): Parameters<IndexClient["jobs"]>[0] {
  const place = places[i % places.length]!;
  const subject = subjects[i % subjects.length]!;
  const kinds = [
    { q: subject },
    { q: `${subject} ${place}` },
    { q: place.slice(0, 3), active: true },
    { q: `run ${i * 4}` },
    { q: "run", phase: "OPEN" },
    { q: "no such word" },
    { q: ids[i % ids.length]!.slice(0, 12) },
  ] as const;
  return { ...kinds[i % kinds.length]!, limit: 20 };
}

async function measureSearches(client: IndexClient): Promise<number[]> {
  const ids = (await client.jobs({ limit: 200 })).items.map(({ id }) => id);
  const times: number[] = [];
  for (let i = 0; i < SEARCHES; i++) {
    const before = performance.now();
    await client.jobs(searchOf(i, ids));
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b);
}

const rounded = (value: number) => Math.round(value * 100) / 100;

/**
 * `indexSeconds`: from the start of the process to its first answer with all jobs. `searchMs`: the median over HTTP, with
 * the checks of the client.
 */
export async function run() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-bench-index-"));
  const anvil = await startAnvil({
    dataDir: path.join(folder, "chain"),
    blockTimeSeconds: 0,
    // writing 10,000 jobs every second would be what is measured
    stateIntervalSeconds: 3_600,
    extraArguments: ["--gas-limit", "1000000000"],
  });
  try {
    const chain = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: POSTER_KEY });
    await chain.deploy();
    console.error(`posting ${JOBS} jobs ...`);
    await postJobs(chain);
    const started = performance.now();
    const data = ["--data", path.join(folder, "index"), "--port", "0", "--rate", "10000"];
    const index = startChild(["index", "--rpc", anvil.rpcUrl, ...data]);
    await index.event("ready");
    const client = await openIndex({ url: String((await index.event("listening")).url) });
    const { jobs } = (await client.status()).counts;
    const indexSeconds = (performance.now() - started) / 1000;
    const times = await measureSearches(client);
    await index.stop();
    return {
      jobs,
      indexSeconds: rounded(indexSeconds),
      searchMs: rounded(times[Math.floor(times.length / 2)]!),
      searchP99Ms: rounded(times[Math.floor(0.99 * times.length)]!),
      searches: times.length,
      databaseBytes: fs.statSync(path.join(folder, "index", "index.sqlite")).size,
    };
  } finally {
    await anvil.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
