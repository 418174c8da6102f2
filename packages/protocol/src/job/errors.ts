import { SkyNetError } from "../errors.ts";

/** Rules of the job machine; the Solidity library has a custom error of the same name for each. */
export type JobRule =
  | "AlreadyAbstained"
  | "AlreadyClaimed"
  | "AlreadyCommitted"
  | "AlreadyJoined"
  | "AlreadyProven"
  | "AlreadyReleased"
  | "BadAmount"
  | "BadAudit"
  | "BadAveraging"
  | "BadBatches"
  | "BadDeadline"
  | "BadFails"
  | "BadMode"
  | "BadPrice"
  | "BadRounds"
  | "BadSeats"
  | "BadSlot"
  | "BadSteps"
  | "BadWindow"
  | "BudgetTooLarge"
  | "DuplicateSeat"
  | "HoldBurned"
  | "NotRequester"
  | "NotSeat"
  | "NotSelected"
  | "NothingToClaim"
  | "PriceTooLow"
  | "RequesterCannotJoin"
  | "SeatActive"
  | "StakeTooLow"
  | "TooEarly"
  | "TooFewAttestations"
  | "TooLate"
  | "WrongState";

const meaning: Readonly<Record<JobRule, string>> = {
  AlreadyAbstained: "the seat has abstained from this round",
  AlreadyClaimed: "the hold of this seat has been claimed",
  AlreadyCommitted: "the seat has committed in this round",
  AlreadyJoined: "the worker has a seat in this job",
  AlreadyProven: "this audit slot has been proven",
  AlreadyReleased: "the stake of this seat has been released",
  BadAmount: "price, stake, penalty and fee must be at most 2^120 units",
  BadAudit:
    "auditSteps must be 1 to 16 and divide the segments of a round, segment 1 to 4 and divide steps, auditBps 1 to 10000",
  BadAveraging: "averaging must be a power of two and at least the number of seats",
  BadBatches: "the data must have at least one batch",
  BadDeadline: "the deadline must lie after the join and ready windows (0 means none)",
  BadFails: "maxFails must be 1 to 16",
  BadMode: "the mode must be quorum (0) or proof (1)",
  BadPrice: "priceMin must not exceed priceMax, and deliveryBps + holdBps must not exceed 10000",
  BadRounds: "rounds must be 1 to 1024",
  BadSeats: "minSeats must be at least 1 and at most seats, seats at most 256",
  BadSlot: "there is no such audit slot",
  BadSteps: "a round needs at least one step",
  BadWindow: "every window must lie between the chain's minimum and 7 days, the draw window at most 1 hour",
  BudgetTooLarge: "the budget does not fit 128 bits",
  DuplicateSeat: "a seat is named twice",
  HoldBurned: "the requester complained: the held part was burned",
  NotRequester: "only the requester may do this",
  NotSeat: "this is not an active seat of the job",
  NotSelected: "the seat is not selected for an audit in this round",
  NothingToClaim: "there are no new finished rounds to claim",
  PriceTooLow: "the price has not yet risen to what the worker asks",
  RequesterCannotJoin: "the requester cannot work on its own job",
  SeatActive: "the stake of an active seat stays locked until the job is settled",
  StakeTooLow: "the stake is below the stake rule, or below eight miss penalties",
  TooEarly: "the time window of this phase has not ended",
  TooFewAttestations: "two thirds of the committed seats must attest, and more than before",
  TooLate: "the time window of this phase has ended",
  WrongState: "the job is not in the phase that this needs",
};

/** An event that the rules of the job refuse. `code` is the name of the rule and of the Solidity custom error. */
export class JobRuleError extends SkyNetError {
  declare readonly code: JobRule;

  constructor(rule: JobRule) {
    super(rule, `${rule}: ${meaning[rule]}`);
  }
}

/** @throws JobRuleError unless the condition holds. */
export function assertRule(condition: boolean, rule: JobRule): asserts condition {
  if (!condition) throw new JobRuleError(rule);
}
