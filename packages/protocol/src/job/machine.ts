// One file although it is long: the transitions of one state machine, in the order of a job's life, and its Solidity
// twin has the same functions in the same order.
import type { Hex } from "../bytes.ts";
import { countSeats, firstSeats, hasSeat, listSeats, quorumOf, seatBit } from "./bitmap.ts";
import type { SeatSet } from "./bitmap.ts";
import { assertRule } from "./errors.ts";
import type { AttestationRow, JobEvent } from "./events.ts";
import { budgetOf, checkSpec, JobMode, minStakeOf, payParts, priceAt } from "./spec.ts";
import type { JobSpec } from "./spec.ts";
import { goodSeats, HoldResult, includedSeats, JobOutcome, JobPhase, phaseEnd } from "./state.ts";
import type { JobState } from "./state.ts";

/** A private copy of the state that one event changes. */
type Draft = { -readonly [Key in keyof JobState]: Mutable<JobState[Key]> };
type Mutable<Value> = Value extends readonly (infer Item)[] ? Item[] : Value;

/** The terms, the copy that changes, and the time of the event: what every transition needs. */
interface Context {
  readonly spec: JobSpec;
  readonly job: Draft;
  readonly at: number;
}

/**
 * State of a job that has just been posted, at `at` seconds.
 * @throws JobRuleError when the terms break a rule; `minWindow` is the chain's shortest window in seconds
 */
export function postJob(spec: JobSpec, at: number, minWindow = 1): JobState {
  checkSpec(spec, at, minWindow);
  return {
    phase: JobPhase.OPEN,
    outcome: JobOutcome.NONE,
    round: 0,
    fails: 0,
    merged: 0,
    stopRequested: false,
    holdResult: HoldResult.UNDECIDED,
    phaseAt: at,
    openedAt: at,
    price: 0n,
    escrow: budgetOf(spec),
    owed: 0n,
    held: 0n,
    active: 0n,
    ready: 0n,
    committed: 0n,
    abstained: 0n,
    selected: 0n,
    proven: 0n,
    attested: 0n,
    delivered: 0n,
    strikes: 0n,
    slashed: 0n,
    released: 0n,
    holdClaimed: 0n,
    workers: [],
    stakes: [],
    claimedTo: [],
    proofMasks: [],
    paidCompute: [],
    paidDelivery: [],
    paid: 0n,
    refunded: 0n,
    burnedEscrow: 0n,
    burnedStake: 0n,
    returnedStake: 0n,
  };
}

/**
 * The state after `event`; `state` stays as it is. Twin of `JobMachine.sol`: both check in the order phase, time,
 * authority, duplicate, value.
 * @throws JobRuleError when a rule refuses the event
 */
export function applyJobEvent(spec: JobSpec, state: JobState, event: JobEvent): JobState {
  const job: Draft = {
    ...state,
    workers: [...state.workers],
    stakes: [...state.stakes],
    claimedTo: [...state.claimedTo],
    proofMasks: [...state.proofMasks],
    paidCompute: [...state.paidCompute],
    paidDelivery: [...state.paidDelivery],
  };
  dispatch({ spec, job, at: event.at }, event);
  return job;
}

function dispatch(context: Context, event: JobEvent): void {
  switch (event.type) {
    case "join":
      return join(context, event.worker, event.minPrice);
    case "cancel":
      return cancel(context, event.by);
    case "ready":
      return ready(context, event.seats);
    case "stop":
      return stop(context, event.by);
    case "commit":
      return commit(context, event.seat);
    case "abstain":
      return abstain(context, event.seat);
    case "leave":
      return leave(context, event.seat);
    case "draw":
      return draw(context, event.selected);
    case "prove":
      return prove(context, event.seat, event.slot);
    case "attest":
      return attest(context, event.rows);
    case "merge":
      return merge(context);
    case "accept":
      return decideHold(context, event.by, HoldResult.PAID);
    case "complain":
      return decideHold(context, event.by, HoldResult.BURNED);
    case "claim":
      return claim(context, event.seat, event.toRound);
    case "claimHold":
      return claimHold(context, event.seat);
    case "release":
      return release(context, event.seat);
    case "tick":
      return tick(context);
  }
}

// Events, in the order of a job's life.

