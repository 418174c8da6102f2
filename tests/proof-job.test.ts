import fs from "node:fs/promises";
import path from "node:path";
import { createChain, startAnvil } from "@skynet/contracts";
import {
  checkBeacon,
  compareVerifier,
  ensureVerifier,
  generateOwnVerifier,
  startTrainer,
  type SkyNetChild,
} from "@skynet/node";
import { toHex, type Hex } from "@skynet/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { silentUi, startTestNetwork, type TestNetwork } from "./support/network.ts";
import { tinyCircuit, tinyModel, writeTinyJob, type TinyJob } from "./support/tiny-job.ts";

let network: TestNetwork | undefined;
afterEach(async () => {
  await network?.close();
  network = undefined;
}, 60_000);

async function start(workers: number, options: TinyJob = {}) {
  network = await startTestNetwork(workers);
  const job = await writeTinyJob(path.join(network.folder, "job"), { workers, ...options });
  return { network, job, requester: network.train(job) };
}

interface ProofSummary {
  readonly outcome: string;
  readonly paid: string;
  readonly stakeBurned: string;
  readonly provenWorkerRounds: number;
  readonly proofs: number;
  readonly slashed: number;
  readonly reportFile: string;
  readonly gas: { readonly prove: { readonly count: number; readonly mean: number } };
}

async function summaryOf(requester: SkyNetChild): Promise<ProofSummary> {
  return (await requester.event("summary", 150_000)) as unknown as ProofSummary;
}

/** Kills the worker when it sees this phase of the first round. */
function killIn(worker: SkyNetChild, phase: string): Promise<void> {
  return new Promise((resolve) => {
    worker.onEvent((event) => {
      if (event.event !== "phase" || event.phase !== phase || event.round !== 0 || worker.process.killed) return;
      worker.process.once("exit", () => resolve());
      worker.process.kill("SIGKILL");
    });
  });
}

const TOKEN = 1_000_000n;

/** Creates a contract of 32 bytes that answers 1 to everything. */
const ALWAYS_TRUE: Hex = `0x6020600c60003960206000f3600160005260206000f3${"00".repeat(22)}`;

describe("a job in proof mode on a local network of processes", () => {
  it(
    "pays every worker for rounds that were drawn, proven on chain and merged by the contract",
    { timeout: 180_000 },
    async () => {
      const { network: net, requester } = await start(3, { beacon: "blockhash" });
      const summary = await summaryOf(requester);
      expect(summary).toMatchObject({ outcome: "COMPLETED", statesIdentical: true, mode: "proof", segment: 2 });
      expect(summary).toMatchObject({ proofs: 12, provenWorkerRounds: 6, slashed: 0, rounds: 2, zk: true });
      expect(BigInt(summary.paid)).toBe(6n * 10n * TOKEN + TOKEN);
      expect(summary.gas.prove.count).toBe(6);
      expect(summary.gas.prove.mean).toBeGreaterThan(500_000);
      const [kept] = await fs.readdir(path.join(net.folder, "requester", "commitments"));
      expect(kept, "commitments for the next job on this data").toMatch(/^[0-9a-f]{64}\.bin$/);
      expect(await fs.readFile(summary.reportFile, "utf8")).toContain("2 proofs");
    },
  );

  it(
    "lets a worker that is killed between commit and proof come back and prove in time",
    { timeout: 180_000 },
    async () => {
      const { network: net, requester } = await start(3, { rounds: 1, windows: { prove: 60 } });
      await killIn(net.workers[1]!, "DRAW");
      net.startWorker(1);
      const summary = await summaryOf(requester);
      expect(summary).toMatchObject({ outcome: "COMPLETED", provenWorkerRounds: 3, slashed: 0 });
      expect(BigInt(summary.paid)).toBe(3n * 10n * TOKEN + TOKEN / 2n);
    },
  );

  it("slashes a worker that stays away; the others are paid and the job completes", { timeout: 180_000 }, async () => {
    const { network: net, requester } = await start(4, { minimum: 3, windows: { prove: 25, commit: 25 } });
    await killIn(net.workers[2]!, "DRAW");
    const summary = await summaryOf(requester);
    expect(summary).toMatchObject({ outcome: "COMPLETED", provenWorkerRounds: 6, slashed: 1, rounds: 2 });
    expect(BigInt(summary.paid)).toBe(6n * 10n * TOKEN + TOKEN);
    expect(BigInt(summary.stakeBurned)).toBe(20n * TOKEN);
  });

  it("abstains from rounds whose steps overflow, without a penalty", { timeout: 120_000 }, async () => {
    const { network: net, requester } = await start(3, { learningRate: 16, rounds: 1, maxFailedRounds: 1 });
    const abstained = await Promise.all(net.workers.map((worker) => worker.event("abstained", 100_000)));
    for (const event of abstained) expect(event).toMatchObject({ code: "Overflow", round: 0 });
    const summary = await summaryOf(requester);
    expect(summary).toMatchObject({ outcome: "COMPLETED", paid: "0", stakeBurned: "0", slashed: 0 });
  });

  it(
    "is refused by workers when its verifier on chain is another one than they generate",
    { timeout: 180_000 },
    async () => {
      const { network: net, requester } = await start(3, { rounds: 1 });
      const { jobId } = (await requester.event("posted")) as { jobId: Hex };
      await summaryOf(requester);
      const chain = await createChain({ rpcUrl: net.rpcUrl, privateKey: toHex(await net.requesterKey()) });
      const { spec } = await chain.job(jobId);
      const { circuitHash, srsHash, weightsTag, weightBlocks, kind } = await chain.verifierEntry(spec.stepVerifier);
      const description = { circuitHash, srsHash, weightsTag, weightBlocks, kind };
      const { verifierId } = await chain.deployVerifier(description, ALWAYS_TRUE);
      const refused = new Promise<string>((resolve) => {
        net.workers[0]!.onEvent((event) => event.event === "refused" && resolve(String(event.reason)));
      });
      const forged = { ...spec, stepVerifier: verifierId };
      await chain.deposit(spec.token, 100n * TOKEN);
      await chain.post(forged, await chain.meta(jobId));
      expect(await refused).toContain("another code");
    },
  );

  it("needs a stake that makes faking steps a loss, and says how much", { timeout: 60_000 }, async () => {
    const { requester } = await start(3, { stake: 5 });
    await expect(requester.event("posted")).rejects.toThrow("8.5 TEST are needed");
  });
});

