import { batchIndex, JobOutcome, JobPhase } from "@skynet/protocol";
import { zeroHash } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Chain } from "./chain/types.ts";
import type { ChainBalances } from "./chain/records.ts";
import { connect } from "./chain/connection.ts";
import { jobBoardAbi, ledgerAbi } from "./chain/abi.ts";
import { startTestChain, testKey, testMeta, testSpec } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { fundParties, modelAfter, postTestJob } from "./test-job.ts";
import type { TestJob } from "./test-job.ts";

let chain: TestChain;
let parties: readonly Chain[];
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(4);
  parties = chain.parties;
  await fundParties(parties);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const balancesOf = (party: Chain): Promise<ChainBalances> => party.balances(party.addresses.testToken);
const owned = ({ ledger, freeStake, lockedStake, leavingStake }: ChainBalances) =>
  ledger + freeStake + lockedStake + leavingStake;

async function ledgerTotal(): Promise<bigint> {
  const { publicClient } = await connect(chain.anvil.rpcUrl, testKey(0));
  const { ledger, testToken } = parties[0]!.addresses;
  return publicClient.readContract({ address: ledger, abi: ledgerAbi, functionName: "total", args: [testToken] });
}

/** I1, I6, I10: after all claims, every unit is with somebody or burned, and no stake is locked. */
async function expectSettledToTheUnit(job: TestJob, before: readonly bigint[]): Promise<void> {
  await job.collect();
  const money = await job.requester.money(job.jobId);
  expect(money.escrow).toBe(0n);
  expect(money.budget).toBe(money.paid + money.refunded + money.burned);
  const now = await Promise.all(parties.map(balancesOf));
  for (const { lockedStake } of now) expect(lockedStake).toBe(0n);
  const lost = before.reduce((a, b) => a + b) - now.map(owned).reduce((a, b) => a + b);
  expect(lost).toBe(money.burned + money.stakeBurned);
}

const ownedByAll = async () => (await Promise.all(parties.map(balancesOf))).map(owned);

describe("a job from start to end", () => {
  test("pays every unit of the budget", async () => {
    const before = await ownedByAll();
    const total = await ledgerTotal();
    const job = await postTestJob(parties);
    await job.join();
    const assigned = await job.view();
    expect(assigned.state.phase).toBe(JobPhase.READY);
    expect(assigned.state.workers).toEqual(job.workers.map(({ address }) => address));
    await job.ready();
    await job.round();
    expect((await job.view()).modelId).toBe(modelAfter(0));
    await job.round();
    expect((await job.view()).state.phase).toBe(JobPhase.DELIVER);
    await job.requester.accept(job.jobId);
    await expectSettledToTheUnit(job, before);
    expect(await ledgerTotal()).toBe(total);
    const money = await job.requester.money(job.jobId);
    expect(money).toMatchObject({ budget: 614n, paid: 614n, refunded: 0n, burned: 0n, stakeBurned: 0n });
    const now = await ownedByAll();
    expect(now.map((amount, i) => amount - before[i]!)).toEqual([-614n, 214n, 200n, 200n]);
    expect((await job.view()).state.outcome).toBe(JobOutcome.COMPLETED);
  });

  test("one public record names all workers", async () => {
    const job = await postTestJob(parties);
    await job.join();
    const [assigned] = (await job.requester.events({ jobId: job.jobId })).filter(({ name }) => name === "Assigned");
    expect(assigned!.args).toMatchObject({ workers: job.workers.map(({ address }) => address), price: 100n });
  });

  test("the id is known before the job is posted, and the metadata is bound to it", async () => {
    const requester = parties[0]!;
    const spec = testSpec(requester);
    const expected = await requester.nextJobId(spec);
    const { jobId } = await requester.post(spec, testMeta);
    expect(jobId).toBe(expected);
    expect(await requester.meta(jobId)).toEqual(testMeta);
    expect(await requester.nextJobId(spec)).not.toBe(expected);
    await expect(requester.post(spec, new Uint8Array([1]))).rejects.toMatchObject({ code: "BadMeta" });
    expect(await requester.jobIds()).toEqual([jobId]);
  });

  test("batches follow from the assignment", async () => {
    const job = await postTestJob(parties);
    await job.join();
    const { batchSeed, state, spec } = await job.view();
    const { publicClient } = await connect(chain.anvil.rpcUrl, testKey(0));
    for (const seat of [0, 2]) {
      const onChain = await publicClient.readContract({
        address: parties[0]!.addresses.jobBoard,
        abi: jobBoardAbi,
        functionName: "batchFor",
        args: [job.jobId, BigInt(seat), 1n, 5n],
      });
      expect(onChain).toBe(batchIndex(batchSeed, state.workers[seat]!, 1, 5, spec.nBatches));
    }
  });
});

