import type { Chain, ChainJob } from "@skynet/contracts";
import { JobOutcome, JobPhase, phaseEnd, SkyNetError, type Hex, nameOf } from "@skynet/protocol";
import { shortId } from "../cli/format.ts";

/** What a requester does with a job, besides leading it. */
export type JobAction = "cancel" | "stop" | "accept" | "complain";

interface Rule {
  readonly phases: readonly JobPhase[];
  /** What the job must be for it, in words. */
  readonly needs: string;
}

const { OPEN, READY, COMMIT, DRAW, PROVE, MERGE, DELIVER, SETTLED } = JobPhase;

const rules: Readonly<Record<JobAction, Rule>> = {
  cancel: { phases: [OPEN], needs: "only a job that still waits for workers can be cancelled" },
  stop: { phases: [READY, COMMIT, DRAW, PROVE, MERGE], needs: "only a job that runs can be stopped" },
  accept: { phases: [DELIVER], needs: "only a delivered result can be accepted" },
  complain: { phases: [DELIVER], needs: "only about a delivered result can be complained" },
};

/** What can be done with a job in this phase. */
function nextStep(phase: JobPhase, id: string): string {
  if (phase === OPEN)
    return `it waits for workers: npx skynet job cancel ${id} ends it, npx skynet job watch ${id} follows it`;
  if (phase === DELIVER) return `its result is there: npx skynet job accept ${id}, or npx skynet job complain ${id}`;
  if (phase === SETTLED) return `it is over: npx skynet job show ${id}`;
  return `it runs: npx skynet job stop ${id} ends it after this round, npx skynet job watch ${id} follows it`;
}

/**
 * Refuses what the contract would refuse, with the next step.
 * @throws SkyNetError `NotRequester`, `WrongPhase`, `TooLate`
 */
async function check(chain: Chain, { jobId, spec, state }: ChainJob, action: JobAction): Promise<void> {
  if (spec.requester !== chain.address)
    throw new SkyNetError(
      "NotRequester",
      `only the requester ${spec.requester} may do this; this wallet is ${chain.address}`,
      { hint: "use --keystore with the wallet that posted the job" },
    );
  const id = shortId(jobId).slice(0, 10);
  const phase = nameOf(JobPhase, state.phase);
  if (!rules[action].phases.includes(state.phase))
    throw new SkyNetError("WrongPhase", `job ${id} is in phase ${phase}: ${rules[action].needs}`, {
      hint: nextStep(state.phase, id),
    });
  const timed = state.phase === OPEN || state.phase === READY || state.phase === DELIVER;
  if (timed && (await chain.now()) >= phaseEnd(spec, state))
    throw new SkyNetError("TooLate", `the ${phase} phase of job ${id} is over in time`, {
      hint: `npx skynet job settle ${id} carries out what its end means; npx skynet train does so, too`,
    });
}

/** Carries out an action of the requester. Returns what it means, in words. */
export async function actOnJob(chain: Chain, jobId: Hex, action: JobAction): Promise<string> {
  const job = await chain.job(jobId);
  await check(chain, job, action);
  if (action === "cancel") {
    await chain.cancel(jobId);
    return "cancelled; the budget is back in the Ledger (npx skynet wallet withdraw fetches it)";
  }
  if (action === "stop") {
    if (!job.state.stopRequested) await chain.stop(jobId);
    return job.state.phase === READY
      ? "stopped before its first round; the budget is back in the Ledger"
      : "stops at the end of this round, which is still paid";
  }
  if (action === "accept") {
    await chain.accept(jobId);
    return "accepted; the held pay goes to the workers";
  }
  await chain.complain(jobId);
  return "complained; the held pay is burned, nobody gets it";
}

/**
 * Carries out what the end of a phase's time means; anybody may.
 * @throws SkyNetError `WrongPhase`, `TooEarly`
 */
export async function settleJob(chain: Chain, jobId: Hex): Promise<string> {
  const { spec, state } = await chain.job(jobId);
  const id = jobId.slice(0, 10);
  if (state.phase === SETTLED)
    throw new SkyNetError("WrongPhase", `job ${id} is settled already`, { hint: nextStep(SETTLED, id) });
  const left = phaseEnd(spec, state) - (await chain.now());
  if (left > 0)
    throw new SkyNetError("TooEarly", `the ${nameOf(JobPhase, state.phase)} phase of job ${id} has ${left} s left`, {
      hint: nextStep(state.phase, id),
    });
  await chain.tick(jobId);
  const after = (await chain.job(jobId)).state;
  return after.phase === SETTLED
    ? `settled: ${nameOf(JobOutcome, after.outcome)}`
    : `went on to phase ${nameOf(JobPhase, after.phase)}`;
}