function join(context: Context, worker: Hex, minPrice: bigint): void {
  const { spec, job, at } = context;
  assertPhase(context, JobPhase.OPEN);
  assertRule(worker !== spec.requester, "RequesterCannotJoin");
  assertRule(!job.workers.includes(worker), "AlreadyJoined");
  const price = priceAt(spec, job.openedAt, at);
  assertRule(price >= minPrice, "PriceTooLow");
  job.workers.push(worker);
  job.stakes.push(spec.stake);
  job.claimedTo.push(0);
  job.proofMasks.push(0);
  if (job.workers.length === spec.seats) assign(context, price);
}

function cancel(context: Context, by: Hex): void {
  assertPhase(context, JobPhase.OPEN);
  assertRequester(context, by);
  settle(context, JobOutcome.CANCELLED, HoldResult.PAID);
}

function ready(context: Context, seats: SeatSet): void {
  const { job } = context;
  assertPhase(context, JobPhase.READY);
  assertRule((seats & ~job.active) === 0n, "NotSeat");
  job.ready |= seats;
  if (job.ready === job.active) startRound(context);
}

/** READY: the job ends at once. Later: at the end of the round, so that its work is paid. */
function stop(context: Context, by: Hex): void {
  const { job } = context;
  assertRule(job.phase >= JobPhase.READY && job.phase <= JobPhase.MERGE, "WrongState");
  if (job.phase === JobPhase.READY) assertInTime(context);
  assertRequester(context, by);
  if (job.phase === JobPhase.READY) settle(context, JobOutcome.ABORTED, HoldResult.PAID);
  else job.stopRequested = true;
}

function commit(context: Context, seat: number): void {
  assertUndecidedSeat(context, seat);
  context.job.committed |= seatBit(seat);
  if (everySeatDecided(context)) closeCommit(context);
}

/** No pay, no penalty, one strike: for an honest step that cannot be committed. */
function abstain(context: Context, seat: number): void {
  assertUndecidedSeat(context, seat);
  context.job.abstained |= seatBit(seat);
  if (everySeatDecided(context)) closeCommit(context);
}

function leave(context: Context, seat: number): void {
  const { spec, job } = context;
  assertUndecidedSeat(context, seat);
  burnStake(context, seat, spec.missPenalty);
  job.active &= ~seatBit(seat);
  if (job.active !== 0n && everySeatDecided(context)) closeCommit(context);
  else if (countSeats(job.active) < spec.minSeats && job.committed === 0n) finish(context, JobOutcome.HALTED);
}

function draw(context: Context, selected: SeatSet): void {
  const { job } = context;
  assertPhase(context, JobPhase.DRAW);
  job.selected = selected & job.committed;
  enter(context, JobPhase.PROVE);
}

function prove(context: Context, seat: number, slot: number): void {
  const { spec, job } = context;
  assertPhase(context, JobPhase.PROVE);
  assertRule(hasSeat(job.selected, seat), "NotSelected");
  const mask = job.proofMasks[seat]!;
  assertRule(slot >= spec.auditSteps || (mask & (1 << slot)) === 0, "AlreadyProven");
  assertRule(slot < spec.auditSteps, "BadSlot");
  job.proofMasks[seat] = mask | (1 << slot);
  if (job.proofMasks[seat] === 2 ** spec.auditSteps - 1) job.proven |= seatBit(seat);
  closeProveIfComplete(context);
}

/** A seat counts as delivered when a quorum of the committed seats received its update; its own bit counts. */
function attest(context: Context, rows: readonly AttestationRow[]): void {
  const { job } = context;
  assertPhase(context, JobPhase.PROVE);
  let signers = 0n;
  for (const { seat } of rows) {
    assertRule(hasSeat(job.committed, seat), "NotSeat");
    assertRule(!hasSeat(signers, seat), "DuplicateSeat");
    signers |= seatBit(seat);
  }
  const quorum = quorumOf(countSeats(job.committed));
  assertRule(rows.length >= quorum && rows.length > countSeats(job.attested), "TooFewAttestations");
  let delivered = 0n;
  for (const column of listSeats(job.committed)) {
    const votes = rows.filter(({ seat, received }) => seat === column || hasSeat(received, column)).length;
    if (votes >= quorum) delivered |= seatBit(column);
  }
  job.attested = signers;
  job.delivered = delivered;
  closeProveIfComplete(context);
}

function merge(context: Context): void {
  const { spec, job } = context;
  assertPhase(context, JobPhase.MERGE);
  pay(context, spec.mergeFee);
  endRound(context, { merged: true, good: goodSeats(job), included: includedSeats(job) });
}

function decideHold(context: Context, by: Hex, result: HoldResult): void {
  assertPhase(context, JobPhase.DELIVER);
  assertRequester(context, by);
  settle(context, context.job.outcome, result);
}