const pass = () => chain.advance(1_001);

describe("timeout exits", () => {
  test("nobody joins: the whole budget returns", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties);
    await expect(job.requester.tick(job.jobId)).rejects.toMatchObject({ code: "TooEarly" });
    await job.join([0]);
    await pass();
    await expect(job.workers[1]!.join(job.jobId)).rejects.toMatchObject({ code: "TooLate" });
    await job.requester.tick(job.jobId);
    expect((await job.view()).state.outcome).toBe(JobOutcome.EXPIRED);
    await expectSettledToTheUnit(job, before);
    expect(await ownedByAll()).toEqual(before);
  });

  test("enough join: the clock ends at the highest price", async () => {
    const job = await postTestJob(parties, { priceMin: 50n });
    await job.join([0, 1]);
    await pass();
    await job.workers[2]!.tick(job.jobId);
    const { state } = await job.view();
    expect([state.phase, state.price, state.active]).toEqual([JobPhase.READY, 100n, 3n]);
    const names = (await job.requester.events({ jobId: job.jobId })).map(({ name }) => name);
    expect(names).toContain("Assigned");
  });

  test("not ready: everybody gets everything back", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties);
    await job.join();
    await job.ready([1]);
    await pass();
    await job.requester.tick(job.jobId);
    expect((await job.view()).state.outcome).toBe(JobOutcome.ABORTED);
    await expectSettledToTheUnit(job, before);
    expect(await ownedByAll()).toEqual(before);
  });

  test("a seat that is not ready is left out, a seat that misses a commit pays the penalty", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties, { minSeats: 2, rounds: 1 });
    await job.join();
    await job.ready([0, 1, 2]);
    await job.commit([0, 2]);
    await pass();
    await job.requester.tick(job.jobId);
    await job.attest([0, 2], 5n);
    await job.merge([0, 2]);
    await job.requester.accept(job.jobId);
    await expectSettledToTheUnit(job, before);
    const now = await ownedByAll();
    expect(now.map((amount, i) => amount - before[i]!)).toEqual([-207n, 107n, -5n, 100n]);
  });

  test("no attestation and no merge fail the round, and failed rounds end the job", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties, { rounds: 3 });
    await job.join();
    await job.ready();
    await job.commit();
    await pass();
    await job.requester.tick(job.jobId);
    expect((await job.view()).state).toMatchObject({ phase: JobPhase.COMMIT, round: 1, fails: 1 });
    await job.commit();
    await job.attest();
    await pass();
    await job.requester.tick(job.jobId);
    expect((await job.view()).state.outcome).toBe(JobOutcome.HALTED);
    await expectSettledToTheUnit(job, before);
    expect(await ownedByAll()).toEqual(before);
  });

  test("silence about the result is acceptance", async () => {
    const job = await postTestJob(parties, { rounds: 1 });
    await job.join();
    await job.ready();
    await job.round();
    await pass();
    await expect(job.requester.complain(job.jobId)).rejects.toMatchObject({ code: "TooLate" });
    await job.workers[0]!.tick(job.jobId);
    expect((await job.view()).state).toMatchObject({ phase: JobPhase.SETTLED, holdResult: 1 });
  });
});

