import { hasSeat } from "./bitmap.ts";
import { payParts } from "./spec.ts";
import type { JobSpec } from "./spec.ts";
import { HoldResult, JobPhase } from "./state.ts";
import type { JobView } from "./state.ts";

/** What a seat has earned, in units of the job's token. */
export interface SeatEarnings {
  readonly claimed: bigint;
  /** Pay of finished rounds that `claim` sends now. */
  readonly claimable: bigint;
  /** Held pay that `claimHold` sends now. */
  readonly claimableHold: bigint;
  /** Held pay that waits for the requester's verdict. */
  readonly held: bigint;
  /** Stake that is locked in the job. */
  readonly stake: bigint;
  /** Whether `release` frees the stake now. */
  readonly releasable: boolean;
}

/** Sums what the machine would pay: `claim` up to the present round, `claimHold` and `release`. */
export function earningsOf(spec: JobSpec, job: JobView, seat: number): SeatEarnings {
  const { compute, delivery, hold } = payParts(spec, job.price);
  const pay = (from: number, to: number) => {
    let sum = 0n;
    for (let round = from; round < to; round++) {
      if (hasSeat(job.paidCompute[round]!, seat)) sum += compute;
      if (hasSeat(job.paidDelivery[round]!, seat)) sum += delivery;
    }
    return sum;
  };
  const claimedTo = job.claimedTo[seat]!;
  const holds = hold * BigInt(job.paidCompute.filter((seats) => hasSeat(seats, seat)).length);
  const paidHold = job.phase === JobPhase.SETTLED && job.holdResult === HoldResult.PAID;
  const holdClaimed = hasSeat(job.holdClaimed, seat);
  const released = hasSeat(job.released, seat);
  const left = job.phase > JobPhase.READY && !hasSeat(job.active, seat);
  return {
    claimed: pay(0, claimedTo) + (holdClaimed ? holds : 0n),
    claimable: pay(claimedTo, Math.min(job.round, job.paidCompute.length)),
    claimableHold: paidHold && !holdClaimed ? holds : 0n,
    held: job.holdResult === HoldResult.UNDECIDED ? holds : 0n,
    stake: job.stakes[seat]!,
    releasable: !released && (job.phase === JobPhase.SETTLED || left),
  };
}