describe("the verifier of a model", () => {
  it("is deployed once, compared in every part, and refused when anything differs", { timeout: 60_000 }, async () => {
    const folder = await fs.mkdtemp(path.join((await import("node:os")).tmpdir(), "skynet-verifier-"));
    const anvil = await startAnvil({ dataDir: folder, blockTimeSeconds: 0 });
    const trainer = startTrainer();
    try {
      const chain = await createChain({ rpcUrl: anvil.rpcUrl, privateKey: FAUCET_KEY });
      await chain.deploy();
      const settings = { batchSize: 16, learningRate: 0.5, averaging: 4 };
      const proof = { chainId: chain.chainId, circuit: tinyCircuit };
      const shape = await trainer.load(tinyModel(), { ...settings, proof });
      const own = await generateOwnVerifier(trainer, shape.proof!);
      await expect(compareVerifier(chain, own, own.verifierId)).rejects.toMatchObject({ code: "WrongVerifier" });
      await ensureVerifier(chain, own, "", silentUi);
      await ensureVerifier(chain, own, "", silentUi);
      await compareVerifier(chain, own, own.verifierId);

      const other = { ...own.description, srsHash: own.description.circuitHash };
      const wrong = await chain.deployVerifier(other, own.initcode);
      await expect(compareVerifier(chain, own, wrong.verifierId)).rejects.toThrow("another reference string");
      const code = await chain.deployVerifier(own.description, ALWAYS_TRUE);
      await expect(compareVerifier(chain, own, code.verifierId)).rejects.toThrow("another code");

      await expect(trainer.load(tinyModel(), { ...settings, proof: { ...proof, chainId: 1 } })).rejects.toMatchObject({
        code: "InsecureReferenceString",
      });
      const { addresses } = chain;
      expect(() => checkBeacon(chain, { beacon: addresses.testBeacon })).not.toThrow();
      expect(() => checkBeacon({ ...chain, chainId: 1 }, { beacon: addresses.testBeacon })).toThrow(
        expect.objectContaining({ code: "BadBeacon" }),
      );
      expect(() => checkBeacon(chain, { beacon: addresses.ledger })).toThrow(
        expect.objectContaining({ code: "BadBeacon" }),
      );
    } finally {
      await trainer.close();
      await anvil.stop();
      await fs.rm(folder, { recursive: true, force: true });
    }
  });
});

/** First account of anvil's public test mnemonic. */
const FAUCET_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
