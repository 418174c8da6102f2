import type { Chain, ChainJob, ChainJobEvent } from "@skynet/contracts";
import { countSeats, type Hex, JobMode, JobOutcome, JobPhase, type SeatSet, nameOf } from "@skynet/protocol";
import { checkBeacon } from "../roles/verifier.ts";
import { checkAnswer } from "./answer.ts";
import { type Audit, type EventOf, type RoundEvents, VerificationError } from "./audit.ts";
import { checkDraw } from "./draw.ts";
import { checkMerge } from "./merge.ts";
import { checkModel, openSystem, type SystemOptions } from "./model.ts";
import { checkPay } from "./pay.ts";
import { endedRounds } from "./rounds.ts";
import { checkAssignment, checkTerms, whereIs } from "./terms.ts";

export interface VerifyJobOptions extends SystemOptions {
  readonly jobId: Hex;
  /** Finds the ONNX file that the job's metadata name. */
  readonly model: (cid: string) => Promise<Uint8Array>;
  readonly onProgress?: (label: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What was found about one round. */
export interface VerifiedRound {
  readonly round: number;
  readonly committed: number;
  readonly drawn: number;
  /** Steps whose proofs were verified. */
  readonly proofs: number;
  readonly paid: number;
  /** The paid seats that had been drawn, and so had to prove; the others are paid unproven. */
  readonly paidDrawn: number;
  readonly merged: boolean;
}

export interface VerifiedJob {
  readonly jobId: Hex;
  readonly verifierId: Hex;
  /** Whether the job is over; before, only the rounds that ended so far are verified. */
  readonly settled: boolean;
  readonly phase: keyof typeof JobPhase;
  readonly outcome: keyof typeof JobOutcome;
  readonly rounds: readonly VerifiedRound[];
  readonly proofs: number;
  /** After these rounds. */
  readonly modelId: Hex;
}

/**
 * Recomputes from the chain alone that every round of a job that ended was drawn, proven, paid and merged correctly:
 * the id of the job is recomputed from its terms, the model is compiled and its verifier generated again, initial
 * weights are committed again, draws follow from block hashes, every proof is verified by this machine, every average
 * is added up again from the points in the transactions, and the end is the one that the contract shows.
 *
 * One thing is trusted: that the RPC shows the chain's blocks and logs, and the contract's state.
 * @throws VerificationError saying which round and what is wrong; SkyNetError `BadBeacon`
 */
export async function verifyJob(options: VerifyJobOptions): Promise<VerifiedJob> {
  const { chain, jobId, onProgress } = options;
  // the state before the events, so that these hold all that the state knows
  const job = await chain.job(jobId);
  const events = await chain.events({ jobId });
  const { spec, state, modelId } = job;
  const metadata = checkTerms(chain, job, firstOf(events, "JobPosted"));
  if (spec.mode !== JobMode.PROOF)
    throw new VerificationError("NotProven", "the job is verified by a quorum of its workers: there are no proofs");
  checkBeacon(chain, spec);
  const assignment = await checkAssignment(chain, job, firstOf(events, "Assigned"));
  const rounds = await checkRecord(chain, job, events);
  onProgress?.("Compiling the model", 0, 1);
  const system = await openSystem(options, metadata, await options.model(metadata.modelCid), spec.averaging);
  try {
    const { at } = await checkModel(chain, system, spec, metadata.initialSeed);
    const audit: Audit = { chain, jobId, spec, system, ...assignment, verifier: at, modelId: spec.modelId };
    const verified = await checkRounds(audit, rounds, options);
    return {
      jobId,
      verifierId: spec.stepVerifier,
      settled: state.phase === JobPhase.SETTLED,
      phase: nameOf(JobPhase, state.phase),
      outcome: nameOf(JobOutcome, state.outcome),
      rounds: verified,
      proofs: verified.reduce((sum, { proofs }) => sum + proofs, 0),
      modelId,
    };
  } finally {
    await system.close();
  }
}

const firstOf = <Name extends ChainJobEvent["name"]>(events: readonly ChainJobEvent[], name: Name) =>
  events.find((event): event is EventOf<Name> => event.name === name);

interface DrawnRound extends RoundEvents {
  /** The audited seats. */
  readonly selected: SeatSet;
}

/** What needs no proof system: the logs are all there, and draws, pay and merged seats follow the rules. */
async function checkRecord(chain: Chain, job: ChainJob, events: readonly ChainJobEvent[]): Promise<DrawnRound[]> {
  const rounds = endedRounds(job, events);
  const drawn: DrawnRound[] = [];
  for (const round of rounds) {
    const selected = await checkDraw(chain, job, round);
    checkPay(job.spec, round, selected);
    drawn.push({ ...round, selected });
  }
  if (rounds.some(({ ended, merged }) => ended!.paidCompute !== 0n || merged !== undefined)) return drawn;
  throw new VerificationError("NothingToVerify", `no round of the job was paid or merged: ${whereIs(job)}`);
}

async function checkRounds(
  audit: Audit,
  rounds: readonly DrawnRound[],
  { onProgress, signal }: VerifyJobOptions,
): Promise<VerifiedRound[]> {
  const total = rounds.reduce((sum, { proven }) => sum + proven.length, 0);
  const verified: VerifiedRound[] = [];
  let done = 0;
  for (const round of rounds) {
    let proofs = 0;
    for (const event of round.proven) {
      signal?.throwIfAborted();
      onProgress?.("Verifying proofs", done++, total);
      proofs += await checkAnswer(audit, round, event, round.selected);
    }
    if (round.merged !== undefined) await checkMerge(audit, round, round.merged);
    const { paidCompute } = round.ended!;
    verified.push({
      round: round.round,
      committed: round.commits.size,
      drawn: countSeats(round.selected),
      proofs,
      paid: countSeats(paidCompute),
      paidDrawn: countSeats(paidCompute & round.selected),
      merged: round.merged !== undefined,
    });
  }
  onProgress?.("Verifying proofs", total, total);
  return verified;
}
