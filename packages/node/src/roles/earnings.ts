import { ChainError, type Chain } from "@skynet/contracts";
import { earningsOf, JobPhase, type Hex, type SeatEarnings, nameOf } from "@skynet/protocol";

/** What a worker has earned in one job. */
export interface JobEarnings extends SeatEarnings {
  readonly jobId: Hex;
  readonly seat: number;
  readonly token: Hex;
  readonly phase: JobPhaseName;
  /** Rounds that have ended. */
  readonly round: number;
}

type JobPhaseName = keyof typeof JobPhase;

/** Every job in which the worker has a seat, in the order of joining. */
export async function readEarnings(chain: Chain, worker: Hex): Promise<JobEarnings[]> {
  const earnings: JobEarnings[] = [];
  for (const { jobId, seat } of await chain.jobsOf(worker)) {
    const { spec, state } = await chain.job(jobId);
    const phase = nameOf(JobPhase, state.phase);
    earnings.push({ jobId, seat, token: spec.token, phase, round: state.round, ...earningsOf(spec, state, seat) });
  }
  return earnings;
}

export interface Collected {
  readonly jobId: Hex;
  readonly token: Hex;
  /** To the Ledger balance of the worker's payout address. */
  readonly paid: bigint;
  /** Free again. */
  readonly stake: bigint;
}

/** Whether there is something to collect from a job. */
const isDue = ({ claimable, claimableHold, releasable }: JobEarnings): boolean =>
  claimable > 0n || claimableHold > 0n || releasable;

/**
 * Claims the pay and frees the stakes of every job where it is possible. The worker's own node does the same meanwhile:
 * what it has been faster with is no error.
 */
export async function collectEarnings(chain: Chain, worker: Hex): Promise<Collected[]> {
  const collected: Collected[] = [];
  for (const job of (await readEarnings(chain, worker)).filter(isDue)) {
    const { jobId, seat, token, round, claimable, claimableHold, releasable, stake } = job;
    let paid = 0n;
    if (claimable > 0n && (await unlessDone(chain.claim(jobId, seat, round)))) paid += claimable;
    if (claimableHold > 0n && (await unlessDone(chain.claimHold(jobId, seat)))) paid += claimableHold;
    const freed = releasable && (await unlessDone(chain.release(jobId, seat)));
    collected.push({ jobId, token, paid, stake: freed ? stake : 0n });
  }
  return collected;
}

const DONE = ["NothingToClaim", "AlreadyClaimed", "AlreadyReleased"];

/** False when somebody else has done it already. */
async function unlessDone(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof ChainError && DONE.includes(error.code)) return false;
    throw error;
  }
}
