// One file although it is long: the life of one job in proof mode on one chain, phase by phase, with its refusals.
import {
  commitHashOf,
  drawnSegments,
  drawSeed,
  JobOutcome,
  JobPhase,
  merklePath,
  selectedSeats,
  toHex,
} from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { keccak256, zeroHash } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { workerRegistryAbi } from "./chain/abi.ts";
import { connect } from "./chain/connection.ts";
import type { Chain } from "./chain/types.ts";
import type { SeatUpdate, SlotAnswer } from "./chain/records.ts";
import { startTestChain, testKey, testMeta, testSpec } from "./test-chain.ts";
import type { TestChain } from "./test-chain.ts";
import { encodePoints, infinity, negate } from "./test-curve.ts";
import type { Point } from "./test-curve.ts";
import { fundParties } from "./test-job.ts";
import {
  averageOf,
  batches,
  idOfWeights,
  proofFor,
  proofTerms,
  startProofJob,
  verifierDescription,
  verifierInitcode,
  weightsOf,
} from "./test-proof-job.ts";
import type { ProofJob, TestWeights } from "./test-proof-job.ts";

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
const flip = (hex: Hex): Hex => `0x${hex.slice(2, -1)}${hex.endsWith("0") ? "1" : "0"}`;
const hex = (value: number): Hex => keccak256(toHex(new Uint8Array([value])));

async function ownedByAll(): Promise<bigint[]> {
  const all = await Promise.all(parties.map((party) => party.balances(party.addresses.testToken)));
  return all.map((one) => one.ledger + one.freeStake + one.lockedStake + one.leavingStake);
}

/** Every unit of the budget went to somebody or was burned, and no stake is locked. */
async function expectSettledToTheUnit(job: ProofJob, before: readonly bigint[]): Promise<void> {
  await job.collect();
  const money = await job.requester.money(job.jobId);
  expect(money.escrow).toBe(0n);
  expect(money.budget).toBe(money.paid + money.refunded + money.burned);
  const lost = before.reduce((a, b) => a + b) - (await ownedByAll()).reduce((a, b) => a + b);
  expect(lost).toBe(money.burned + money.stakeBurned);
}

async function refuse(job: ProofJob, answer: SlotAnswer, code: string): Promise<void> {
  const before = await job.view();
  await expect(job.requester.prove(job.jobId, answer), code).rejects.toMatchObject({ code });
  expect(await job.view()).toEqual(before);
}

/** A job in PROVE whose seats all have every segment drawn. */
async function inProve(change = {}): Promise<ProofJob> {
  const job = await startProofJob(chain, { auditSteps: 4, ...change });
  await job.commitWork();
  await job.drawAudits();
  return job;
}

/** A job in MERGE; the first `delivered` seats have delivered. */
async function inMerge(delivered = 3, weights: TestWeights = {}): Promise<ProofJob> {
  const job = await startProofJob(chain, { auditSteps: 1, segment: 4 }, weights);
  await job.commitWork();
  await job.drawAudits();
  await job.proveSeats();
  const all = Array.from({ length: job.spec.seats }, (_, seat) => seat);
  await job.attest(all, 2n ** BigInt(delivered) - 1n);
  // a seat's own bit counts, but no quorum has received the others
  expect((await job.view()).state.phase).toBe(JobPhase.MERGE);
  return job;
}

