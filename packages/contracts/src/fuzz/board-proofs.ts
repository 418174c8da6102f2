// What `JobProofs.sol` and `JobMerge.sol` check, in the model.
import {
  batchIndex,
  commitHashOf,
  drawSeed,
  hasSeat,
  JobPhase,
  merkleRootFromPath,
  fromHex,
  seatBit,
  segmentOfSlot,
  segmentsOf,
  selectedSeats,
  stepContext,
  toHex,
  includedSeats,
} from "@skynet/protocol";
import type { Hex, JobSpec } from "@skynet/protocol";
import { zeroHash } from "viem";
import type { BoardJob, BoardState } from "./board-state.ts";
import { averageWeights, idOfPoints, pointsOf } from "./curve-points.ts";
import type { Weights } from "./curve-points.ts";
import { need } from "./journal.ts";
import { hashWords } from "./words.ts";

export interface StepProofArgument {
  readonly idEnd: Hex;
  readonly batchLeaf: Hex;
  readonly batchPath: readonly Hex[];
  readonly proof: Hex;
}

export interface AnswerArgument {
  readonly seat: bigint;
  readonly slot: bigint;
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
  readonly idFrom: Hex;
  readonly pathFrom: readonly Hex[];
  readonly idTo: Hex;
  readonly pathTo: readonly Hex[];
  readonly steps: readonly StepProofArgument[];
}

export interface UpdateArgument {
  readonly seat: bigint;
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
  readonly points: Hex;
}

const MAX_POINTS = 1024;
const STEP = 1;

function contains(root: Hex, leaf: Hex, index: number, count: number, path: readonly Hex[]): boolean {
  try {
    return toHex(merkleRootFromPath(fromHex(leaf), index, count, path.map(fromHex))) === root;
  } catch {
    return false;
  }
}

/** Weights behind the ids that the tests have made: the model cannot find them in the points. */
export const weightsOfId = new Map<Hex, Weights>();

export class BoardProofs {
  readonly #board: BoardState;

  constructor(board: BoardState) {
    this.#board = board;
  }

  checkTerms(spec: JobSpec): void {
    const { verifiers, env } = this.#board.modules;
    const entry = verifiers.entries.get(spec.stepVerifier);
    need(verifiers.isLive(spec.stepVerifier) && entry?.kind === STEP, "BadVerifier");
    need(spec.seats * entry.weightBlocks <= MAX_POINTS, "TooManyPoints");
    need(env.hasCode(spec.beacon), "BadBeacon");
  }

  noteCommit(jobId: Hex, spec: JobSpec, round: number, idEnd: Hex, stepsRoot: Hex): void {
    const { idRounds } = this.#board;
    need(idRounds.get(jobId, idEnd) !== round + 1, "DuplicateId");
    need(segmentsOf(spec) > 1 || stepsRoot === zeroHash, "BadRoot");
    idRounds.set([jobId, idEnd], round + 1);
  }

  draw(jobId: Hex): void {
    const job = this.#board.needPhase(jobId, JobPhase.DRAW);
    // a ticket of 0 comes from a beacon that is none
    const hash = job.ticket === 0 ? undefined : this.#board.modules.env.blockhash(job.ticket);
    need(hash !== undefined, "BeaconNotReady");
    const seed = drawSeed(hashWords(hash), jobId, job.state.round);
    this.#board.change(jobId, { seed });
    const selected = selectedSeats(seed, job.state.committed, job.spec.auditBps);
    this.#board.conclude(jobId, { type: "draw", selected });
  }

  prove(jobId: Hex, answer: AnswerArgument): void {
    const job = this.#board.get(jobId);
    const seat = Number(answer.seat);
    this.#board.conclude(jobId, { type: "prove", seat, slot: Number(answer.slot) });
    this.#check(jobId, job!, seat, answer);
    this.#board.modules.registry.count(job!.state.workers[seat]!, "proofs");
  }

