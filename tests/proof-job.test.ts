import fs from "node:fs/promises";
import path from "node:path";
import { createChain, startAnvil, type Chain } from "@skynet/contracts";
import {
  checkBeacon,
  compareVerifier,
  ensureVerifier,
  generateOwnVerifier,
  startTrainer,
  type SkyNetChild,
} from "@skynet/node";
import { toHex, type Hex } from "@skynet/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endProofs } from "./support/absence.ts";
import { silentUi, startTestNetwork, type TestNetwork } from "./support/network.ts";
import { tinyCircuit, tinyModel, writeTinyJob, type TinyJob } from "./support/tiny-job.ts";

let network: TestNetwork;
let chain: Chain;
beforeAll(async () => {
  network = await startTestNetwork(4);
  chain = await createChain({ rpcUrl: network.rpcUrl, privateKey: toHex(await network.requesterKey()) });
}, 60_000);
afterAll(() => network.close(), 60_000);

async function start(name: string, options: TinyJob = {}): Promise<SkyNetChild> {
  return network.train(await writeTinyJob(path.join(network.folder, name), options));
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
  return (await requester.event("summary", 300_000)) as unknown as ProofSummary;
}

/** Kills the worker when it sees this phase of the job's first round. */
function killIn(worker: SkyNetChild, job: Hex, phase: string): Promise<void> {
  return new Promise((resolve) => {
    worker.onEvent((event) => {
      if (event.event !== "phase" || event.jobId !== job || event.phase !== phase || event.round !== 0) return;
      if (worker.process.killed) return;
      worker.process.once("exit", () => resolve());
      worker.process.kill("SIGKILL");
    });
  });
}

const TOKEN = 1_000_000n;

/** Creates a contract of 32 bytes that answers 1 to everything. */
const ALWAYS_TRUE: Hex = `0x6020600c60003960206000f3600160005260206000f3${"00".repeat(22)}`;

describe("jobs in proof mode on a local network of processes", () => {
  it(
    "abstain from rounds whose steps overflow, without a penalty; who has no job refuses one whose verifier on chain is another than it generates",
    { timeout: 300_000 },
    async () => {
      const requester = await start("overflow", { workers: 3, learningRate: 16, rounds: 1, maxFailedRounds: 1 });
      const { jobId } = (await requester.event("posted")) as { jobId: Hex };
      const abstained: Record<string, unknown>[] = [];
      for (const worker of network.workers)
        worker.onEvent((event) => event.event === "abstained" && abstained.push(event));
      // The fourth has time for another job, whose model the requester serves.
      await expect.poll(async () => (await chain.job(jobId)).state.workers.length, { timeout: 60_000 }).toBe(3);
      const { spec } = await chain.job(jobId);
      const { circuitHash, srsHash, weightsTag, weightBlocks, kind } = await chain.verifierEntry(spec.stepVerifier);
      const description = { circuitHash, srsHash, weightsTag, weightBlocks, kind };
      const { verifierId } = await chain.deployVerifier(description, ALWAYS_TRUE);
      await chain.deposit(spec.token, 100n * TOKEN);
      const forged = await chain.post({ ...spec, stepVerifier: verifierId }, await chain.meta(jobId));
      const refused = new Promise<void>((resolve) => {
        for (const worker of network.workers)
          worker.onEvent((event) => {
            const { event: name, jobId: about, reason } = event;
            if (name === "refused" && about === forged.jobId && String(reason).includes("another code")) resolve();
          });
      });
      await refused;
      await chain.cancel(forged.jobId);
      expect(await summaryOf(requester)).toMatchObject({
        outcome: "COMPLETED",
        statesIdentical: true,
        paid: "0",
        stakeBurned: "0",
        slashed: 0,
      });
      await expect.poll(() => abstained.length).toBe(3);
      for (const event of abstained) expect(event).toMatchObject({ code: "Overflow", round: 0 });
    },
  );

  it("need a stake that makes faking steps a loss, and say how much", { timeout: 60_000 }, async () => {
    const requester = await start("cheap", { stake: 5 });
    await expect(requester.event("posted")).rejects.toThrow("8.5 TEST are needed");
  });

  it(
    "pay every worker for rounds that were drawn, proven on chain and merged by the contract: also one that is killed before it proves and comes back; not one that stays away, which is slashed",
    { timeout: 400_000 },
    async () => {
      // Everybody commits; then nobody has to be fast, because the wait for the one that is gone is cut short.
      const windows = { commit: 120, prove: 600 };
      const requester = await start("paid", { workers: 4, minimum: 3, beacon: "blockhash", windows });
      const { jobId } = (await requester.event("posted")) as { jobId: Hex };
      const gone = killIn(network.workers[3]!, jobId, "DRAW");
      await killIn(network.workers[1]!, jobId, "DRAW");
      network.startWorker(1);
      await gone;
      await endProofs({ network, chain, jobId }, 0, 3);
      const summary = await summaryOf(requester);
      expect(summary).toMatchObject({ outcome: "COMPLETED", mode: "proof", segment: 2, rounds: 2, zk: true });
      expect(summary).toMatchObject({ proofs: 12, provenWorkerRounds: 6, slashed: 1 });
      expect(BigInt(summary.paid)).toBe(6n * 10n * TOKEN + TOKEN);
      expect(BigInt(summary.stakeBurned)).toBe(20n * TOKEN);
      expect(summary.gas.prove.count).toBe(6);
      expect(summary.gas.prove.mean).toBeGreaterThan(500_000);
      const [kept] = await fs.readdir(path.join(network.folder, "requester", "commitments"));
      expect(kept, "commitments for the next job on this data").toMatch(/^[0-9a-f]{64}\.bin$/);
      expect(await fs.readFile(summary.reportFile, "utf8")).toContain("2 proofs");
    },
  );
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
