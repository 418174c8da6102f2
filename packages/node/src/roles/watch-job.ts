import type { Chain, ChainJobEvent } from "@skynet/contracts";
import { countSeats, JobOutcome, JobPhase, phaseEnd, type JobSpec, nameOf } from "@skynet/protocol";
import { formatAmount, formatSeconds, shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import type { TokenInfo } from "./token.ts";

export interface WatchJobOptions {
  readonly chain: Chain;
  readonly jobId: `0x${string}`;
  readonly token: TokenInfo;
  readonly ui: Ui;
  readonly signal: AbortSignal;
}

const STATUS_MS = 1000;

/**
 * Shows what has happened to a job and what happens, until it is settled. Needs nothing but the chain.
 * @throws the signal's reason
 */
export async function watchJob({ chain, jobId, token, ui, signal }: WatchJobOptions): Promise<void> {
  const { spec } = await chain.job(jobId);
  const settled = new AbortController();
  const stop = AbortSignal.any([signal, settled.signal]);
  const lines = createLines(spec, token);
  const status = showStatus(chain, jobId, ui, stop);
  let answered = true;
  await chain.watch({
    jobId,
    fromBlock: chain.firstBlock,
    signal: stop,
    onError: () => {
      if (answered) ui.line(`the chain at ${chain.rpcUrl} does not answer; trying on`);
      answered = false;
    },
    onEvents: (events) => {
      answered = true;
      for (const event of events) {
        const { meta: _meta, spec: _spec, ...args } = event.args as Record<string, unknown>;
        ui.event(event.name, { ...args, block: event.blockNumber });
        const line = lines(event);
        if (line !== undefined) ui.line(line);
        if (event.name === "Joined")
          ui.progress("Waiting for workers to join", Number(event.args.seat) + 1, spec.seats);
        if (event.name === "Settled") settled.abort();
      }
    },
  });
  await status;
  signal.throwIfAborted();
}

/** One line about what the job waits for, renewed every second. */
async function showStatus(chain: Chain, jobId: `0x${string}`, ui: Ui, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      const { spec, state } = await chain.job(jobId);
      const left = phaseEnd(spec, state) - (await chain.now());
      const phase = nameOf(JobPhase, state.phase);
      const working = state.phase >= JobPhase.COMMIT && state.phase <= JobPhase.MERGE;
      const round = working ? `round ${state.round + 1}/${spec.rounds}: ` : "";
      if (Number.isFinite(left)) ui.status(`${round}${phase}, at most ${formatSeconds(Math.max(left, 0))} left`);
    } catch {
      // The watch says that the chain does not answer.
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, STATUS_MS);
      stop.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
  ui.status("");
}

/** The events of a job, told to people. */
function createLines(spec: JobSpec, token: TokenInfo): (event: ChainJobEvent) => string | undefined {
  let merged = false;
  const amount = (value: bigint) => formatAmount(value, token);
  return (event) => {
    switch (event.name) {
      case "JobPosted":
        return `posted by ${event.args.requester}`;
      case "Joined":
        return `worker ${event.args.worker} joined (${Number(event.args.seat) + 1} of ${spec.seats})`;
      case "Assigned":
        return `${event.args.workers.length} workers assigned, ${amount(event.args.price)} a round each`;
      case "SeatsReady":
        return `${countSeats(event.args.ready)} workers ready`;
      case "Drawn":
        return `round ${event.args.round + 1}/${spec.rounds}: ${countSeats(event.args.selected)} workers drawn to prove`;
      case "Proven":
        return `round ${event.args.round + 1}/${spec.rounds}: seat ${event.args.seat} has proven segment ${event.args.segment}`;
      case "Merged":
        merged = true;
        return `round ${event.args.round + 1}/${spec.rounds}: ${countSeats(event.args.included)} updates merged by ${shortId(event.args.prover)}`;
      case "RoundEnded": {
        const paid = `${countSeats(event.args.paidCompute)} workers paid`;
        const text = `round ${event.args.round + 1}/${spec.rounds}: ${merged ? "ended" : "FAILED, nothing merged"}, ${paid}`;
        merged = false;
        return text;
      }
      case "StopRequested":
        return "the requester stops the job at the end of this round";
      case "Settled":
        return `settled: ${nameOf(JobOutcome, event.args.outcome)}, ${amount(event.args.refund)} returned to the requester`;
      default:
        return undefined;
    }
  };
}