describe("a proof-mode job", () => {
  test("runs from post to settlement, and every unit is accounted for", async () => {
    const before = await ownedByAll();
    const job = await startProofJob(chain);
    await job.provenRound();
    const { modelId, state } = await job.view();
    expect([state.phase, state.round]).toEqual([JobPhase.COMMIT, 1]);
    expect(modelId).toBe(idOfWeights(job.base()));
    await job.provenRound();
    expect((await job.view()).modelId).toBe(idOfWeights(job.base()));
    await job.requester.accept(job.jobId);
    await expectSettledToTheUnit(job, before);
    expect((await ownedByAll()).map((amount, i) => amount - before[i]!)).toEqual([-614n, 214n, 200n, 200n, 0n]);
    expect((await job.view()).state.outcome).toBe(JobOutcome.COMPLETED);
    const { publicClient } = await connect(chain.anvil.rpcUrl, testKey(0));
    const [, , proofs] = await publicClient.readContract({
      address: parties[0]!.addresses.workerRegistry,
      abi: workerRegistryAbi,
      functionName: "scores",
      args: [job.workers[1]!.address],
    });
    expect(proofs).toBe(4);
  });

  test("tells what was drawn and proven, in what nodes compute themselves", async () => {
    const job = await startProofJob(chain);
    await job.commitWork();
    const { ticket, state } = await job.view();
    const beacon = job.spec.beacon;
    await expect(job.requester.draw(job.jobId)).rejects.toMatchObject({ code: "BeaconNotReady" });
    expect(await job.requester.beaconValue(beacon, ticket)).toBeUndefined();
    await job.drawAudits();
    const value = (await job.requester.beaconValue(beacon, ticket))!;
    const { seed, state: drawn } = await job.view();
    expect(seed).toBe(drawSeed(value, job.jobId, 0));
    expect(drawn.selected).toBe(selectedSeats(seed, state.committed, job.spec.auditBps));
    const answer = await job.answer(1, 0);
    const { transactionHash, gasUsed } = await job.requester.prove(job.jobId, answer);
    const events = await job.requester.events({ jobId: job.jobId });
    expect(events.find(({ name }) => name === "Drawn")!.args).toMatchObject({ round: 0, seed, selected: 7n });
    const proven = events.find(({ name }) => name === "Proven")!;
    const segments = drawnSegments(seed, drawn.selected, job.spec, 1);
    expect(await job.requester.drawnSegments(job.jobId, 1)).toEqual(segments);
    expect(proven.args).toMatchObject({ round: 0, seat: 1n, slot: 0n, segment: BigInt(segments[0]!) });
    expect(proven.transactionHash).toBe(transactionHash);
    expect(await job.requester.gasUsed(transactionHash)).toBe(gasUsed);
    const input = await job.requester.transactionInput(proven.transactionHash);
    expect(input).toMatchObject({ functionName: "prove", args: [job.jobId, { ...answer, seat: 1n, slot: 0n }] });
    const committed = events.find(({ name }) => name === "Committed")!;
    const commit = await job.requester.transactionInput(committed.transactionHash);
    const { idEnd, stepsRoot } = await job.work(0);
    expect(commit).toEqual({ functionName: "commit", args: [job.jobId, idEnd, stepsRoot] });
    expect(await job.requester.commitHash(job.jobId, 0)).toBe(commitHashOf(0, idEnd, stepsRoot));
    await expect(job.requester.gasUsed(hex(1))).rejects.toMatchObject({ code: "UnknownTransaction" });
    await expect(job.requester.transactionInput(hex(1))).rejects.toMatchObject({ code: "UnknownTransaction" });
  });

  test("a transaction of another contract is no call of the board", async () => {
    const { transactionHash } = await parties[0]!.mint(1n);
    expect(await parties[0]!.transactionInput(transactionHash)).toBeUndefined();
  });

  test("silence after the draw costs the whole stake; the others are paid and the job completes", async () => {
    const before = await ownedByAll();
    const job = await startProofJob(chain, { rounds: 2 });
    await job.commitWork();
    await job.drawAudits();
    await job.proveSeats([0, 1]);
    // one of two slots is silence too
    await job.requester.prove(job.jobId, await job.answer(2, 0));
    await job.attest();
    await pass();
    await job.requester.tick(job.jobId);
    expect((await job.view()).state).toMatchObject({ phase: JobPhase.MERGE, slashed: 4n, active: 3n });
    await job.mergeWork();
    await job.commitWork([0, 1]);
    await job.drawAudits();
    await job.proveSeats([0, 1]);
    await job.attest([0, 1]);
    await job.mergeWork();
    await job.requester.accept(job.jobId);
    await expectSettledToTheUnit(job, before);
    expect((await ownedByAll()).map((amount, i) => amount - before[i]!)).toEqual([-414n, 214n, 200n, -200n, 0n]);
    expect(await job.requester.money(job.jobId)).toMatchObject({ paid: 414n, refunded: 200n, stakeBurned: 200n });
  });

  test("a round of one segment has no tree", async () => {
    const job = await startProofJob(chain, { steps: 2, segment: 2, auditSteps: 1, rounds: 1 });
    const { idEnd, stepsRoot } = await job.work(0);
    expect(stepsRoot).toBe(zeroHash);
    const refused = job.workers[0]!.commit(job.jobId, idEnd, hex(1));
    await expect(refused).rejects.toMatchObject({ code: "BadRoot" });
    await job.provenRound();
    expect((await job.view()).state.phase).toBe(JobPhase.DELIVER);
  });

  test("works alone with N = 1", async () => {
    const job = await startProofJob(chain, { seats: 1, minSeats: 1, averaging: 1, rounds: 1 });
    await job.provenRound();
    expect((await job.view()).modelId).toBe(idOfWeights(weightsOf("round 0 seat 0")));
  });

  test("audits only the seats that are selected", async () => {
    const job = await startProofJob(chain, { seats: 4, auditBps: 2_500, stake: 1_000n, rounds: 8, maxFails: 8 });
    const seen = new Set<number>();
    for (let round = 0; round < 3; round++) {
      await job.commitWork();
      await job.drawAudits();
      const { state, seed } = await job.view();
      expect(state.selected).toBe(selectedSeats(seed, state.committed, 2_500));
      for (let seat = 0; seat < 4; seat++) {
        const selected = ((state.selected >> BigInt(seat)) & 1n) === 1n;
        seen.add(Number(selected));
        expect(await job.requester.drawnSegments(job.jobId, seat)).toHaveLength(selected ? 2 : 0);
        if (selected) await job.proveSeats([seat]);
        else {
          const { idEnd, stepsRoot } = await job.work(seat);
          const nothing = { idFrom: zeroHash, pathFrom: [], idTo: zeroHash, pathTo: [], steps: [] };
          const answer = { seat, slot: 0, idEnd, stepsRoot, ...nothing };
          await refuse(job, answer, "NotSelected");
        }
      }
      await job.attest();
      await job.mergeWork();
    }
    expect(seen.has(0)).toBe(true);
  });

  test("a beacon that never answers halts the job unpaid, and slashes nobody", async () => {
    const before = await ownedByAll();
    const job = await startProofJob(chain);
    await job.commitWork();
    await expect(job.requester.tick(job.jobId)).rejects.toMatchObject({ code: "TooEarly" });
    await pass();
    await expect(job.requester.draw(job.jobId)).rejects.toMatchObject({ code: "TooLate" });
    await job.requester.tick(job.jobId);
    expect((await job.view()).state).toMatchObject({ outcome: JobOutcome.HALTED, slashed: 0n });
    await expectSettledToTheUnit(job, before);
    expect(await ownedByAll()).toEqual(before);
  });

  test("a beacon that fails cannot lock anybody's money", async () => {
    const before = await ownedByAll();
    // has code, but no ticket
    const job = await startProofJob(chain, { beacon: parties[0]!.addresses.ledger });
    await job.commitWork();
    expect((await job.view()).ticket).toBe(0n);
    await expect(job.requester.draw(job.jobId)).rejects.toMatchObject({ code: "BeaconNotReady" });
    await pass();
    await job.requester.tick(job.jobId);
    await expectSettledToTheUnit(job, before);
  });

  test("quorum mode has no proofs, proof mode no merge by signatures", async () => {
    const job = await inMerge();
    await expect(job.merge()).rejects.toMatchObject({ code: "WrongMode" });
  });

  test("the blockhash beacon has a value after eight blocks", async () => {
    const { blockhashBeacon, testBeacon } = parties[0]!.addresses;
    expect(await parties[0]!.beaconKind(blockhashBeacon)).toBe("blockhash");
    expect(await parties[0]!.beaconKind(testBeacon)).toBe("test");
    const job = await startProofJob(chain, { beacon: blockhashBeacon });
    await job.commitWork();
    for (let i = 0; i < 7; i++) await chain.advance(1);
    await expect(job.requester.draw(job.jobId)).rejects.toMatchObject({ code: "BeaconNotReady" });
    await chain.advance(1);
    await job.requester.draw(job.jobId);
    expect((await job.view()).state.phase).toBe(JobPhase.PROVE);
  });
});

