import type { Hex } from "../bytes.ts";
import { InvalidInputError } from "../errors.ts";
import type { SeatSet } from "./bitmap.ts";
import type { JobSpec } from "./spec.ts";

/** Phases of a job; the numbers are those on chain. DRAW exists in proof mode only. */
export const JobPhase = {
  OPEN: 1,
  READY: 2,
  COMMIT: 3,
  DRAW: 4,
  PROVE: 5,
  MERGE: 6,
  DELIVER: 7,
  SETTLED: 8,
} as const;
export type JobPhase = (typeof JobPhase)[keyof typeof JobPhase];

/** How a job ended; NONE while it runs. */
export const JobOutcome = {
  NONE: 0,
  CANCELLED: 1,
  EXPIRED: 2,
  ABORTED: 3,
  COMPLETED: 4,
  HALTED: 5,
  STOPPED: 6,
} as const;
export type JobOutcome = (typeof JobOutcome)[keyof typeof JobOutcome];

/** Name of a number in one of these tables, such as 3 -> "COMMIT". @throws InvalidInputError `BadChainData` */
export function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, value: number): Name {
  const found = (Object.keys(table) as Name[]).find((name) => table[name] === value);
  if (found === undefined)
    throw new InvalidInputError("BadChainData", `the contract returned the unknown value ${value}`);
  return found;
}

/** What became of the held part of the pay. */
export const HoldResult = { UNDECIDED: 0, PAID: 1, BURNED: 2 } as const;
export type HoldResult = (typeof HoldResult)[keyof typeof HoldResult];

/** The state that the chain stores. Times are unix seconds, amounts units of the job's token. */
export interface JobView {
  readonly phase: JobPhase;
  readonly outcome: JobOutcome;
  /** Round that runs, or number of finished rounds once the job has ended. */
  readonly round: number;
  /** Rounds that did not end with a merge. */
  readonly fails: number;
  readonly merged: number;
  readonly stopRequested: boolean;
  readonly holdResult: HoldResult;
  readonly phaseAt: number;
  readonly openedAt: number;
  /** Price per worker and round; 0 until the seats are assigned. */
  readonly price: bigint;
  /** Money of the requester that still sits in the job's account. */
  readonly escrow: bigint;
  /** Part of the escrow that workers can claim now or (hold) after settlement. */
  readonly owed: bigint;
  /** Part of the escrow that waits for the requester's verdict. */
  readonly held: bigint;
  readonly active: SeatSet;
  readonly ready: SeatSet;
  readonly committed: SeatSet;
  readonly abstained: SeatSet;
  readonly selected: SeatSet;
  readonly proven: SeatSet;
  readonly attested: SeatSet;
  readonly delivered: SeatSet;
  /** Seats whose update was not merged in the previous merged round. */
  readonly strikes: SeatSet;
  readonly slashed: SeatSet;
  readonly released: SeatSet;
  readonly holdClaimed: SeatSet;
  /** Worker of each seat, in the order of joining. */
  readonly workers: readonly Hex[];
  /** Locked stake of each seat. */
  readonly stakes: readonly bigint[];
  /** Rounds that each seat has claimed. */
  readonly claimedTo: readonly number[];
  /** Proven audit slots of each seat in this round, one bit per slot. */
  readonly proofMasks: readonly number[];
  /** Seats that earn the compute and held part, per finished round. */
  readonly paidCompute: readonly SeatSet[];
  /** Seats that earn the delivery part, per finished round. */
  readonly paidDelivery: readonly SeatSet[];
}

/** Where the money went so far. On chain these sums follow from the events. */
export interface JobFlows {
  /** From the escrow to workers and merge senders. */
  readonly paid: bigint;
  /** From the escrow back to the requester. */
  readonly refunded: bigint;
  /** From the escrow to nobody: held parts after a complaint. */
  readonly burnedEscrow: bigint;
  /** Stakes lost by penalties and slashes. */
  readonly burnedStake: bigint;
  /** Stakes given back. */
  readonly returnedStake: bigint;
}

/** State of the machine: what the chain stores and the sums of what left the job. */
export interface JobState extends JobView, JobFlows {}

const windowOf: Readonly<Record<JobPhase, keyof JobSpec | undefined>> = {
  [JobPhase.OPEN]: "joinWindow",
  [JobPhase.READY]: "readyWindow",
  [JobPhase.COMMIT]: "commitWindow",
  [JobPhase.DRAW]: "drawWindow",
  [JobPhase.PROVE]: "proveWindow",
  [JobPhase.MERGE]: "mergeWindow",
  [JobPhase.DELIVER]: "deliverWindow",
  [JobPhase.SETTLED]: undefined,
};

/** First second at which events are refused and `tick` is accepted; Infinity once the job is settled. */
export function phaseEnd(spec: JobSpec, state: Pick<JobView, "phase" | "phaseAt">): number {
  const name = windowOf[state.phase];
  return name === undefined ? Number.POSITIVE_INFINITY : state.phaseAt + Number(spec[name]);
}

/** Seats whose work of this round counts: committed and not slashed. */
export function goodSeats(state: Pick<JobView, "committed" | "slashed">): SeatSet {
  return state.committed & ~state.slashed;
}

/** Seats whose updates enter the merge of this round. */
export function includedSeats(state: Pick<JobView, "committed" | "slashed" | "delivered">): SeatSet {
  return goodSeats(state) & state.delivered;
}