/** Pays a seat for its finished rounds before `toRound`; a round cannot be claimed twice. */
function claim(context: Context, seat: number, toRound: number): void {
  const { spec, job } = context;
  const from = claimableFrom(context, seat);
  assertRule(toRound > from && toRound <= job.round, "NothingToClaim");
  const { compute, delivery } = payParts(spec, job.price);
  let amount = 0n;
  for (let round = from; round < toRound; round++) {
    if (hasSeat(job.paidCompute[round]!, seat)) amount += compute;
    if (hasSeat(job.paidDelivery[round]!, seat)) amount += delivery;
  }
  job.claimedTo[seat] = toRound;
  job.owed -= amount;
  pay(context, amount);
}

function claimHold(context: Context, seat: number): void {
  const { spec, job } = context;
  assertRule(job.phase === JobPhase.SETTLED, "WrongState");
  assertRule(seat < job.workers.length, "NotSeat");
  assertRule(!hasSeat(job.holdClaimed, seat), "AlreadyClaimed");
  assertRule(job.holdResult === HoldResult.PAID, "HoldBurned");
  const rounds = job.paidCompute.filter((seats) => hasSeat(seats, seat)).length;
  const amount = payParts(spec, job.price).hold * BigInt(rounds);
  job.holdClaimed |= seatBit(seat);
  job.owed -= amount;
  pay(context, amount);
}

function release(context: Context, seat: number): void {
  const { job } = context;
  assertRule(seat < job.workers.length, "NotSeat");
  assertRule(!hasSeat(job.released, seat), "AlreadyReleased");
  const left = job.phase > JobPhase.READY && !hasSeat(job.active, seat);
  assertRule(job.phase === JobPhase.SETTLED || left, "SeatActive");
  job.released |= seatBit(seat);
  job.returnedStake += job.stakes[seat]!;
  job.stakes[seat] = 0n;
}

/** The timeout exit of the phase; anybody may send it. The next phase starts now, so lateness eats no window. */
function tick(context: Context): void {
  const { spec, job, at } = context;
  assertRule(job.phase !== JobPhase.SETTLED, "WrongState");
  assertRule(at >= phaseEnd(spec, job), "TooEarly");
  switch (job.phase) {
    case JobPhase.OPEN:
      if (job.workers.length >= spec.minSeats) return assign(context, spec.priceMax);
      return settle(context, JobOutcome.EXPIRED, HoldResult.PAID);
    case JobPhase.READY:
      if (countSeats(job.ready) < spec.minSeats) return settle(context, JobOutcome.ABORTED, HoldResult.PAID);
      job.active = job.ready;
      return startRound(context);
    case JobPhase.COMMIT:
      return closeCommit(context);
    case JobPhase.DRAW:
      return finish(context, JobOutcome.HALTED);
    case JobPhase.PROVE:
      return closeProve(context);
    case JobPhase.MERGE:
      return endRound(context, { merged: false, good: paidAfterFailure(context), included: 0n });
    case JobPhase.DELIVER:
      return settle(context, job.outcome, HoldResult.PAID);
  }
}

// Transitions that events share.

function assign(context: Context, price: bigint): void {
  context.job.price = price;
  context.job.active = firstSeats(context.job.workers.length);
  enter(context, JobPhase.READY);
}

function startRound(context: Context): void {
  const { job } = context;
  job.committed = job.abstained = job.selected = job.proven = job.attested = job.delivered = 0n;
  enter(context, JobPhase.COMMIT);
}

/** Below two thirds of commits a fault of the whole job is presumed and nobody is punished. */
function closeCommit(context: Context): void {
  const { spec, job } = context;
  const commits = countSeats(job.committed);
  if (3 * commits >= 2 * countSeats(job.active)) punishMissing(context, job.active & ~job.committed & ~job.abstained);
  if (commits < spec.minSeats) return endRound(context, { merged: false, good: 0n, included: 0n });
  enter(context, spec.mode === JobMode.PROOF ? JobPhase.DRAW : JobPhase.PROVE);
}

function punishMissing(context: Context, missing: SeatSet): void {
  const { spec, job } = context;
  const minStake = minStakeOf(spec);
  for (const seat of listSeats(missing)) {
    burnStake(context, seat, spec.missPenalty);
    if (job.stakes[seat]! < minStake) job.active &= ~seatBit(seat);
  }
}

function closeProveIfComplete(context: Context): void {
  const { job } = context;
  if (job.proven === job.selected && job.attested === job.committed) closeProve(context);
}