describe("terms", () => {
  test("name a live verifier of steps, a beacon, and a number of points that fits a block", async () => {
    const requester = parties[0]!;
    const { verifierId } = await requester.deployVerifier(verifierDescription, verifierInitcode);
    const post = (change: object) =>
      requester.post(testSpec(requester, { ...proofTerms(requester, verifierId), ...change }), testMeta);
    await expect(post({ stepVerifier: hex(1) })).rejects.toMatchObject({ code: "BadVerifier" });
    await expect(post({ beacon: requester.address })).rejects.toMatchObject({ code: "BadBeacon" });
    await expect(post({ auditBps: 5_000, stake: 104n })).rejects.toMatchObject({ code: "StakeTooLow" });
    await post({ auditBps: 5_000, stake: 105n });
    await expect(post({ auditSteps: 3 })).rejects.toMatchObject({ code: "BadAudit" });
    const other = { ...verifierDescription, kind: 2 };
    const infer = await requester.deployVerifier(other, verifierInitcode);
    await expect(post({ stepVerifier: infer.verifierId })).rejects.toMatchObject({ code: "BadVerifier" });
    const large = await requester.deployVerifier({ ...verifierDescription, weightBlocks: 342 }, verifierInitcode);
    await expect(post({ stepVerifier: large.verifierId })).rejects.toMatchObject({ code: "TooManyPoints" });
    const fits = await requester.deployVerifier({ ...verifierDescription, weightBlocks: 341 }, verifierInitcode);
    await post({ stepVerifier: fits.verifierId });
  });
});

