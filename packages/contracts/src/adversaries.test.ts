// Attacks of whole jobs: what an adversary sends, and that it gains nothing.
import { drawnSegments, JobOutcome, JobPhase, merklePath, segmentsOf, toHex } from "@skynet/protocol";
import { encodeFunctionData } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { jobBoardAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import { toChainError } from "./chain/transactions.ts";
import type { Chain } from "./chain/types.ts";
import type { SlotAnswer } from "./chain/records.ts";
import { startTestChain, testKey } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { encodePoints } from "./test-curve.ts";
import { fundParties, modelAfter, postTestJob } from "./test-job.ts";
import { batches, idOfWeights, proofFor, startProofJob } from "./test-proof-job.ts";
import type { ProofJob } from "./test-proof-job.ts";

let chain: TestChain;
let parties: readonly Chain[];
let undo: () => Promise<void>;

beforeAll(async () => {
  chain = await startTestChain(5);
  parties = chain.parties;
  await fundParties(parties);
});
afterAll(() => chain.stop());
beforeEach(async () => {
  undo = await chain.checkpoint();
});
afterEach(() => undo());

const pass = () => chain.advance(1_001);
const token = () => parties[0]!.addresses.testToken;

/** Everything that each party has. */
async function owned(): Promise<bigint[]> {
  const all = await Promise.all(parties.map((party) => party.balances(token())));
  return all.map((one) => one.ledger + one.freeStake + one.lockedStake + one.leavingStake);
}

const gains = (before: readonly bigint[], after: readonly bigint[]) => after.map((amount, i) => amount - before[i]!);

describe("an operator with all seats", () => {
  test("that proves nothing loses every stake, and the requester gets its budget back", async () => {
    const before = await owned();
    const job = await startProofJob(chain, { rounds: 3 });
    await job.commitWork();
    await job.drawAudits();
    // the quorum is its own: it attests whatever it likes
    await job.attest();
    await pass();
    await job.requester.tick(job.jobId);
    expect((await job.view()).state).toMatchObject({
      phase: JobPhase.SETTLED,
      outcome: JobOutcome.HALTED,
      slashed: 7n,
    });
    await job.collect();
    expect(gains(before, await owned())).toEqual([0n, -200n, -200n, -200n, 0n]);
  });

  test("that keeps the results to itself is paid for one round, less the hold, and only for what it has proven", async () => {
    const before = await owned();
    const job = await startProofJob(chain, { rounds: 10 });
    await job.requester.stop(job.jobId);
    await job.provenRound();
    expect((await job.view()).state).toMatchObject({ phase: JobPhase.DELIVER, outcome: JobOutcome.STOPPED, round: 1 });
    await job.requester.complain(job.jobId);
    await job.collect();
    // 95 of 100 for each seat, and the fee of the merge: of ten rounds the requester has lost one
    expect(gains(before, await owned())).toEqual([-307n, 102n, 95n, 95n, 0n]);
  });

  test("of a quorum that merges what it likes gets no more than one round before the requester stops", async () => {
    const before = await owned();
    const job = await postTestJob(parties, { rounds: 10 });
    await job.join();
    await job.ready();
    await job.requester.stop(job.jobId);
    await job.round();
    expect((await job.view()).modelId).toBe(modelAfter(0));
    await job.requester.complain(job.jobId);
    await job.collect();
    const [requester, ...others] = gains(before, await owned()) as [bigint, ...bigint[]];
    expect(requester).toBe(-307n);
    expect(others.reduce((a, b) => a + b)).toBe(292n);
  });
});

describe("a copied transaction", () => {
  test("of a merge earns the fee of the first sender, changes nothing else, and reverts for the second", async () => {
    const job = await startProofJob(chain, { rounds: 1 });
    await job.commitWork();
    await job.drawAudits();
    await job.proveSeats();
    await job.attest();
    const base = encodePoints(job.base());
    const updates = await job.updates([0, 1, 2]);
    const [, merger] = parties as [Chain, Chain];
    const thief = parties[4]!;
    const before = await owned();
    await thief.mergeProven(job.jobId, base, updates);
    await expect(merger.mergeProven(job.jobId, base, updates)).rejects.toMatchObject({ code: "WrongState" });
    expect(gains(before, await owned())).toEqual([0n, 0n, 0n, 0n, 7n]);
    const { state, modelId } = await job.view();
    expect([state.merged, state.paidCompute, state.paidDelivery]).toEqual([1, [7n], [7n]]);
    expect(modelId).not.toBe(idOfWeights(job.base()));
  });

  test("of a direct commitment counts for its sender only", async () => {
    const job = await postTestJob(parties);
    await job.join([0, 1, 2]);
    await job.ready();
    const data = encodeFunctionData({
      abi: jobBoardAbi,
      functionName: "commit",
      args: [job.jobId, modelAfter(0), modelAfter(1)],
    });
    const stranger = await connect(chain.anvil.rpcUrl, testKey(4));
    const sent = stranger.publicClient.call({ account: stranger.account, to: parties[0]!.addresses.jobBoard, data });
    await expect(sent.catch((error: unknown) => Promise.reject(toChainError(error)))).rejects.toMatchObject({
      code: "NotSeat",
    });
  });
});

/** The answer of seat 1 that has committed what seat 0 trained: with the author's proofs. */
async function stolenAnswer(job: ProofJob): Promise<SlotAnswer> {
  const { spec, requester, jobId } = job;
  const { ids, interior, idEnd, stepsRoot } = await job.work(0);
  const { seed, state } = await job.view();
  const segment = drawnSegments(seed, state.selected, spec, 1)[0]!;
  const path = (boundary: number) =>
    boundary === 0 || boundary === segmentsOf(spec) ? [] : merklePath(interior, boundary - 1).map(toHex);
  const [from, to] = [segment * spec.segment, (segment + 1) * spec.segment];
  const steps = ids.slice(from, to).map(async (idIn, i) => {
    const { context } = await requester.statementFor(jobId, 0, from + i);
    const index = Number((await requester.statementFor(jobId, 1, from + i)).batchIndex);
    const [leaf, idOut] = [toHex(batches[index]!), ids[from + i + 1]!];
    const proof = proofFor(context, idIn, idOut, leaf);
    return { idEnd: idOut, batchLeaf: leaf, batchPath: merklePath(batches, index).map(toHex), proof };
  });
  const ends = { idFrom: ids[from]!, pathFrom: path(segment), idTo: ids[to]!, pathTo: path(segment + 1) };
  return { seat: 1, slot: 0, idEnd, stepsRoot, ...ends, steps: await Promise.all(steps) };
}

describe("a copied commitment", () => {
  test("costs the copier its stake: the proofs of the author do not count for it, and the author loses nothing", async () => {
    const before = await owned();
    const job = await startProofJob(chain, { rounds: 2, minSeats: 1 });
    const [author, thief] = job.workers as [Chain, Chain];
    const { idEnd, stepsRoot } = await job.work(0);
    await thief.commit(job.jobId, idEnd, stepsRoot);
    await expect(author.commit(job.jobId, idEnd, stepsRoot)).rejects.toMatchObject({ code: "DuplicateId" });
    await author.abstain(job.jobId, 0);
    await job.commitWork([2]);
    await job.drawAudits();
    await job.proveSeats([2]);
    expect((await job.view()).state.selected).toBe(6n);
    await expect(thief.prove(job.jobId, await stolenAnswer(job))).rejects.toMatchObject({ code: "ProofRejected" });
    await job.attest([1, 2], 6n);
    await pass();
    await job.requester.tick(job.jobId);
    expect((await job.view()).state).toMatchObject({ slashed: 2n, active: 5n });
    await job.requester.stop(job.jobId);
    await job.mergeWork();
    await job.requester.accept(job.jobId);
    await job.collect();
    const [, authorGain, thiefGain, honestGain] = gains(before, await owned());
    expect([authorGain! >= 0n, thiefGain, honestGain]).toEqual([true, -200n, 100n]);
  });
});

describe("the draw", () => {
  test("is fixed by the block after the commits: nobody draws earlier, later or again", async () => {
    const job = await startProofJob(chain, {
      beacon: parties[0]!.addresses.blockhashBeacon,
      auditBps: 5_000,
      stake: 300n,
    });
    await job.commitWork();
    const { ticket } = await job.view();
    // while commits were accepted, there was neither a ticket nor its block
    expect(ticket).toBe((await parties[0]!.blockNumber()) + 8n);
    await expect(job.requester.draw(job.jobId)).rejects.toMatchObject({ code: "BeaconNotReady" });
    await expect(job.requester.tick(job.jobId)).rejects.toMatchObject({ code: "TooEarly" });
    for (let i = 0; i < 20; i++) await chain.advance(1);
    // a cheater may wait for other blocks: the value stays that of the ticket
    await job.workers[0]!.draw(job.jobId);
    const { seed, state } = await job.view();
    await chain.advance(1);
    await expect(job.workers[0]!.draw(job.jobId)).rejects.toMatchObject({ code: "WrongState" });
    expect(await job.view()).toMatchObject({ seed, state: { selected: state.selected } });
  });
});

describe("rounds that fail and succeed in turn", () => {
  test("are all counted: the job ends at its limit, and failed rounds pay nothing for delivery", async () => {
    const before = await owned();
    const job = await startProofJob(chain, { rounds: 6, maxFails: 2 });
    const keepBack = async () => {
      await job.commitWork();
      await job.drawAudits();
      await job.proveSeats();
      // nobody attests to have received anything
      await pass();
      await job.requester.tick(job.jobId);
    };
    await keepBack();
    await job.provenRound();
    expect((await job.view()).state).toMatchObject({ phase: JobPhase.COMMIT, round: 2, fails: 1 });
    await keepBack();
    expect((await job.view()).state).toMatchObject({ outcome: JobOutcome.HALTED, fails: 2 });
    await job.requester.accept(job.jobId);
    await job.collect();
    // twice 80 of 100, without the part for delivery, once everything, and the fee of the one merge
    expect(gains(before, await owned())).toEqual([-787n, 267n, 260n, 260n, 0n]);
  });
});

describe("a stake", () => {
  test("that penalties have brought below the rule ends its seat, and the rest of it returns", async () => {
    const before = await owned();
    // the rule needs 25 for these audits
    const job = await startProofJob(chain, { rounds: 4, stake: 28n, missPenalty: 3n });
    const withoutSeat1 = async () => {
      await job.commitWork([0, 2]);
      await pass();
      await job.requester.tick(job.jobId);
      await job.drawAudits();
      await job.proveSeats([0, 2]);
      await job.attest([0, 2], 5n);
      await job.mergeWork();
    };
    await withoutSeat1();
    expect((await job.view()).state).toMatchObject({ round: 1, active: 7n });
    // a round between the two: it is not the misses in a row that end the seat
    await job.provenRound();
    await withoutSeat1();
    expect((await job.view()).state).toMatchObject({ round: 3, active: 5n });
    const { idEnd, stepsRoot } = await job.work(1);
    await expect(job.workers[1]!.commit(job.jobId, idEnd, stepsRoot)).rejects.toMatchObject({ code: "NotSeat" });
    await job.workers[1]!.release(job.jobId, 1);
    await job.workers[1]!.claim(job.jobId, 1, 3);
    expect(gains(before, await owned())[2]).toBe(95n - 6n);
  });
});