/** A committed seat that did not answer its audit loses its whole stake. */
function closeProve(context: Context): void {
  const { spec, job } = context;
  const unproven = job.selected & ~job.proven;
  for (const seat of listSeats(unproven)) burnStake(context, seat, job.stakes[seat]!);
  job.slashed |= unproven;
  job.active &= ~unproven;
  if (countSeats(includedSeats(job)) >= spec.minSeats) return enter(context, JobPhase.MERGE);
  endRound(context, { merged: false, good: paidAfterFailure(context), included: 0n });
}

/** Proven work is paid even when the round fails; a failed round of quorum mode has nothing that shows work. */
function paidAfterFailure({ spec, job }: Context): SeatSet {
  return spec.mode === JobMode.PROOF ? goodSeats(job) : 0n;
}

interface RoundResult {
  readonly merged: boolean;
  readonly good: SeatSet;
  readonly included: SeatSet;
}

function endRound(context: Context, { merged, good, included }: RoundResult): void {
  const { spec, job, at } = context;
  const { compute, delivery, hold } = payParts(spec, job.price);
  const rewarded = included & job.attested;
  job.paidCompute[job.round] = good;
  job.paidDelivery[job.round] = rewarded;
  job.owed += compute * BigInt(countSeats(good)) + delivery * BigInt(countSeats(rewarded));
  job.held += hold * BigInt(countSeats(good));
  if (merged) {
    const strikes = job.active & ~included;
    job.active &= ~(strikes & job.strikes);
    job.strikes = strikes;
    job.merged++;
  } else {
    job.strikes = 0n;
    job.fails++;
  }
  job.round++;
  job.proofMasks.fill(0);
  if (job.round === spec.rounds) return finish(context, JobOutcome.COMPLETED);
  if (job.stopRequested) return finish(context, JobOutcome.STOPPED);
  const late = spec.deadline !== 0 && at > spec.deadline;
  if (job.fails >= spec.maxFails || countSeats(job.active) < spec.minSeats || late)
    return finish(context, JobOutcome.HALTED);
  startRound(context);
}

function finish(context: Context, outcome: JobOutcome): void {
  context.job.outcome = outcome;
  if (context.job.held > 0n) enter(context, JobPhase.DELIVER);
  else settle(context, outcome, HoldResult.PAID);
}

/** What is not owed to workers returns to the requester at once; a burned hold goes to nobody. */
function settle(context: Context, outcome: JobOutcome, holdResult: HoldResult): void {
  const { job } = context;
  job.outcome = outcome;
  job.holdResult = holdResult;
  if (holdResult === HoldResult.BURNED) {
    job.escrow -= job.held;
    job.burnedEscrow += job.held;
  } else job.owed += job.held;
  job.held = 0n;
  job.refunded += job.escrow - job.owed;
  job.escrow = job.owed;
  enter(context, JobPhase.SETTLED);
}

// Small steps.

function enter({ job, at }: Context, phase: JobPhase): void {
  job.phase = phase;
  job.phaseAt = at;
}

function pay({ job }: Context, amount: bigint): void {
  job.escrow -= amount;
  job.paid += amount;
}

/** Burns at most what is left of the seat's stake. */
function burnStake({ job }: Context, seat: number, amount: bigint): void {
  const burned = amount < job.stakes[seat]! ? amount : job.stakes[seat]!;
  job.stakes[seat] = job.stakes[seat]! - burned;
  job.burnedStake += burned;
}

function everySeatDecided({ job }: Context): boolean {
  return (job.committed | job.abstained) === job.active;
}

function claimableFrom({ job }: Context, seat: number): number {
  const from = job.claimedTo[seat];
  assertRule(from !== undefined, "NotSeat");
  return from;
}

function assertPhase(context: Context, phase: JobPhase): void {
  assertRule(context.job.phase === phase, "WrongState");
  assertInTime(context);
}

function assertInTime({ spec, job, at }: Context): void {
  assertRule(at < phaseEnd(spec, job), "TooLate");
}

function assertRequester({ spec }: Context, by: Hex): void {
  assertRule(by === spec.requester, "NotRequester");
}

function assertUndecidedSeat(context: Context, seat: number): void {
  const { job } = context;
  assertPhase(context, JobPhase.COMMIT);
  assertRule(hasSeat(job.active, seat), "NotSeat");
  assertRule(!hasSeat(job.committed, seat), "AlreadyCommitted");
  assertRule(!hasSeat(job.abstained, seat), "AlreadyAbstained");
}