describe("commits", () => {
  test("refuse an id twice in a round, directly and by signature, and accept it in the next", async () => {
    const job = await startProofJob(chain, { rounds: 3, maxFails: 3, minSeats: 1 });
    const [first, second, third] = job.workers as [Chain, Chain, Chain];
    const { idEnd, stepsRoot } = await job.work(0);
    await first.commit(job.jobId, idEnd, stepsRoot);
    await expect(second.commit(job.jobId, idEnd, hex(2))).rejects.toMatchObject({ code: "DuplicateId" });
    const message = { jobId: job.jobId, round: 0, idEnd, stepsRoot };
    const signed = { ...message, seat: 1, signature: await second.signCommit(message) };
    await expect(third.commitFor(job.jobId, [signed])).rejects.toMatchObject({ code: "DuplicateId" });
    await job.commitWork([1, 2]);
    await job.drawAudits();
    await job.proveSeats();
    await job.attest();
    await job.mergeWork();
    await second.commit(job.jobId, idEnd, stepsRoot);
  });

  test("of one batch may not contain an id twice", async () => {
    const job = await startProofJob(chain);
    const { idEnd, stepsRoot } = await job.work(0);
    const message = { jobId: job.jobId, round: 0, idEnd, stepsRoot };
    const list = await Promise.all(
      [0, 1].map(async (seat) => ({ ...message, seat, signature: await job.workers[seat]!.signCommit(message) })),
    );
    await expect(job.requester.commitFor(job.jobId, list)).rejects.toMatchObject({ code: "DuplicateId" });
  });

  test("in quorum mode may agree", async () => {
    const job = await startProofJob(chain, { mode: 0, stepVerifier: zeroHash });
    for (const worker of job.workers.slice(0, 3)) await worker.commit(job.jobId, hex(1), hex(2));
    expect((await job.view()).state.phase).toBe(JobPhase.PROVE);
    await expect(job.requester.draw(job.jobId)).rejects.toMatchObject({ code: "WrongState" });
    await job.attest();
    await expect(job.requester.mergeProven(job.jobId, "0x", [])).rejects.toMatchObject({ code: "WrongMode" });
  });
});

