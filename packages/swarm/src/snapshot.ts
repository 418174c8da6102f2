import {
  HoldResult,
  includedSeats,
  JobMode,
  JobOutcome,
  JobPhase,
  nameOf,
  phaseEnd,
  type Hex,
  type JobSpec,
  type JobView,
} from "@skynet/protocol";
import type { JobOutcome as OutcomeName, JobPhase as PhaseName, JobSnapshot } from "./ports.ts";

/** What a chain shows of a job beside its terms and its state. */
export interface ChainFacts extends Pick<JobSnapshot, "commits" | "keys" | "seed"> {
  /** id(W_round). */
  readonly modelId: Hex;
  readonly jobSeed: Hex;
  /** The chain's time, milliseconds since the epoch. */
  readonly nowMs: number;
}

/** A job as the drivers see it. Times on chain are seconds. */
export function makeSnapshot(spec: JobSpec, state: JobView, facts: ChainFacts): JobSnapshot {
  return {
    ...state,
    ...facts,
    verification: spec.mode === JobMode.PROOF ? "proof" : "quorum",
    phase: nameOf(JobPhase, state.phase) as PhaseName,
    outcome: nameOf(JobOutcome, state.outcome) as OutcomeName,
    requester: spec.requester,
    rounds: spec.rounds,
    steps: spec.steps,
    segment: spec.segment,
    auditSteps: spec.auditSteps,
    averaging: spec.averaging,
    minSeats: spec.minSeats,
    dataRoot: spec.dataRoot,
    nBatches: Number(spec.nBatches),
    included: includedSeats(state),
    holdReleased: state.holdResult === HoldResult.PAID && state.round > 0,
    proveWindowMs: spec.proveWindow * 1000,
    phaseAtMs: state.phaseAt * 1000,
    phaseEndMs: phaseEnd(spec, state) * 1000,
  };
}