describe("decisions of the requester", () => {
  test("cancel returns the budget and the stakes", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties);
    await job.join([0]);
    await expect(job.workers[0]!.cancel(job.jobId)).rejects.toMatchObject({ code: "NotRequester" });
    await job.requester.cancel(job.jobId);
    await expectSettledToTheUnit(job, before);
    expect(await ownedByAll()).toEqual(before);
  });

  test("stop ends after the round, which is paid", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties);
    await job.join();
    await job.ready();
    await job.requester.stop(job.jobId);
    await job.round();
    expect((await job.view()).state.outcome).toBe(JobOutcome.STOPPED);
    await job.requester.accept(job.jobId);
    await expectSettledToTheUnit(job, before);
    expect((await ownedByAll())[0]! - before[0]!).toBe(-307n);
  });

  test("a complaint burns the hold and enriches nobody", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties, { rounds: 1 });
    await job.join();
    await job.ready();
    await job.round();
    await job.requester.complain(job.jobId);
    await expect(job.workers[0]!.claimHold(job.jobId, 0)).rejects.toMatchObject({ code: "HoldBurned" });
    await expectSettledToTheUnit(job, before);
    expect(await job.requester.money(job.jobId)).toMatchObject({ budget: 307n, paid: 292n, refunded: 0n, burned: 15n });
  });

  test("keys are published while the job runs", async () => {
    const job = await postTestJob(parties);
    await expect(job.requester.publishKeys(job.jobId, 0n, new Uint8Array([1]))).rejects.toMatchObject({
      code: "WrongState",
    });
    await job.join();
    await expect(job.workers[0]!.publishKeys(job.jobId, 0n, new Uint8Array([1]))).rejects.toMatchObject({
      code: "NotRequester",
    });
    await job.requester.publishKeys(job.jobId, 0n, new Uint8Array([1, 2]));
    const [keys] = (await job.requester.events({ jobId: job.jobId })).filter(({ name }) => name === "KeysPublished");
    expect(keys!.args).toMatchObject({ epoch: 0n, cid: "0x0102" });
  });
});

describe("seats", () => {
  test("abstain costs no penalty, leave does; both can be sent by others", async () => {
    const job = await postTestJob(parties, { minSeats: 1 });
    await job.join();
    await job.ready();
    const [a, b, c] = job.workers as [Chain, Chain, Chain];
    const { jobId } = job;
    await expect(a.abstain(jobId, 1)).rejects.toMatchObject({ code: "WrongRound" });
    await c.abstainFor(jobId, 0, { seat: 0, signature: await a.signAbstain({ jobId, round: 0 }) });
    await c.leaveFor(jobId, { seat: 1, signature: await b.signLeave({ jobId, round: 0 }) });
    await c.commit(jobId, modelAfter(0), zeroHash);
    const { state } = await job.view();
    expect(state).toMatchObject({ phase: JobPhase.PROVE, abstained: 1n, active: 5n, stakes: [120n, 115n, 120n] });
    await c.release(jobId, 1);
    expect((await balancesOf(b)).lockedStake).toBe(0n);
  });

  test("not delivered: no delivery pay, and after two rounds no seat", async () => {
    const before = await ownedByAll();
    const job = await postTestJob(parties);
    await job.join();
    await job.ready();
    for (const round of [0, 1]) {
      await job.commit();
      await job.attest([0, 1], 3n);
      await chain.advance(1_001);
      await job.requester.tick(job.jobId);
      await job.merge([0, 1]);
      expect((await job.view()).state.round).toBe(round + 1);
    }
    await job.requester.accept(job.jobId);
    await expectSettledToTheUnit(job, before);
    const gain = (await ownedByAll()).map((amount, i) => amount - before[i]!);
    expect(gain).toEqual([-574n, 214n, 200n, 160n]);
    expect((await job.view()).state.active).toBe(3n);
  });

  test("two thirds must sign the merge, all of them for the same set and model", async () => {
    const job = await postTestJob(parties, { rounds: 1 });
    await job.join();
    await job.ready();
    await job.commit();
    await expect(job.attest([0])).rejects.toMatchObject({ code: "TooFewAttestations" });
    await job.attest();
    await expect(job.merge([0])).rejects.toMatchObject({ code: "TooFewAttestations" });
    await expect(job.merge([0, 0])).rejects.toMatchObject({ code: "DuplicateSeat" });
    await expect(job.merge([0, 1])).resolves.toBeUndefined();
  });

  test("a payout address of the requester cannot join, nor can the requester", async () => {
    const [requester, worker] = parties as [Chain, Chain];
    const job = await postTestJob(parties);
    await requester.register();
    await requester.addStake(requester.addresses.testToken, 1_000n);
    await expect(requester.join(job.jobId)).rejects.toMatchObject({ code: "RequesterCannotJoin" });
    await worker.setPayout(worker.address, requester.address);
    await expect(worker.join(job.jobId)).rejects.toMatchObject({ code: "RequesterCannotJoin" });
  });
});