describe("proofs", () => {
  test("can be sent by anybody, once", async () => {
    const job = await inProve();
    const answer = await job.answer(0, 1);
    await parties[4]!.prove(job.jobId, answer);
    await refuse(job, answer, "AlreadyProven");
    await refuse(job, { ...answer, slot: 4 }, "BadSlot");
    expect((await job.view()).state.proofMasks).toEqual([2, 0, 0]);
  });

  test("count only for their statement: a bad proof changes nothing", async () => {
    const job = await inProve();
    const answer = await job.answer(0, 1);
    const replaceStep = (index: number, change: object): SlotAnswer => ({
      ...answer,
      steps: answer.steps.map((step, i) => (i === index ? { ...step, ...change } : step)),
    });
    for (const index of [0, 1]) {
      await refuse(job, replaceStep(index, { proof: flip(answer.steps[index]!.proof) }), "ProofRejected");
      await refuse(job, replaceStep(index, { proof: "0x" }), "ProofRejected");
      await refuse(job, replaceStep(index, { proof: `${answer.steps[index]!.proof}00` }), "ProofRejected");
    }
    await refuse(job, replaceStep(0, { idEnd: hex(7) }), "ProofRejected");
    const [one, two] = answer.steps as [SlotAnswer["steps"][0], SlotAnswer["steps"][0]];
    await refuse(job, { ...answer, steps: [one] }, "BadLength");
    await refuse(job, { ...answer, steps: [one, two, two] }, "BadLength");
    await job.requester.prove(job.jobId, answer);
  });

  test("do not pass for another seat, slot, round or job", async () => {
    const job = await inProve();
    const own = await job.answer(0, 1);
    const other = await job.answer(1, 1);
    await refuse(job, { ...own, seat: 1 }, "CommitMismatch");
    // the other's ids with the own proofs
    const proofs = other.steps.map((step, i) => ({ ...step, proof: own.steps[i]!.proof }));
    await refuse(job, { ...other, steps: proofs }, "ProofRejected");
    await refuse(job, { ...own, slot: 2 }, "BadPath");

    const second = await inProve({ rounds: 3 });
    const foreign = await second.answer(0, 1);
    const moved = foreign.steps.map((step, i) => ({ ...step, proof: own.steps[i]!.proof }));
    await refuse(second, { ...foreign, steps: moved }, "ProofRejected");

    await job.proveSeats();
    await job.attest();
    await job.mergeWork();
    await job.commitWork();
    await job.drawAudits();
    await refuse(job, own, "CommitMismatch");
    const later = await job.answer(0, 1);
    const old = later.steps.map((step, i) => ({ ...step, proof: own.steps[i]!.proof }));
    await refuse(job, { ...later, steps: old }, "ProofRejected");
  });

  test("do not pass for another step, batch, worker or data, whatever the verifier is told", async () => {
    const job = await inProve();
    const answer = await job.answer(0, 1);
    const { jobId } = job;
    // a proof that is right for the next step of the same segment
    const next = await job.requester.statementFor(jobId, 0, 3);
    const [first] = answer.steps as [SlotAnswer["steps"][0]];
    const wrongStep = proofFor(next.context, answer.idFrom, first.idEnd, first.batchLeaf);
    await refuse(job, { ...answer, steps: [{ ...first, proof: wrongStep }, answer.steps[1]!] }, "ProofRejected");
    const worker = await job.requester.statementFor(jobId, 1, 2);
    const wrongWorker = proofFor(worker.context, answer.idFrom, first.idEnd, first.batchLeaf);
    await refuse(job, { ...answer, steps: [{ ...first, proof: wrongWorker }, answer.steps[1]!] }, "ProofRejected");

    const { context, batchIndex } = await job.requester.statementFor(jobId, 0, 2);
    const wrong = batches[(Number(batchIndex) + 1) % batches.length]!;
    const leaf = toHex(wrong);
    const proof = proofFor(context, answer.idFrom, first.idEnd, leaf);
    const chosen = { ...first, batchLeaf: leaf, proof };
    await refuse(job, { ...answer, steps: [chosen, answer.steps[1]!] }, "BadPath");
    // neither with the path of the batch that was chosen
    const batchPath = merklePath(batches, (Number(batchIndex) + 1) % batches.length).map(toHex);
    await refuse(job, { ...answer, steps: [{ ...chosen, batchPath }, answer.steps[1]!] }, "BadPath");
    const short = { ...first, batchPath: first.batchPath.slice(1) };
    await refuse(job, { ...answer, steps: [short, answer.steps[1]!] }, "BadPath");
  });

  test("begin and end where the contract says", async () => {
    const job = await inProve();
    const [first, last] = [await job.answer(0, 0), await job.answer(0, 3)];
    expect([first.pathFrom, last.pathTo]).toEqual([[], []]);
    await refuse(job, { ...first, idFrom: hex(1) }, "BadEnd");
    await refuse(job, { ...first, pathFrom: [hex(1)] }, "BadPath");
    await refuse(job, { ...last, idTo: hex(1) }, "BadEnd");
    await refuse(job, { ...last, pathTo: last.pathFrom }, "BadPath");
    await refuse(job, { ...last, idEnd: hex(1) }, "CommitMismatch");
    await refuse(job, { ...last, stepsRoot: hex(1) }, "CommitMismatch");
    await job.requester.prove(job.jobId, first);
    await job.requester.prove(job.jobId, last);
  });

  test("take the ids in between from the tree, at their index", async () => {
    const job = await inProve();
    const [one, two] = [await job.answer(0, 1), await job.answer(0, 2)];
    await refuse(job, { ...one, pathFrom: two.pathFrom }, "BadPath");
    await refuse(job, { ...one, pathFrom: one.pathFrom.map(flip) }, "BadPath");
    await refuse(job, { ...one, idFrom: one.idTo, pathFrom: one.pathTo }, "BadPath");
    await refuse(job, { ...one, idFrom: two.idFrom, idTo: two.idTo, pathFrom: two.pathFrom }, "BadPath");
    await refuse(job, { ...one, pathTo: [] }, "BadPath");
    // a chain that ends elsewhere although all proofs are right
    const { context, batchIndex } = await job.requester.statementFor(job.jobId, 0, 3);
    const leaf = toHex(batches[Number(batchIndex)]!);
    const end = { ...one.steps[1]!, idEnd: hex(9), proof: proofFor(context, one.steps[0]!.idEnd, hex(9), leaf) };
    await refuse(job, { ...one, steps: [one.steps[0]!, end] }, "BrokenChain");
  });

  test("belong to PROVE", async () => {
    const job = await startProofJob(chain);
    const { idEnd, stepsRoot } = await job.work(0);
    const answer = { seat: 0, slot: 0, idEnd, stepsRoot, idFrom: zeroHash, pathFrom: [], idTo: zeroHash, pathTo: [] };
    await refuse(job, { ...answer, steps: [] }, "WrongState");
    await job.commitWork();
    await refuse(job, { ...answer, steps: [] }, "WrongState");
    await job.drawAudits();
    const good = await job.answer(0, 0);
    await pass();
    await refuse(job, good, "TooLate");
  });
});

