import { drawnSegments, fromHex, merkleRootFromPath, segmentsOf, toHex, type Hex } from "@skynet/protocol";
import type { AnsweringSeat } from "./audit-answer.ts";
import { batchesOfRound } from "./dataset-plan.ts";
import type { PeerModules } from "./job-peer.ts";
import type { JobSnapshot, SlotAnswer } from "./ports.ts";

/**
 * Whether the contract would take this answer now: a stored one may be damaged, or belong to a draw or a commitment that
 * a reorganisation of the chain has replaced.
 */
export async function isCurrentAnswer(
  { trainer, chain }: PeerModules,
  { snapshot, seat }: AnsweringSeat,
  answer: SlotAnswer,
): Promise<boolean> {
  const segment = drawnSegments(snapshot.seed, snapshot.selected, snapshot, seat)[answer.slot];
  if (segment === undefined || !hasRightEnds(snapshot, seat, answer, segment)) return false;
  const plan = batchesOfRound(snapshot, chain.self, snapshot.round);
  let idIn = answer.idFrom;
  for (const [i, step] of answer.steps.entries()) {
    const number = segment * snapshot.segment + i;
    const batch = plan[number]!;
    const path = step.batchPath.map(fromHex);
    if (!leadsTo(snapshot.dataRoot, step.batchLeaf, batch, snapshot.nBatches, path)) return false;
    const header = await chain.stepHeader(snapshot.round, number, batch);
    if (!(await trainer.verifyStep(header, idIn, step))) return false;
    idIn = step.idEnd;
  }
  return idIn === answer.idTo;
}

/** Ids at the ends of the round come from the chain, those between from the committed tree. */
function hasRightEnds(snapshot: JobSnapshot, seat: number, answer: SlotAnswer, segment: number): boolean {
  const commitment = snapshot.commits.get(seat);
  const { idEnd, stepsRoot } = answer;
  if (answer.seat !== seat || idEnd !== commitment?.idEnd || stepsRoot !== commitment.stepsRoot) return false;
  const segments = segmentsOf(snapshot);
  const isBoundary = (boundary: number, id: Hex, path: readonly Hex[]) => {
    if (boundary === 0 || boundary === segments)
      return path.length === 0 && id === (boundary === 0 ? snapshot.modelId : idEnd);
    return leadsTo(stepsRoot, id, boundary - 1, segments - 1, path.map(fromHex));
  };
  return (
    answer.steps.length === snapshot.segment &&
    isBoundary(segment, answer.idFrom, answer.pathFrom) &&
    isBoundary(segment + 1, answer.idTo, answer.pathTo)
  );
}

function leadsTo(root: Hex, leaf: Hex, index: number, count: number, path: readonly Uint8Array[]): boolean {
  try {
    return toHex(merkleRootFromPath(fromHex(leaf), index, count, path)) === root;
  } catch {
    return false;
  }
}
