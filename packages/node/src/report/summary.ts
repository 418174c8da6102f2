import type { RoundReport } from "@skynet/swarm";

/** What a finished job amounts to. Money in the token's smallest unit: budget = paid + refunded + burned. */
export interface Summary {
  readonly jobId: string;
  readonly name: string;
  readonly outcome: string;
  /** Share of the test set that the final model classifies correctly, 0 to 1. */
  readonly testAccuracy: number;
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
  readonly modelFile: string;
  readonly reportFile: string;
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