describe("the merge", () => {
  test("of fewer updates than N leaves the base in the place of the missing ones", async () => {
    const job = await inMerge(2);
    const seats = [0, 1];
    await job.requester.mergeProven(job.jobId, encodePoints(job.base()), await job.updates(seats));
    const points = seats.map((seat) => weightsOf(`round 0 seat ${seat}`));
    expect((await job.view()).modelId).toBe(idOfWeights(averageOf(weightsOf("model"), points, 4)));
  });

  test("refuses other points, other seats, other commitments, and changes nothing", async () => {
    const job = await inMerge(2);
    const { jobId } = job;
    const base = encodePoints(job.base());
    const [zero, one, two] = (await job.updates([0, 1, 2])) as [SeatUpdate, SeatUpdate, SeatUpdate];
    const before = await job.view();
    const cases: [string, Hex, SeatUpdate[]][] = [
      ["WrongPoints", encodePoints(weightsOf("other")), [zero, one]],
      ["WrongPoints", base.slice(0, -128) as Hex, [zero, one]],
      ["WrongPoints", `${base}${"00".repeat(64)}`, [zero, one]],
      ["WrongPoints", base, [zero, { ...one, points: zero.points }]],
      ["WrongPoints", base, [zero, { ...one, points: flip(one.points) }]],
      ["WrongPoints", base, [zero, { ...one, points: "0x" }]],
      ["WrongCommit", base, [zero, { ...one, idEnd: zero.idEnd, points: zero.points }]],
      ["WrongCommit", base, [zero, { ...one, stepsRoot: hex(1) }]],
      ["WrongSeats", base, [one, zero]],
      ["WrongSeats", base, [zero, zero]],
      ["WrongSeats", base, [zero]],
      ["WrongSeats", base, []],
      ["WrongSeats", base, [zero, one, two]],
      ["WrongSeats", base, [zero, { ...one, seat: 256 }]],
    ];
    for (const [code, points, updates] of cases)
      await expect(job.requester.mergeProven(jobId, points, updates), code).rejects.toMatchObject({ code });
    expect(await job.view()).toEqual(before);
    await job.requester.mergeProven(jobId, base, [zero, one]);
    await expect(job.requester.mergeProven(jobId, base, [zero, one])).rejects.toMatchObject({ code: "WrongState" });
  });

  test("adds equal points, opposite points and infinity", async () => {
    const [g, h] = weightsOf("special") as [Point, Point];
    // equal ids may not be committed, so equal points have different neighbours
    const updates = [
      [g, infinity],
      [g, h],
      [negate(g), negate(h)],
    ];
    const base = [infinity, g];
    const job = await inMerge(3, { base, of: (_, seat) => updates[seat]! });
    await job.mergeWork();
    expect((await job.view()).modelId).toBe(idOfWeights(averageOf(base, updates, 4)));
  });

  test("refuses what is not on the curve, in updates and in the base", async () => {
    const bad = [{ x: 1n, y: 3n }, infinity];
    const update = await inMerge(3, { of: (round, seat) => (seat === 1 ? bad : weightsOf(`${round} ${seat}`)) });
    await expect(update.mergeWork()).rejects.toMatchObject({ code: "BadPoint" });
    const base = await inMerge(3, { base: bad });
    await expect(base.mergeWork()).rejects.toMatchObject({ code: "BadPoint" });
  });
});
