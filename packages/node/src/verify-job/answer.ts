import type { SlotAnswer } from "@skynet/contracts";
import {
  batchIndex,
  fromHex,
  hasSeat,
  type Hex,
  merkleRootFromPath,
  type SeatSet,
  segmentOfSlot,
  segmentsOf,
  stepContext,
  toHex,
} from "@skynet/protocol";
import { Rejection } from "@skynet/proof";
import { type Audit, type EventOf, fail, type RoundEvents } from "./audit.ts";

/**
 * One answer to a draw: the segment is the drawn one, it begins and ends at committed ids, its steps are chained, each
 * uses the batch that the job's seed gives, and every proof is valid.
 * @returns the number of proofs
 */
export async function checkAnswer(
  audit: Audit,
  round: RoundEvents,
  event: EventOf<"Proven">,
  selected: SeatSet,
): Promise<number> {
  const { chain, spec } = audit;
  const seat = Number(event.args.seat);
  const slot = Number(event.args.slot);
  if (!hasSeat(selected, seat) || slot >= spec.auditSteps)
    fail(round.round, `seat ${seat} proved slot ${slot}, which was not drawn`);
  const call = await chain.transactionInput(event.transactionHash);
  if (call === undefined) fail(round.round, `the proof of seat ${seat} came through another contract`, "Unverifiable");
  if (call.functionName !== "prove") return fail(round.round, `the transaction of seat ${seat} proves nothing`);
  const answer = call.args[1] as unknown as SlotAnswer;
  if (Number(answer.seat) !== seat || Number(answer.slot) !== slot)
    return fail(round.round, `the transaction of seat ${seat} proves something else`);
  const segment = segmentOfSlot(round.drawn!.seed, spec, seat, slot);
  if (BigInt(segment) !== event.args.segment)
    return fail(round.round, `seat ${seat} proved another segment than the drawn one`);
  checkEnds(audit, round, answer, segment);
  let idIn = answer.idFrom;
  for (const [i, step] of answer.steps.entries()) {
    await checkStep(audit, round, { seat, step: segment * spec.segment + i, idIn, proof: step });
    idIn = step.idEnd;
  }
  if (idIn !== answer.idTo || answer.steps.length !== spec.segment)
    return fail(round.round, `the steps of seat ${seat} do not lead to the segment's end`);
  return answer.steps.length;
}

/** Ids at the ends of the round come from the chain, those between from the committed tree. */
function checkEnds(audit: Audit, round: RoundEvents, answer: SlotAnswer, segment: number): void {
  const commit = round.commits.get(Number(answer.seat));
  if (commit === undefined || commit.idEnd !== answer.idEnd || commit.stepsRoot !== answer.stepsRoot)
    return fail(round.round, `seat ${answer.seat} proved for another commitment than its own`);
  const segments = segmentsOf(audit.spec);
  const opens = (index: number, id: Hex, path: readonly Hex[]): boolean =>
    toHex(merkleRootFromPath(fromHex(id), index, segments - 1, path.map(fromHex))) === answer.stepsRoot;
  const from = segment === 0 ? answer.idFrom === audit.modelId : opens(segment - 1, answer.idFrom, answer.pathFrom);
  const to = segment + 1 === segments ? answer.idTo === answer.idEnd : opens(segment, answer.idTo, answer.pathTo);
  if (!from || !to) fail(round.round, `the segment of seat ${answer.seat} has other ends than committed`);
}

async function checkStep(
  audit: Audit,
  { round }: RoundEvents,
  { seat, step, idIn, proof }: { seat: number; step: number; idIn: Hex; proof: SlotAnswer["steps"][number] },
): Promise<void> {
  const { chain, spec, jobId, system, workers, batchSeed, verifier } = audit;
  const worker = workers[seat]!;
  const batch = batchIndex(batchSeed, worker, round, step, spec.nBatches);
  const leaf = fromHex(proof.batchLeaf);
  const root = merkleRootFromPath(leaf, Number(batch), Number(spec.nBatches), proof.batchPath.map(fromHex));
  if (toHex(root) !== spec.dataRoot) fail(round, `seat ${seat} used another batch in step ${step}`);
  const context = stepContext({
    chainId: chain.chainId,
    jobBoard: chain.addresses.jobBoard,
    verifierId: spec.stepVerifier,
    jobId,
    worker,
    round,
    step,
    dataRoot: spec.dataRoot,
    batchIndex: batch,
  });
  const header = { chainId: chain.chainId, verifier, context, idIn, idOut: proof.idEnd, idData: proof.batchLeaf };
  try {
    await system.verify(header, fromHex(proof.proof));
  } catch (error) {
    if (error instanceof Rejection) fail(round, `the proof of seat ${seat}, step ${step} is refused: ${error.check}`);
    throw error;
  }
}