  /** `job` as it was before the event. */
  #check(jobId: Hex, job: BoardJob, seat: number, answer: AnswerArgument): void {
    const { spec, state, modelId, seed } = job;
    const committed = commitHashOf(state.round, answer.idEnd, answer.stepsRoot);
    need(committed === this.#board.commitHashes.get(jobId, String(seat)), "CommitMismatch");
    const segment = segmentOfSlot(seed, spec, seat, Number(answer.slot));
    const last = segmentsOf(spec) - 1;
    const requireEnd = (id: Hex, expected: Hex, path: readonly Hex[]) => {
      need(id === expected, "BadEnd");
      need(path.length === 0, "BadPath");
    };
    const root = answer.stepsRoot;
    if (segment === 0) requireEnd(answer.idFrom, modelId, answer.pathFrom);
    else need(contains(root, answer.idFrom, segment - 1, last, answer.pathFrom), "BadPath");
    if (segment === last) requireEnd(answer.idTo, answer.idEnd, answer.pathTo);
    else need(contains(root, answer.idTo, segment, last, answer.pathTo), "BadPath");
    this.#checkSteps(jobId, job, seat, segment, answer);
  }

  #checkSteps(jobId: Hex, job: BoardJob, seat: number, segment: number, answer: AnswerArgument): void {
    const { spec } = job;
    const { verifiers } = this.#board.modules;
    need(answer.steps.length === spec.segment, "BadLength");
    let id = answer.idFrom;
    for (const [i, { idEnd, batchLeaf, batchPath, proof }] of answer.steps.entries()) {
      const step = segment * spec.segment + i;
      const { context, batch } = this.statement(jobId, job, seat, step);
      need(contains(spec.dataRoot, batchLeaf, Number(batch), Number(spec.nBatches), batchPath), "BadPath");
      need(verifiers.verify(spec.stepVerifier, context, id, idEnd, batchLeaf, proof), "ProofRejected", BigInt(step));
      id = idEnd;
    }
    need(id === answer.idTo, "BrokenChain");
  }

  /** What a proof of a step is made for, and the batch of the step. */
  statement(
    jobId: Hex,
    { spec, state, batchSeed }: BoardJob,
    seat: number,
    step: number,
  ): { context: Hex; batch: bigint } {
    const { env } = this.#board.modules;
    const worker = state.workers[seat]!;
    const batch = batchIndex(batchSeed, worker, state.round, step, spec.nBatches);
    const context = stepContext({
      chainId: env.chainId,
      jobBoard: env.addresses.jobBoard,
      verifierId: spec.stepVerifier,
      jobId,
      worker,
      round: state.round,
      step,
      dataRoot: spec.dataRoot,
      batchIndex: batch,
    });
    return { context, batch };
  }

  /** Id of the next model, from the points of the included seats. */
  nextId(jobId: Hex, job: BoardJob, basePoints: Hex, updates: readonly UpdateArgument[]): Hex {
    const { spec, state, modelId } = job;
    const { weightsTag, weightBlocks } = this.#board.modules.verifiers.entries.get(spec.stepVerifier)!;
    const requirePoints = (points: Hex, id: Hex) => {
      need(points.length === 2 + 128 * weightBlocks, "WrongPoints");
      need(idOfPoints(weightsTag, points) === id, "WrongPoints");
    };
    requirePoints(basePoints, modelId);
    let seats = 0n;
    const weights: Weights[] = [];
    for (const { seat, idEnd, stepsRoot, points } of updates) {
      need(seat < 256n && seats >> seat === 0n, "WrongSeats");
      seats |= seatBit(Number(seat));
      const committed = commitHashOf(state.round, idEnd, stepsRoot);
      need(committed === this.#board.commitHashes.get(jobId, seat.toString()), "WrongCommit", seat);
      requirePoints(points, idEnd);
      const own = weightsOfId.get(idEnd);
      need(own !== undefined, "BadPoint");
      weights.push(own);
    }
    need(seats === includedSeats(state), "WrongSeats");
    const next = averageWeights(weightsOfId.get(modelId)!, weights, spec.averaging);
    const id = idOfPoints(weightsTag, pointsOf(next));
    weightsOfId.set(id, next);
    return id;
  }

  /** Segments that the seat still owes, with their slots. */
  owedSlots({ spec, state }: BoardJob, seat: number): number[] {
    if (!hasSeat(state.selected, seat)) return [];
    const mask = state.proofMasks[seat]!;
    return Array.from({ length: spec.auditSteps }, (_, slot) => slot).filter((slot) => (mask & (1 << slot)) === 0);
  }
}
