// Gas of what single accounts do in small jobs, and of proofs.
import type { Hex } from "@skynet/protocol";
import { zeroHash } from "viem";
import type { Chain } from "../chain/types.ts";
import { startTestChain } from "../test-chain.ts";
import { encodePoints } from "../test-curve.ts";
import { fundParties, modelAfter, postTestJob } from "../test-job.ts";
import { startProofJob, verifierDescription, weightsOf } from "../test-proof-job.ts";
import { yesVerifier } from "./accounts.ts";
import type { GasMeter } from "./meter.ts";

/** On a chain of its own, with three workers. */
export async function measureSmallJobs(meter: GasMeter): Promise<void> {
  const chain = await startTestChain(5);
  try {
    await fundParties(chain.parties);
    await measureExits(chain.parties.slice(0, 4), meter);
    await measureAudits(chain, meter);
  } finally {
    await chain.stop();
  }
}

async function measureExits(parties: readonly Chain[], meter: GasMeter): Promise<void> {
  const [requester, first, second, third] = parties as [Chain, Chain, Chain, Chain];
  const cancelled = await postTestJob(parties);
  await meter.take("JobBoard.join", "one worker", first.join(cancelled.jobId));
  await meter.take("JobBoard.cancel", "one call", requester.cancel(cancelled.jobId));

  const job = await postTestJob(parties, { minSeats: 1 });
  const { jobId } = job;
  await job.join();
  const keys = requester.publishKeys(jobId, 0n, new Uint8Array(36).fill(7));
  await meter.take("JobBoard.publishKeys", "one call", keys);
  await job.ready();
  const idEnd = modelAfter(0);
  await meter.take("JobBoard.commit", "one seat, first round", first.commit(jobId, idEnd, zeroHash));
  await meter.take("JobBoard.abstain", "one call", second.abstain(jobId, 0));
  const leaving = { seat: 2, signature: await third.signLeave({ jobId, round: 0 }) };
  await meter.take("JobBoard.leaveFor", "the last one: ends the commits", requester.leaveFor(jobId, leaving));
  await job.attest([0], 1n);
  const idNext = modelAfter(0);
  const merge = await first.signAttest({ jobId, round: 0, received: 1n, idNext });
  const merged = await requester.merge(jobId, idNext, [{ seat: 0, signature: merge }]);
  meter.note("JobBoard.merge", "1 signature", merged);
  await meter.take("JobBoard.claim", "one round", requester.claim(jobId, 0, 1));
  await meter.take("JobBoard.stop", "one call", requester.stop(jobId));
  const signature = await first.signAbstain({ jobId, round: 1 });
  await meter.take("JobBoard.abstainFor", "one call", requester.abstainFor(jobId, 1, { seat: 0, signature }));
  await meter.take("JobBoard.leave", "the last one: ends the job", second.leave(jobId));
  await meter.take("JobBoard.complain", "burns the hold", requester.complain(jobId));
}

async function measureAudits(chain: Awaited<ReturnType<typeof startTestChain>>, meter: GasMeter): Promise<void> {
  const [first] = chain.parties as [Chain];
  // says yes to everything: what is left is the gas of the contracts around it
  const { verifierId } = await first.deployVerifier({ ...verifierDescription, weightBlocks: 7 }, yesVerifier(32));
  const weights = {
    base: weightsOf("model", 7),
    of: (round: number, seat: number) => weightsOf(`round ${round} seat ${seat}`, 7),
  };
  const terms = { seats: 4, minSeats: 2, rounds: 3, stake: 1_000n, stepVerifier: verifierId };
  for (const [segment, auditSteps] of [
    [1, 1],
    [4, 2],
  ] as const) {
    const job = await startProofJob(chain, { ...terms, steps: 32, segment, auditSteps }, weights);
    await job.commitWork();
    await chain.advance(1);
    await first.draw(job.jobId);
    const prove = async (seat: number, bytes: number, situation: string) => {
      const answer = await job.answer(seat, 0);
      const proof: Hex = `0x${"a5".repeat(bytes)}`;
      const steps = answer.steps.map((step) => ({ ...step, proof }));
      meter.note("JobBoard.prove", situation, await first.prove(job.jobId, { ...answer, steps }));
    };
    const what = segment === 1 ? "one step" : "a segment of 4 steps";
    await prove(0, 0, `${what}, no proof, no verifier`);
    await prove(1, 12_000, `${what}, 12 kB of proof each, no verifier`);
    if (segment === 4) continue;
    for (const seat of [2, 3]) await first.prove(job.jobId, await job.answer(seat, 0));
    await job.attest([0, 1, 2, 3]);
    const updates = await job.updates([0, 1, 2, 3]);
    const undo = await chain.checkpoint();
    const merged = await first.mergeProven(job.jobId, encodePoints(job.base()), updates);
    meter.note("JobBoard.mergeProven", "4 seats of 7 points", merged);
    await undo();
    await job.mergeWork();
    await job.commitWork([0, 1, 2]);
    const { idEnd, stepsRoot } = await job.work(3);
    const closing = await job.workers[3]!.commit(job.jobId, idEnd, stepsRoot);
    meter.note("JobBoard.commit", "the last seat of a later round: ends the commits", closing);
    await chain.advance(1);
    await first.draw(job.jobId);
    await prove(0, 0, `${what} of a later round, no proof, no verifier`);
  }
}
