import { batchIndex, type Hex } from "@skynet/protocol";
import type { Address, JobSnapshot } from "./ports.ts";

/** Batch of each local step of a worker's round: fixed by the job's seed, so nobody chooses its own data. */
export function batchesOfRound(
  snapshot: Pick<JobSnapshot, "jobSeed" | "steps" | "nBatches">,
  worker: Address,
  round: number,
): number[] {
  return Array.from({ length: snapshot.steps }, (_, step) =>
    Number(batchIndex(snapshot.jobSeed, worker, round, step, BigInt(snapshot.nBatches))),
  );
}

/** Distinct batches of all rounds of a worker: those that it may open. */
export function batchesOfJob(
  snapshot: Pick<JobSnapshot, "jobSeed" | "steps" | "nBatches" | "rounds">,
  worker: Address,
): number[] {
  const found = new Set<number>();
  for (let round = 0; round < snapshot.rounds && found.size < snapshot.nBatches; round++)
    for (const index of batchesOfRound(snapshot, worker, round)) found.add(index);
  return [...found];
}

/** Distinct values in the order of their first use. */
export const distinct = (indices: readonly number[]): number[] => [...new Set(indices)];

export const ZERO_32: Hex = `0x${"00".repeat(32)}`;
