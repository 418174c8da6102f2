import {
  batchIndex,
  fromHex,
  merkleRootFromPath,
  segmentOfSlot,
  segmentsOf,
  SkyNetError,
  toHex,
  type Hex,
  type JobSpec,
} from "@skynet/protocol";
import type { Address, Commitment, SlotAnswer } from "./ports.ts";

/**
 * Stands for the contracts' curve operations and the proof's verifier: points are the weights themselves with their
 * blinders, and a step is checked by doing it again, which is what a proof shows.
 */
export interface SimulatedVerifier {
  idOf(points: Uint8Array): Hex;
  /** Id of the average. */
  average(base: Uint8Array, updates: readonly Uint8Array[]): Hex;
  /** Whether the step from one id to the other on this batch is exactly the model's; `proof` is the witness. */
  isStep(idIn: Hex, idOut: Hex, batch: number, proof: Uint8Array): boolean;
}

/** What the chain knows of the round and the seat. */
export interface AnswerFacts {
  readonly spec: JobSpec;
  readonly round: number;
  readonly seed: Hex;
  readonly modelId: Hex;
  readonly worker: Address;
  readonly jobSeed: Hex;
  readonly commitment: Commitment | undefined;
}

/** The checks of the contract in its order. @throws SkyNetError named like the contract's error */
export function checkAnswer(answer: SlotAnswer, verifier: SimulatedVerifier, facts: AnswerFacts): void {
  const { spec, round, seed, worker, jobSeed, commitment } = facts;
  if (answer.idEnd !== commitment?.idEnd || answer.stepsRoot !== commitment.stepsRoot) refuse("CommitMismatch");
  const segment = segmentOfSlot(seed, spec, answer.seat, answer.slot);
  checkBoundary(facts, answer, segment, answer.idFrom, answer.pathFrom);
  checkBoundary(facts, answer, segment + 1, answer.idTo, answer.pathTo);
  if (answer.steps.length !== spec.segment) refuse("BadLength");
  let id = answer.idFrom;
  answer.steps.forEach(({ idEnd, batchLeaf, batchPath, proof }, i) => {
    const step = segment * spec.segment + i;
    const batch = Number(batchIndex(jobSeed, worker, round, step, spec.nBatches));
    const root = merkleRootFromPath(fromHex(batchLeaf), batch, Number(spec.nBatches), batchPath.map(fromHex));
    if (toHex(root) !== spec.dataRoot) refuse("BadPath");
    if (!verifier.isStep(id, idEnd, batch, proof)) refuse("ProofRejected");
    id = idEnd;
  });
  if (id !== answer.idTo) refuse("BrokenChain");
}

/** The ends of the round come from the chain, the rest from the worker's tree. */
function checkBoundary(
  { spec, modelId }: AnswerFacts,
  answer: SlotAnswer,
  boundary: number,
  id: Hex,
  path: readonly Hex[],
): void {
  const segments = segmentsOf(spec);
  if (boundary === 0 || boundary === segments) {
    if (id !== (boundary === 0 ? modelId : answer.idEnd) || path.length > 0) refuse("BadEnd");
    return;
  }
  const root = merkleRootFromPath(fromHex(id), boundary - 1, segments - 1, path.map(fromHex));
  if (toHex(root) !== answer.stepsRoot) refuse("BadPath");
}

function refuse(code: string): never {
  throw new SkyNetError(code, `the answer is refused: ${code}`);
}
