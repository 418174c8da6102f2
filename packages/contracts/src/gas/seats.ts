// Gas of jobs with 256 seats: the largest that the contract allows.
import { JobPhase, listSeats } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import { keccak256, zeroHash } from "viem";
import { testMeta, testSpec } from "../test-chain.ts";
import type { TestChain } from "../test-chain.ts";
import { addPoints, encodePoints, generator } from "../test-curve.ts";
import type { Point } from "../test-curve.ts";
import { idOfWeights, proofTerms, verifierDescription, verifierInitcode } from "../test-proof-job.ts";
import type { Crowd } from "./crowd.ts";
import { everySeat, SEATS } from "./crowd.ts";
import type { GasMeter } from "./meter.ts";

const half = SEATS / 2;
const HALVES = [everySeat.slice(0, half), everySeat.slice(half)] as const;

/** Everybody joins and is ready. */
async function joinAll(crowd: Crowd, jobId: Hex, meter?: GasMeter): Promise<void> {
  const { requester } = crowd;
  const sizes = [1, 8, 32, 64, 64, 64, 23];
  for (let from = 0, i = 0; from < SEATS; from += sizes[i]!, i++) {
    const seats = everySeat.slice(from, from + sizes[i]!);
    const receipt = await requester.joinFor(jobId, await crowd.acceptances(jobId, seats));
    if (i < 4) meter?.note("JobBoard.joinFor", `${seats.length} of 256 seats`, receipt);
    if (i === 6) meter?.note("JobBoard.joinFor", "23 seats, the last ones: assigns all 256", receipt);
  }
  const ready = await requester.ready(jobId, zeroHash, await crowd.ready(jobId, everySeat));
  meter?.note("JobBoard.ready", "256 seats", ready);
}

/** Quorum mode: all phases with 256 seats. */
export async function measureQuorum(crowd: Crowd, chain: TestChain, meter: GasMeter): Promise<void> {
  const { requester } = crowd;
  const spec = testSpec(requester, { seats: SEATS, averaging: SEATS, minSeats: 100, rounds: 2 });
  const { jobId, receipt } = await requester.post(spec, testMeta);
  meter.note("JobBoard.post", "quorum mode", receipt);
  await joinAll(crowd, jobId, meter);

  const commit = async (seats: readonly number[], round: number) =>
    requester.commitFor(jobId, await crowd.commitments(jobId, seats, round, () => zeroHash));
  meter.note("JobBoard.commitFor", "1 seat, first round", await commit([0], 0));
  meter.note("JobBoard.commitFor", "8 seats, first round", await commit(everySeat.slice(1, 9), 0));
  meter.note("JobBoard.commitFor", "32 seats, first round", await commit(everySeat.slice(9, 41), 0));
  await commit(everySeat.slice(41, half), 0);
  meter.note("JobBoard.commitFor", "128 seats, the last ones of the round", await commit(HALVES[1], 0));
  const rows = await crowd.bitmaps(jobId, everySeat, 0);
  meter.note("JobBoard.attest", "256 seats", await requester.attest(jobId, rows));
  const idNext = keccak256("0x01");
  const signed = await crowd.signAll(everySeat, "Attest", { jobId, round: 0, received: 2n ** 256n - 1n, idNext });
  meter.note("JobBoard.merge", "256 signatures", await requester.merge(jobId, idNext, signed));

  meter.note("JobBoard.commitFor", "128 seats, second round", await commit(HALVES[0], 1));
  await commit(everySeat.slice(half, 171), 1);
  await chain.advance(1_001);
  meter.note("JobBoard.tick", "ends the commits, punishes 85 seats", await requester.tick(jobId));
  if ((await requester.job(jobId)).state.phase !== JobPhase.PROVE) throw new Error("the round did not go on");
}

/** Proof mode with 1,024 points: draw, slash and merge. */
export async function measureProofs(crowd: Crowd, chain: TestChain, meter: GasMeter): Promise<void> {
  const { requester } = crowd;
  const blocks = 4;
  const description = { ...verifierDescription, weightBlocks: blocks };
  const { verifierId } = await requester.deployVerifier(description, verifierInitcode);
  // different points for every seat, one addition each
  const points: Point[] = [generator];
  while (points.length < (SEATS + 1) * blocks) points.push(addPoints(points.at(-1)!, generator));
  const weights = (index: number) => points.slice(index * blocks, (index + 1) * blocks);
  // a price of nothing needs no stake, so that audits can be rare
  const free = { priceMin: 0n, priceMax: 0n, stake: 100n, missPenalty: 0n };
  const size = { seats: SEATS, averaging: SEATS, minSeats: 100, rounds: 2 };
  const steps = { steps: 1, segment: 1, auditSteps: 1, modelId: idOfWeights(weights(SEATS)) };
  const terms = { ...proofTerms(requester, verifierId), ...free, ...size, ...steps };

  const start = async (auditBps: number) => {
    const { jobId, receipt } = await requester.post(testSpec(requester, { ...terms, auditBps }), testMeta);
    if (auditBps === 1) meter.note("JobBoard.post", "proof mode, 1,024 points", receipt);
    await joinAll(crowd, jobId);
    for (const seats of HALVES) {
      const list = await crowd.commitments(jobId, seats, 0, (seat) => idOfWeights(weights(seat)));
      const committed = await requester.commitFor(jobId, list);
      if (auditBps === 1 && seats === HALVES[1])
        meter.note("JobBoard.commitFor", "128 seats in proof mode, the last ones", committed);
    }
    await chain.advance(1);
    meter.note(
      "JobBoard.draw",
      auditBps === 1 ? "256 seats, hardly any selected" : "256 seats, all selected",
      await requester.draw(jobId),
    );
    await requester.attest(jobId, await crowd.bitmaps(jobId, everySeat, 0));
    return jobId;
  };

  const jobId = await start(1);
  // a seat that was drawn after all is slashed
  if ((await requester.job(jobId)).state.phase === JobPhase.PROVE) {
    await chain.advance(1_001);
    await requester.tick(jobId);
  }
  const { committed, slashed } = (await requester.job(jobId)).state;
  const updates = listSeats(committed & ~slashed).map((seat) => {
    const own = weights(seat);
    return { seat, idEnd: idOfWeights(own), stepsRoot: zeroHash, points: encodePoints(own) };
  });
  const merged = await requester.mergeProven(jobId, encodePoints(weights(SEATS)), updates);
  meter.note("JobBoard.mergeProven", "256 seats of 4 points", merged);

  const careless = await start(10_000);
  await chain.advance(1_001);
  meter.note("JobBoard.tick", "ends the audits, slashes all 256 seats", await requester.tick(careless));
}
