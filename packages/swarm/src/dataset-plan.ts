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

/** Distinct values in the order of their first use. */
export const distinct = (indices: readonly number[]): number[] => [...new Set(indices)];

export const ZERO_32: Hex = `0x${"00".repeat(32)}`;
