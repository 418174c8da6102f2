// What the seats of the fuzz tests have trained: ids that follow from job, round and seat.
import { fromHex, JobMode, merklePath, merkleRoot, segmentOfSlot, segmentsOf, toHex } from "@skynet/protocol";
import type { Hex } from "@skynet/protocol";
import type { LiveJob } from "./agent.ts";
import type { AnswerArgument } from "./board-proofs.ts";
import { badPoints, batchesOf, weightsNamed } from "./job-terms.ts";
import { hashWords } from "./words.ts";
import { testProof } from "./verifier-model.ts";
import type { World } from "./world.ts";

export interface SeatWork {
  /** Before the round, and after each step. */
  readonly ids: readonly Hex[];
  readonly interior: readonly Uint8Array[];
  readonly stepsRoot: Hex;
  readonly idEnd: Hex;
  readonly points: Hex;
}

/** One of these is not on the curve: a worker can commit to it, but its update can never be merged. */
const BAD_SEAT_OF_64 = 63;

const remembered = new Map<string, SeatWork>();

export function workOf(world: World, job: LiveJob, seat: number): SeatWork {
  const key = `${job.jobId} ${job.state.round} ${seat} ${job.modelId}`;
  let work = remembered.get(key);
  if (work === undefined) {
    work = newWork(world, job, seat);
    if (remembered.size > 2_000) remembered.clear();
    remembered.set(key, work);
  }
  return work;
}

function newWork(world: World, job: LiveJob, seat: number): SeatWork {
  const { spec, state, modelId, jobId } = job;
  const blocks = world.verifierRegistry.entries.get(spec.stepVerifier)?.weightBlocks ?? 1;
  const choice = Number(BigInt(hashWords(jobId, state.round, seat)) & 63n);
  const name = `update ${seat} ${choice & 3}`;
  const { points, id } = choice === BAD_SEAT_OF_64 ? badPoints(name, blocks) : weightsNamed(name, blocks);
  const segments = spec.mode === JobMode.PROOF ? segmentsOf(spec) : 1;
  const inner = Array.from({ length: spec.steps - 1 }, (_, step) => hashWords(jobId, state.round, seat, step));
  const ids = [modelId, ...inner, id];
  const interior = Array.from({ length: segments - 1 }, (_, k) => fromHex(ids[(k + 1) * spec.segment]!));
  return { ids, interior, stepsRoot: toHex(merkleRoot(interior)), idEnd: id, points };
}

/** The right answer to an audit slot. */
export function answerOf(world: World, job: LiveJob, seat: number, slot: number): AnswerArgument {
  const { spec, seed, jobId } = job;
  const { ids, interior, idEnd, stepsRoot } = workOf(world, job, seat);
  const segment = segmentOfSlot(seed, spec, seat, slot);
  const batches = batchesOf(Number(spec.nBatches));
  const path = (boundary: number) =>
    boundary === 0 || boundary === segmentsOf(spec) ? [] : merklePath(interior, boundary - 1).map(toHex);
  const steps = Array.from({ length: spec.segment }, (_, i) => {
    const step = segment * spec.segment + i;
    const { context, batch } = world.board.proofs.statement(jobId, job, seat, step);
    const batchLeaf = toHex(batches[Number(batch)]!);
    const [idIn, idOut] = [ids[step]!, ids[step + 1]!];
    const batchPath = merklePath(batches, Number(batch)).map(toHex);
    return { idEnd: idOut, batchLeaf, batchPath, proof: testProof(context, idIn, idOut, batchLeaf) };
  });
  return {
    seat: BigInt(seat),
    slot: BigInt(slot),
    idEnd,
    stepsRoot,
    idFrom: ids[segment * spec.segment]!,
    pathFrom: path(segment),
    idTo: ids[(segment + 1) * spec.segment]!,
    pathTo: path(segment + 1),
    steps,
  };
}
