import fs from "node:fs/promises";
import path from "node:path";
import { createChain, type Chain } from "@skynet/contracts";
import { createKeystore, startChild, type SkyNetChild } from "@skynet/node";
import { fromHex, toHex, type Hex } from "@skynet/protocol";
import { createTestClient, http } from "viem";
import { generatePrivateKey, privateKeyToAddress } from "viem/accounts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeAccess, describeJob } from "../packages/node/src/roles/describe-job.ts";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { writeTinyJob } from "./support/tiny-job.ts";

const SKY = 10n ** 6n;
let network: TestNetwork;
let chain: Chain;
const workers: SkyNetChild[] = [];

interface Worker {
  readonly address: Hex;
  readonly process: SkyNetChild;
  /** The first event of this kind about this job. */
  told(name: string, jobId: Hex): Promise<Record<string, unknown>>;
}

async function startWorker(name: string, ...flags: readonly string[]): Promise<Worker> {
  const key = generatePrivateKey();
  const address = privateKeyToAddress(key).toLowerCase() as Hex;
  const [keystore, passphrase] = ["json", "passphrase"].map((ending) => path.join(network.folder, `${name}.${ending}`));
  await createKeystore(keystore!, fromHex(key), "pass", 1024);
  await fs.writeFile(passphrase!, "pass\n");
  await createTestClient({ mode: "anvil", transport: http(network.rpcUrl) }).setBalance({ address, value: 10n ** 18n });
  await chain.mint(1_000n * SKY, address);
  const connection = ["--rpc", network.rpcUrl, "--relay", network.relay, "--data", path.join(network.folder, name)];
  const wallet = ["--keystore", keystore!, "--passphrase-file", passphrase!];
  const child = startChild(["worker", ...connection, ...wallet, ...flags]);
  workers.push(child);
  const told: Worker["told"] = (kind, jobId) =>
    new Promise((resolve) => {
      child.onEvent((event) => {
        if (event.event === kind && event.jobId === jobId) resolve(event);
      });
    });
  await child.event("ready");
  return { address, process: child, told };
}

/** Starts `skynet train` on a tiny job whose text was changed. */
async function train(name: string, options: Parameters<typeof writeTinyJob>[1], change: (text: string) => string) {
  const file = await writeTinyJob(path.join(network.folder, name), options);
  await fs.writeFile(file, change(await fs.readFile(file, "utf8")));
  const child = network.train(file, path.join(network.folder, `${name}-requester`));
  const { jobId } = (await child.event("posted")) as { jobId: Hex };
  return { child, jobId, file };
}

beforeAll(async () => {
  network = await startTestNetwork(0);
  chain = await createChain({ rpcUrl: network.rpcUrl, privateKey: toHex(await network.requesterKey()) });
}, 60_000);
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await network.close();
}, 60_000);

describe("workers and jobs find each other", () => {
  it("by requirements, by a price that rises to what a worker asks, and by admission", async () => {
    const far = await startWorker("far", "--region", "us");
    const near = await startWorker("near", "--region", "eu", "--min-price", "5");
    const rising = (text: string, workers: string) =>
      text
        .replace("pricePerRound: 10", "pricePerRound: { from: 2, to: 8 }")
        .replace(
          "workers: { count: 1,",
          `workers: { admission: requester, allow: ["${near.address}"], ${workers}count: 1,`,
        );
    const { child, jobId, file } = await train(
      "rising",
      { workers: 1, rounds: 1, windows: { join: 40 } },
      (text) => `${rising(text, "challenge: 60s, ")}requirements: { regions: [eu], memoryGiB: 0.1, cores: 1 }\n`,
    );
    expect(await child.event("budget")).toMatchObject({
      most: "8500000",
      about: "5500000",
      basis: expect.stringMatching(/half-way up/) as unknown,
    });
    expect(await far.told("refused", jobId)).toMatchObject({
      code: "RequirementsNotMet",
      reason: expect.stringMatching(/the region must be eu, not us/) as unknown,
    });
    expect(await near.told("waiting", jobId)).toMatchObject({ code: "PriceTooLow" });
    // Whoever leads the job may go and come back while it waits for workers.
    child.process.kill("SIGKILL");
    const again = network.train(file, path.join(network.folder, "rising-requester"));
    expect((await again.event("posted")).jobId).toBe(jobId);
    const joined = await near.told("joined", jobId);
    expect(joined.proveMs).toBeGreaterThan(0);
    expect(await again.event("summary", 60_000)).toMatchObject({ outcome: "COMPLETED" });
    const { state, spec } = await chain.job(jobId);
    expect(await describeJob(chain, jobId)).toMatchObject({ offers: "2 TEST rising to 8 TEST" });
    expect(describeAccess(spec.admitter, await chain.meta(jobId))).toEqual({
      requirements: "0.1 GiB, 1 cores, in eu",
      admission: `by ${spec.requester}`,
    });
    expect(state.workers).toEqual([near.address]);
    expect(state.price).toBeGreaterThanOrEqual(5n * SKY);
    expect(state.price).toBeLessThan(spec.priceMax);
    expect(await chain.worker(far.address)).toMatchObject({ registered: false });

    // Now there is a job to learn from; and another worker is admitted.
    const next = await train("listed", { workers: 1, rounds: 1, windows: { join: 10 } }, (text) => rising(text, ""));
    expect((await next.child.event("budget")).basis).toMatch(/latest 1 jobs/);
    expect(await far.told("refused", next.jobId)).toMatchObject({
      code: "NotAdmitted",
      reason: expect.stringMatching(/NotListed/) as unknown,
    });
    await next.child.stop();
  }, 180_000);

  it("not when a machine would be too slow: real steps and a real proof are timed before it joins", async () => {
    const worker = await startWorker("slow");
    const { child, jobId } = await train(
      "hurried",
      { workers: 1, rounds: 1, windows: { join: 20, prove: 1 } },
      (text) => text.replace("{ segment: 2,", "{ segment: 4, auditSegments: 2,"),
    );
    const refused = await worker.told("refused", jobId);
    expect(refused).toMatchObject({ code: "TooSlow", reason: expect.stringMatching(/proofs of a round/) as unknown });
    expect(await chain.worker(worker.address)).toMatchObject({ registered: false });
    expect((await chain.job(jobId)).state.workers).toEqual([]);
    await child.stop();
  }, 120_000);
});
