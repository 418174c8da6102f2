import { countSeats, firstSeats, listSeats, hasSeat } from "./bitmap.ts";
import type { TraceStep } from "./random-jobs.ts";
import { tryEvent } from "./random-jobs.ts";
import { budgetOf, minStakeOf, payParts } from "./spec.ts";
import type { JobSpec } from "./spec.ts";
import { HoldResult, includedSeats, JobPhase, phaseEnd } from "./state.ts";
import type { JobState } from "./state.ts";

/** A rule of the specification that a state or a step breaks. */
export class InvariantError extends Error {
  constructor(invariant: string, spec: JobSpec, detail: unknown) {
    super(`${invariant}\n${JSON.stringify({ spec, detail }, (_, v) => (typeof v === "bigint" ? `${v}n` : v), 1)}`);
    this.name = "InvariantError";
  }
}

type Check = readonly [name: string, holds: boolean];

const sum = (values: readonly bigint[]) => values.reduce((a, b) => a + b, 0n);
const isSubset = (part: bigint, whole: bigint) => (part & ~whole) === 0n;

/** I1 to I3, I5, I6, I13, I14 and I16: what holds in every state. */
function stateChecks(spec: JobSpec, job: JobState): Check[] {
  const seats = firstSeats(job.workers.length);
  const stakesIn = spec.stake * BigInt(job.workers.length);
  const working = job.phase >= JobPhase.COMMIT && job.phase <= JobPhase.MERGE;
  const minStake = minStakeOf(spec);
  const judged = job.phase > JobPhase.COMMIT && job.phase < JobPhase.DELIVER;
  return [
    ["I1 budget", budgetOf(spec) === job.escrow + job.paid + job.refunded + job.burnedEscrow],
    ["I1 stakes", stakesIn === sum(job.stakes) + job.burnedStake + job.returnedStake],
    ["I2 solvency", job.owed >= 0n && job.held >= 0n && job.owed + job.held <= job.escrow],
    ["I3 requester", job.refunded <= budgetOf(spec)],
    ["I5 proven", isSubset(job.proven, job.selected) && isSubset(job.selected, job.committed)],
    ["I5 committed", isSubset(job.committed, seats) && isSubset(job.attested | job.delivered, job.committed)],
    ["I5 disjoint", (job.committed & job.abstained) === 0n],
    ["I5 included", job.phase !== JobPhase.MERGE || isSubset(includedSeats(job), job.active)],
    ["I6 settled", job.phase !== JobPhase.SETTLED || (job.escrow === job.owed && job.held === 0n)],
    ["I7 stake", job.stakes.every((stake) => stake >= 0n)],
    ["I13 stake rule", !judged || listSeats(job.active).every((seat) => job.stakes[seat]! >= minStake)],
    ["I14 slashed", !working || (job.slashed & job.active) === 0n],
    ["I16 fails", !working || job.round - job.merged < spec.maxFails],
  ];
}

/** Events that may happen at any time: they only collect what is due, or set a flag. */
const timeless: readonly string[] = ["claim", "claimHold", "release"];

/** I4, I7, I11 and I17: what holds between a state and the next. */
function stepChecks(spec: JobSpec, { before, event }: TraceStep, after: JobState): Check[] {
  const end = phaseEnd(spec, before);
  const flag = event.type === "stop" && before.phase !== JobPhase.READY;
  const inTime = timeless.includes(event.type) || flag || (event.type === "tick" ? event.at >= end : event.at < end);
  const cut = before.stakes.flatMap((stake, seat) => (after.stakes[seat]! < stake ? [seat] : []));
  const cutBy = (seat: number) => before.stakes[seat]! - after.stakes[seat]!;
  const penalty = cut.every((seat) => cutBy(seat) <= spec.missPenalty);
  const ended = after.paidCompute
    .slice(before.round)
    .map((compute, i) => ({ compute, delivery: after.paidDelivery[before.round + i]! }));
  const newlySlashed = after.slashed & ~before.slashed;
  return [
    ["I4 claimedTo", before.claimedTo.every((round, seat) => after.claimedTo[seat]! >= round)],
    ["I7 slash without commit", isSubset(newlySlashed, before.committed)],
    ["I7 penalty", event.type === "release" || before.phase !== JobPhase.COMMIT || penalty],
    [
      "I7 phase",
      cut.length === 0 || event.type === "release" || [JobPhase.COMMIT, JobPhase.PROVE].some((p) => p === before.phase),
    ],
    [
      "I7 committed are safe",
      before.phase !== JobPhase.COMMIT ||
        event.type === "release" ||
        cut.every((seat) => !hasSeat(before.committed, seat)),
    ],
    ["I11 time", inTime],
    ["I17 delivery needs compute", ended.every(({ compute, delivery }) => isSubset(delivery, compute))],
    ["I17 delivery needs merge", after.merged > before.merged || ended.every(({ delivery }) => delivery === 0n)],
  ];
}

/** I8: ticks alone settle within four per round left, and two. */
function ticksToSettle(spec: JobSpec, start: JobState): number {
  let job = start;
  let ticks = 0;
  for (; job.phase !== JobPhase.SETTLED; ticks++) {
    const step = tryEvent(spec, job, { type: "tick", at: phaseEnd(spec, job) });
    if (step.after === undefined) return Number.POSITIVE_INFINITY;
    job = step.after;
  }
  return ticks;
}

/** I6 and I15: after all claims nothing is left, and what was paid is exactly what the pay bitmaps say. */
function finalChecks(spec: JobSpec, job: JobState): Check[] {
  const { compute, delivery, hold } = payParts(spec, job.price);
  const kept = job.holdResult === HoldResult.PAID ? hold : 0n;
  const wages = job.paidCompute.map(
    (seats, round) =>
      (compute + kept) * BigInt(countSeats(seats)) + delivery * BigInt(countSeats(job.paidDelivery[round]!)),
  );
  return [
    ["I6 no dust", job.escrow === 0n && job.owed === 0n],
    ["I6 no stake left", sum(job.stakes) === 0n],
    ["I15 pay", job.paid === sum(wages) + spec.mergeFee * BigInt(job.merged)],
  ];
}

function assertAll(spec: JobSpec, checks: readonly Check[], detail: unknown): void {
  for (const [name, holds] of checks) if (!holds) throw new InvariantError(name, spec, detail);
}

/**
 * Checks one step of a trace; `countTicks` adds the costly I8.
 * @throws InvariantError
 */
export function assertStep(spec: JobSpec, step: TraceStep, countTicks = false): void {
  if (step.after === undefined) return;
  assertAll(spec, stateChecks(spec, step.after), step);
  assertAll(spec, stepChecks(spec, step, step.after), step);
  if (!countTicks) return;
  const bound = 4 * (spec.rounds - step.after.round) + 2;
  assertAll(spec, [["I8 exit", ticksToSettle(spec, step.after) <= bound]], step);
}

/** @throws InvariantError unless the job, after all claims, is empty to the unit */
export function assertFinal(spec: JobSpec, job: JobState): void {
  assertAll(spec, finalChecks(spec, job), job);
}
