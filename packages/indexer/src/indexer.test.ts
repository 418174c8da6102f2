import { encode, fromHex, JobPhase, keccak256, toHex, type Hex, type JobSpec } from "@skynet/protocol";
import type { Chain } from "@skynet/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestChain, testSpec, type TestChain } from "../../contracts/src/test-chain.ts";
import { fundParties, postTestJob } from "../../contracts/src/test-job.ts";
import { startTestIndex, temporaryFolder, type TestIndex } from "./testing.ts";

let chain: TestChain;
let index: TestIndex;
let requester: Chain;

beforeAll(async () => {
  chain = await startTestChain(4);
  requester = chain.parties[0]!;
  await fundParties(chain.parties, 100_000_000n);
  index = await startTestIndex({ rpcUrl: chain.anvil.rpcUrl, dataDir: temporaryFolder() });
});

afterAll(async () => {
  await index.stop();
  await chain.stop();
});

const post = (meta: Uint8Array, change: Partial<JobSpec> = {}) =>
  requester.post(testSpec(requester, { metaHash: toHex(keccak256(meta)), ...change }), meta);

const synced = async () => index.reaches(await requester.blockNumber());

/** What the chain itself says about a job, in the fields of the index. */
async function fromChain(jobId: Hex) {
  const [{ spec, state, modelId }, money] = await Promise.all([requester.job(jobId), requester.money(jobId)]);
  return {
    id: jobId,
    requester: spec.requester,
    phase: Object.keys(JobPhase).find((name) => JobPhase[name as keyof typeof JobPhase] === state.phase),
    rounds: spec.rounds,
    round: state.round,
    seats: spec.seats,
    stopping: state.stopRequested,
    workers: state.workers,
    price: state.price,
    budget: money.budget,
    paid: money.paid,
    refunded: money.refunded,
    burned: money.burned,
    modelId,
  };
}

describe("what is indexed is what the chain says", () => {
  it("a whole job: seats, phases, weights and money, and the stakes of its workers", async () => {
    const job = await postTestJob(chain.parties);
    const agrees = async () => {
      await synced();
      expect(await index.client.job(job.jobId)).toMatchObject(await fromChain(job.jobId));
    };
    await agrees();
    await job.join();
    await agrees();
    await job.ready();
    await agrees();
    await job.round();
    await job.commit([0, 1]);
    await chain.advance(1_001);
    await requester.tick(job.jobId);
    await agrees();
    await job.attest([0, 1], 3n);
    await job.merge([0, 1]);
    await requester.accept(job.jobId);
    await agrees();
    await job.collect();
    await agrees();
    expect(await index.client.job(job.jobId)).toMatchObject({ phase: "SETTLED", outcome: "COMPLETED" });

    for (const worker of job.workers) {
      const { freeStake, lockedStake, leavingStake } = await worker.balances(worker.addresses.testToken);
      const indexed = await index.client.worker(worker.address);
      expect(indexed?.stakes).toEqual([
        {
          token: { address: worker.addresses.testToken, symbol: expect.any(String), decimals: 6 },
          free: freeStake,
          locked: lockedStake,
          leaving: leavingStake,
        },
      ]);
      expect(indexed?.publicKey).toBe((await worker.worker(worker.address)).publicKey);
    }
    expect((await index.client.worker(job.workers[2]!.address))?.penalties).toBe(1);
  });

  it("cancelled jobs, complaints and stops", async () => {
    const cancelled = await postTestJob(chain.parties);
    await requester.cancel(cancelled.jobId);
    const stopped = await postTestJob(chain.parties);
    await stopped.join();
    await stopped.ready();
    await requester.stop(stopped.jobId);
    await stopped.round();
    await requester.complain(stopped.jobId);
    await synced();
    for (const { jobId } of [cancelled, stopped])
      expect(await index.client.job(jobId)).toMatchObject(await fromChain(jobId));
    expect((await index.client.job(cancelled.jobId))?.outcome).toBe("CANCELLED");
    expect((await index.client.job(stopped.jobId))?.burned).toBeGreaterThan(0n);
    expect((await index.client.jobs({ outcome: "STOPPED" })).items.map(({ id }) => id)).toEqual([stopped.jobId]);
  });

  it("unstaking, payouts, epochs and capabilities", async () => {
    const worker = chain.parties[1]!;
    const token = worker.addresses.testToken;
    await worker.beginUnstake(token, 1_000n);
    await worker.beginUnstake(token, 234n);
    await worker.bumpEpoch();
    await worker.setPayout(worker.address, requester.address);
    await synced();
    const before = await index.client.worker(worker.address);
    expect(before).toMatchObject({ epoch: 1, payout: requester.address, stakes: [{ leaving: 1_234n }] });
    expect((await index.client.workers({ payout: requester.address })).items).toHaveLength(1);
    await worker.finishUnstake(token);
    await synced();
    const { freeStake, lockedStake } = await worker.balances(token);
    const { stakes } = (await index.client.worker(worker.address))!;
    expect(stakes).toMatchObject([{ free: freeStake, locked: lockedStake, leaving: 0n }]);
  });

  it("verifiers", async () => {
    const code = keccak256(new Uint8Array([1]));
    const description = {
      kind: 1,
      circuitHash: toHex(code),
      srsHash: toHex(code),
      weightsTag: toHex(code),
      weightBlocks: 3,
    };
    // creation code that returns 32 bytes of code
    const initcode = "0x60206000f3" as Hex;
    const { verifierId, at } = await requester.deployVerifier(description, initcode, {
      source: "cid of a model\u202E\0",
    });
    await synced();
    expect(await index.client.verifier(verifierId)).toMatchObject({
      address: at,
      registrar: requester.address,
      kind: "step",
      circuitHash: description.circuitHash,
      weightBlocks: 3,
      source: "cid of a model",
    });
    expect((await index.client.verifiers({ q: "model", kind: "step" })).items).toHaveLength(1);
    expect((await index.client.verifiers({ kind: "inference" })).items).toEqual([]);
  });
});

