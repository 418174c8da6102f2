import { decode, drawnSegments, encode, merklePath, segmentsOf, toHex, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { batchesOfRound } from "./dataset-plan.ts";
import { SwarmError } from "./errors.ts";
import type { PeerModules } from "./job-peer.ts";
import type { BatchSource, LocalResult } from "./local-training.ts";
import type { JobFiles, JobSnapshot, RoundStart, SlotAnswer } from "./ports.ts";
import { bytes } from "./schemas.ts";

const hash = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/)
  .transform((text) => text as Hex);
const path = z.array(hash).max(32);
const answerSchema = z.strictObject({
  seat: z.number().int().min(0).max(255),
  slot: z.number().int().min(0).max(15),
  idEnd: hash,
  stepsRoot: hash,
  idFrom: hash,
  pathFrom: path,
  idTo: hash,
  pathTo: path,
  steps: z
    .array(z.strictObject({ idEnd: hash, batchLeaf: hash, batchPath: path, proof: bytes }))
    .min(1)
    .max(4),
});
const fileOf = (round: number, slot: number) => `answer-${round}-${slot}.cbor`;

/** An answer that was made before, perhaps before a restart; none when it is damaged. */
export async function storedAnswer(files: JobFiles, round: number, slot: number): Promise<SlotAnswer | undefined> {
  const stored = await files.read(fileOf(round, slot));
  if (stored === undefined) return undefined;
  try {
    return answerSchema.parse(decode(stored));
  } catch {
    return undefined;
  }
}

/** Whose answers. */
export interface AnsweringSeat {
  readonly snapshot: JobSnapshot;
  readonly seat: number;
}

/** A worker's round, as its answers need it. */
export interface ProvenRound extends AnsweringSeat {
  /** W_r. */
  readonly base: RoundStart;
  /** What was committed. */
  readonly result: LocalResult;
  readonly batches: BatchSource;
}

/**
 * Makes the answers to these audit slots, each on disk before it is given away: walks the round again from W_r, and
 * proves the steps of the drawn segments on the way.
 * @throws SwarmError `NotReproducible` when the walk does not meet the ids that were committed
 */
export async function* makeAnswers(
  modules: PeerModules,
  round: ProvenRound,
  slots: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<SlotAnswer> {
  const { trainer, files, chain } = modules;
  const { snapshot, seat, base, result, batches } = round;
  const drawn = drawnSegments(snapshot.seed, snapshot.selected, snapshot, seat);
  const plan = batchesOfRound(snapshot, chain.self, snapshot.round);
  const idAt = boundaryIds(round);
  const stepsRoot = commitmentOf(round).stepsRoot;
  await trainer.setWeights(base);
  let done = 0;
  for (const slot of slots.toSorted((a, b) => drawn[a]! - drawn[b]!)) {
    const segment = drawn[slot]!;
    for (; done < segment * snapshot.segment; done++) {
      signal.throwIfAborted();
      await trainer.step(await batches.batch(plan[done]!, signal));
    }
    expectId((await trainer.checkpoint()).id, idAt(segment));
    const steps: SlotAnswer["steps"][number][] = [];
    for (; done < (segment + 1) * snapshot.segment; done++) {
      signal.throwIfAborted();
      const index = plan[done]!;
      const header = await chain.stepHeader(snapshot.round, done, index);
      const step = await trainer.proveStep(header, await batches.batch(index, signal));
      steps.push({ ...step, batchPath: pathOf(batches, index) });
    }
    expectId(steps.at(-1)!.idEnd, idAt(segment + 1));
    const answer: SlotAnswer = {
      seat,
      slot,
      idEnd: result.id,
      stepsRoot,
      idFrom: idAt(segment),
      pathFrom: pathTo(round, segment),
      idTo: idAt(segment + 1),
      pathTo: pathTo(round, segment + 1),
      steps,
    };
    await files.write(fileOf(snapshot.round, slot), encode(answer));
    yield answer;
  }
}

/** What the chain holds of the seat; the stored result must be the committed one. */
function commitmentOf({ snapshot, seat, result }: ProvenRound) {
  const commitment = snapshot.commits.get(seat);
  if (commitment === undefined) throw new SwarmError("NotYet", "the own commitment is not seen on chain yet");
  expectId(result.id, commitment.idEnd);
  return commitment;
}

function pathOf({ commitments }: BatchSource, index: number): readonly Hex[] {
  if (commitments === undefined) throw new SwarmError("BadMetadata", "the dataset has no commitments");
  return commitments.path(index);
}

/** Id of the weights before segment k; the ends come from the contract. */
function boundaryIds({ snapshot, result }: ProvenRound): (boundary: number) => Hex {
  const last = segmentsOf(snapshot);
  return (boundary) => {
    if (boundary === 0) return snapshot.modelId;
    return boundary === last ? result.id : toHex(result.interior[boundary - 1]!);
  };
}

function pathTo({ snapshot, result }: ProvenRound, boundary: number): Hex[] {
  if (boundary === 0 || boundary === segmentsOf(snapshot)) return [];
  return merklePath(result.interior, boundary - 1).map(toHex);
}

function expectId(found: Hex, committed: Hex): void {
  if (found !== committed)
    throw new SwarmError("NotReproducible", `the steps lead to ${found}, but ${committed} was committed`);
}
