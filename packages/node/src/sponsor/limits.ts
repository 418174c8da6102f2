import { costOfAnswer, type ProofShape } from "@skynet/swarm";
import type { JobFile } from "../job-file.ts";
import type { BudgetLimits } from "./budget.ts";

/** Registration, capabilities, deposit, stake and join take 0.5 M; the join that fills 256 seats, 0.8 M more. */
export const NEWCOMER_GAS = 1_500_000n;
/** Registration, stake, join, readiness, claims, withdrawal, and some repetitions. */
const ONCE_GAS = 3_000_000n;
/** Commit, draw, attestation, and a merge when it falls to this worker. */
const ROUND_GAS = 5_000_000n;
/** Of the estimate of a proof; and jobs of one day, so that no job is stopped by those before it. */
const MARGIN = 2n;
const JOBS_A_DAY = 10n;
/** Deep enough for the Merkle path of any dataset. */
const MANY_BATCHES = 65_536;

/**
 * What a requester pays for its own job: whatever an honest worker can need, because one whose sponsor stops in the
 * middle loses a part of its stake.
 */
export function limitsForJob(
  { training, verification, workers }: JobFile,
  proof: ProofShape | undefined,
): BudgetLimits {
  const { segment, auditSegments: auditSteps } = verification;
  const terms = { steps: training.localSteps, segment, auditSteps, nBatches: MANY_BATCHES };
  const proofs = proof ? BigInt(Math.ceil(costOfAnswer(proof, terms).gas)) * BigInt(auditSteps) : 0n;
  // a failed round is repeated within the number of rounds
  const workerGas = ONCE_GAS + BigInt(training.rounds) * (ROUND_GAS + MARGIN * proofs);
  const seats = BigInt(workers.count);
  const [jobGas, newcomerGas] = [seats * workerGas, NEWCOMER_GAS];
  // newcomers cannot spend what the seats need, neither of the job nor of the day
  return { workerGas, jobGas, newcomerGas, dayGas: JOBS_A_DAY * (jobGas + seats * newcomerGas) };
}