describe("metadata of strangers", () => {
  it.each([
    ["nothing", new Uint8Array()],
    ["random bytes", fromHex("0xff00fe8081a1c3")],
    ["half of a map", fromHex("0xa2646e616d65")],
    ["a text instead of a map", encode("just a text")],
    ["a name that is a number", encode({ name: 5 })],
    ["a name of control characters", encode({ name: "\u001b\u0000\u202E" })],
    ["nested deeper than any stack", new Uint8Array(15_000).fill(0x81)],
    ["an array that says it has 2^32 items", fromHex("0x9b00000000ffffffff")],
    ["60 kB", new Uint8Array(60_000).fill(0x61)],
    ["a key that is a prototype", encode({ __proto__x: 1, constructor: { name: "x" } })],
  ])("%s: the job is there, without a name", async (_what, meta) => {
    const { jobId } = await post(meta);
    await synced();
    const job = await index.client.job(jobId);
    expect(job).toMatchObject({ id: jobId, name: null, phase: "OPEN", metaBytes: meta.length });
    expect(job?.meta).toBe(meta.length > 16_384 ? null : toHex(meta));
    expect((await index.client.jobs({ prefix: jobId.slice(0, 20) })).items.map(({ id }) => id)).toEqual([jobId]);
  });

  it("names are cleaned and cut, and searched for in any part", async () => {
    const name = `\u001b[2J katzenbilder ${"x".repeat(300)}`;
    const { jobId } = await post(encode({ name, tags: [{ more: "Zürich, Größe" }] }));
    await synced();
    const { items } = await index.client.jobs({ q: "katzenb zurich größe" });
    expect(items.map(({ id }) => id)).toEqual([jobId]);
    expect(items[0]!.name).toMatch(/^\[2J katzenbilder x+…$/);
    expect(items[0]!.name).toHaveLength(120);
    expect((await index.client.jobs({ q: jobId.slice(0, 14) })).items.map(({ id }) => id)).toEqual([jobId]);
  });

  it("JSON is read as well", async () => {
    const { jobId } = await post(new TextEncoder().encode(JSON.stringify({ name: "written as json" })));
    await synced();
    expect((await index.client.jobs({ q: "json written" })).items).toMatchObject([
      { id: jobId, name: "written as json" },
    ]);
  });
});

describe("lists", () => {
  it("pages hold every job once, newest first, and filters agree with the chain", async () => {
    await synced();
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await index.client.jobs({ limit: 3, cursor });
      expect(page.items.length).toBeLessThanOrEqual(3);
      all.push(...page.items.map(({ id }) => id));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(all).toEqual((await requester.jobIds()).reverse());

    const worker = chain.parties[1]!.address;
    const seated = (await index.client.jobs({ worker, limit: 200 })).items;
    expect(seated.length).toBeGreaterThan(0);
    for (const { workers } of seated) expect(workers).toContain(worker);
    const open = (await index.client.jobs({ active: true, limit: 200 })).items;
    const settled = (await index.client.jobs({ active: false, limit: 200 })).items;
    expect(open.length + settled.length).toBe(all.length);
    expect(settled.every(({ phase }) => phase === "SETTLED")).toBe(true);
    expect((await index.client.jobs({ requester: worker })).items).toEqual([]);
    expect((await index.client.jobs({ requester: requester.address, phase: "OPEN", limit: 200 })).items).toEqual(open);
  });
});
