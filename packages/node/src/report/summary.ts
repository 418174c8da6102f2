import type { RoundReport } from "@skynet/swarm";

/** Gas of one kind of transaction. */
export interface GasFigures {
  readonly count: number;
  readonly mean: number;
  readonly total: number;
}

/** How a job was verified. */
export interface ProofFigures {
  readonly mode: "proof" | "quorum";
  /** Whether commitments and proofs were zero-knowledge. */
  readonly zk: boolean;
  /** Steps that were proven on chain. */
  readonly proofs: number;
  /** Pairs of a worker and a round in which every drawn segment was proven. */
  readonly provenWorkerRounds: number;
  /** Steps of a segment; 0 in quorum mode. */
  readonly segment: number;
  /** Local steps of a round. */
  readonly steps: number;
  readonly gas: Readonly<Record<"prove" | "commit" | "draw" | "merge", GasFigures>>;
  /** Workers that lost their stake. */
  readonly slashed: number;
  /** Addresses by seat. */
  readonly workerIds: readonly string[];
}

/** What a model was trained on: with the files and the seed, anybody who has them repeats the batches. */
export interface DataFigures {
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly sha256: string; readonly bytes: number }[];
  /** Of the order of the samples. */
  readonly seed: number;
  readonly batchSize: number;
  readonly rows: { readonly train: number; readonly test: number; readonly dropped: number };
  readonly classes: readonly string[];
}

/** What a finished job amounts to. Money in the token's smallest unit: budget = paid + refunded + burned. */
export interface Summary extends ProofFigures {
  readonly jobId: string;
  readonly name: string;
  readonly outcome: string;
  readonly data: DataFigures;
  /** Share of the test set that the final model classifies correctly, 0 to 1; none without a model, or without test data. */
  readonly testAccuracy: number | undefined;
  /** Rounds that were merged. */
  readonly rounds: number;
  /** Workers that were assigned. */
  readonly workers: number;
  readonly statesIdentical: boolean;
  readonly budget: bigint;
  readonly paid: bigint;
  readonly refunded: bigint;
  /** Part of the budget that was burned (a disputed hold-back). */
  readonly burned: bigint;
  /** Burned from stakes: penalties for missed rounds; not part of the budget. */
  readonly stakeBurned: bigint;
  readonly trainSeconds: number;
  readonly perRound: readonly RoundReport[];
  readonly token: { readonly decimals: number; readonly symbol: string };
  readonly modelId: string;
  /** None when the job ended without a model. */
  readonly modelFile: string | undefined;
  readonly reportFile: string;
}

const endings: Record<string, string> = {
  EXPIRED: "too few workers joined in time; the budget was refunded",
  ABORTED: "too few workers became ready in time; the budget was refunded",
  CANCELLED: "it was cancelled; the budget was refunded",
  STOPPED: "it was stopped before its last round",
  HALTED: "too many rounds failed, or too few workers were left",
};

/** What went wrong, in words; undefined for a job that completed and left its model. */
export function failureOf({ outcome, modelFile }: Summary): string | undefined {
  if (outcome !== "COMPLETED") return `the job ended as ${outcome}: ${endings[outcome] ?? "see the report"}`;
  return modelFile === undefined ? "the job completed, but no worker gave the requester the model" : undefined;
}

/** As written by `--json FILE`: amounts are JSON integers in the smallest unit, decimal strings beyond 2^53. */
export function summaryJson(summary: Summary): Record<string, unknown> {
  const amount = (value: bigint) => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString());
  const { budget, paid, refunded, burned, stakeBurned, ...rest } = summary;
  return {
    ...rest,
    budget: amount(budget),
    paid: amount(paid),
    refunded: amount(refunded),
    burned: amount(burned),
    stakeBurned: amount(stakeBurned),
  };
}
