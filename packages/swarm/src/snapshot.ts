import {
  HoldResult,
  includedSeats,
  JobMode,
  JobOutcome,
  JobPhase,
  phaseEnd,
  type Hex,
  type JobSpec,
  type JobView,
} from "@skynet/protocol";
import { SwarmError } from "./errors.ts";
import type { JobOutcome as OutcomeName, JobPhase as PhaseName, JobSnapshot } from "./ports.ts";

/** Name of a number in one of the protocol's tables, such as 3 -> "COMMIT". */
export function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, value: number): Name {
  const found = (Object.keys(table) as Name[]).find((name) => table[name] === value);
  if (found === undefined) throw new SwarmError("BadChainData", `the contract returned the unknown value ${value}`);
  return found;
}

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
