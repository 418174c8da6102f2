import { decode, encode, fromHex, keccak256, merkleRoot, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { z } from "zod";
import { batchesOfJob, batchesOfRound } from "./dataset-plan.ts";
import { SwarmError } from "./errors.ts";
import type { JobPeer, PeerModules } from "./job-peer.ts";
import type {
  BlindedWeights,
  CommittedBatch,
  CommittedWeights,
  Commitment,
  DatasetBatch,
  JobSnapshot,
  RoundStart,
  TrainingBatch,
} from "./ports.ts";
import { bytes, bytesOf } from "./schemas.ts";

/** Batches of the dataset, decrypted and checked against the dataset's root. */
export interface BatchSource {
  batch(index: number, signal?: AbortSignal): Promise<DatasetBatch>;
  /** Proof mode: the points of a batch, and its Merkle path in the dataset. */
  readonly commitments?: { points(index: number): Uint8Array; path(index: number): readonly Hex[] } | undefined;
}

/** What a worker made of its round. */
export interface LocalResult extends CommittedWeights {
  readonly id: Hex;
  /** Ids of the weights between the segments. */
  readonly interior: readonly Uint8Array[];
  /** The change as it travels to the others. */
  readonly update: Uint8Array;
}

interface StoredContent {
  /** What the result follows from: the seed that decides the batches, and the weights before. */
  readonly jobSeed: Uint8Array;
  readonly modelId: Uint8Array;
  readonly update: Uint8Array;
  readonly interior: readonly Uint8Array[];
}

/** What is committed from a file decides about the stake, so that a damaged one must be noticed before. */
const storedSchema = z
  .strictObject({
    jobSeed: bytesOf(32),
    modelId: bytesOf(32),
    update: bytes,
    interior: z.array(bytesOf(32)),
    checksum: bytesOf(32),
  })
  .refine((stored) => toHex(checksumOf(stored)) === toHex(stored.checksum), "the checksum is another");
const checksumOf = ({ jobSeed, modelId, update, interior }: StoredContent) =>
  keccak256(jobSeed, modelId, update, ...interior);
const fileOf = (round: number) => `update-${round}.cbor`;

/** How many batches are fetched ahead of the step that needs them. */
const PREFETCH = 8;
const REPORT_EVERY = 16;

/** H local steps from W_r. The result is on disk before it is returned, so nothing is committed that could be lost. */
export async function trainRound(
  { trainer, clock, files, chain }: PeerModules,
  base: RoundStart,
  snapshot: JobSnapshot,
  batches: BatchSource,
  signal: AbortSignal,
  onProgress: (step: number, steps: number) => void,
): Promise<{ result: LocalResult; trainMs: number; trainLoss: number }> {
  const startedMs = clock.nowMs();
  const plan = batchesOfRound(snapshot, chain.self, snapshot.round);
  await trainer.setWeights(base);
  const interior: Uint8Array[] = [];
  const pending = new Map<number, Promise<TrainingBatch>>();
  let lossSum = 0;
  for (const [step, index] of plan.entries()) {
    signal.throwIfAborted();
    for (const ahead of plan.slice(step, step + PREFETCH)) {
      if (pending.has(ahead)) continue;
      const batch = batches.batch(ahead, signal);
      // Awaited when its step comes; until then its failure is not an unhandled one.
      batch.catch(() => undefined);
      pending.set(ahead, batch);
    }
    lossSum += await trainer.step(await pending.get(index)!);
    if (!plan.slice(step + 1, step + PREFETCH).includes(index)) pending.delete(index);
    const done = step + 1;
    if (done % snapshot.segment === 0 && done < plan.length) interior.push(fromHex((await trainer.checkpoint()).id));
    if (done % REPORT_EVERY === 0 || done === plan.length) onProgress(done, plan.length);
  }
  const end = await trainer.checkpoint();
  const weights = await trainer.weights();
  signal.throwIfAborted();
  const update = await trainer.encodeUpdate(base.weights, { weights, blinders: end.blinders });
  const { jobSeed, modelId } = snapshot;
  const content: StoredContent = { jobSeed: fromHex(jobSeed), modelId: fromHex(modelId), update, interior };
  await files.write(fileOf(snapshot.round), encode({ ...content, checksum: checksumOf(content) }));
  return {
    result: { weights, ...end, interior, update },
    trainMs: clock.nowMs() - startedMs,
    trainLoss: lossSum / plan.length,
  };
}

/** Result of this round from before a restart, if there is an undamaged one for the present weights and batches. */
export async function storedRound(
  { files, trainer }: PeerModules,
  peer: JobPeer,
  { round, jobSeed }: Pick<JobSnapshot, "round" | "jobSeed">,
): Promise<LocalResult | undefined> {
  const stored = parsed(await files.read(fileOf(round)));
  const { base } = peer;
  if (stored === undefined || base === undefined) return undefined;
  if (toHex(stored.modelId) !== base.modelId || toHex(stored.jobSeed) !== jobSeed) return undefined;
  const { update, interior } = stored;
  let made: BlindedWeights;
  try {
    made = await trainer.applyUpdate(base.weights, update);
  } catch (error) {
    if (error instanceof SkyNetError && ["BadDelta", "BadBlinders"].includes(error.code)) return undefined;
    throw error;
  }
  const { weights, blinders } = made;
  return { weights, ...(await trainer.identify(weights, blinders, base)), interior, update };
}

/** A damaged file is as good as none. */
function parsed(stored: Uint8Array | undefined): z.infer<typeof storedSchema> | undefined {
  if (stored === undefined) return undefined;
  try {
    return storedSchema.parse(decode(stored));
  } catch {
    return undefined;
  }
}

/** What a result commits to. */
export const commitmentOf = ({ id, interior }: Pick<LocalResult, "id" | "interior">): Commitment => ({
  idEnd: id,
  stepsRoot: toHex(merkleRoot(interior)),
});

/**
 * Proof mode: fetches the batches of all rounds and checks that they are those behind the points, all at once: a worker
 * that could not prove a step must know before it is ready.
 */
export async function checkAllBatches(
  { trainer, chain, signal }: PeerModules,
  snapshot: JobSnapshot,
  source: BatchSource,
): Promise<void> {
  const { commitments } = source;
  if (commitments === undefined) throw new SwarmError("BadMetadata", "the dataset has no commitments");
  const indices = batchesOfJob(snapshot, chain.self);
  await prefetchBatches(source, indices, signal);
  const batches: CommittedBatch[] = [];
  for (const index of indices)
    batches.push({ ...(await source.batch(index, signal)), points: commitments.points(index) });
  await trainer.checkBatches(batches);
}

/** Fetches these batches, a few at a time, so that the first round starts from the disk. */
export async function prefetchBatches(
  batches: BatchSource,
  indices: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < indices.length) await batches.batch(indices[next++]!, signal);
  };
  await Promise.all(Array.from({ length: PREFETCH }, lane));
}
