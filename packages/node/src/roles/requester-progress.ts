import { countSeats } from "@skynet/protocol";
import type { JobSnapshot, RequesterProgress } from "@skynet/swarm";
import type { Ui } from "../cli/ui.ts";
import type { JobFile } from "../job-file.ts";

/** One line about what the job is waiting for. */
function statusOf(snapshot: JobSnapshot): string {
  const { phase, round, rounds, active, ready, committed, attested, selected, proven } = snapshot;
  const members = countSeats(active);
  const at = `round ${round + 1}/${rounds}`;
  if (phase === "READY") return `${countSeats(ready)} of ${members} workers have the data and are ready`;
  if (phase === "COMMIT") return `${at}: workers train, ${countSeats(committed)} of ${members} have committed`;
  if (phase === "DRAW") return `${at}: waiting for the beacon that draws the audits; updates travel`;
  if (phase === "PROVE" && snapshot.verification === "proof")
    return `${at}: ${countSeats(proven)} of ${countSeats(selected)} drawn workers have proven, ${countSeats(attested)} attested`;
  if (phase === "PROVE") return `${at}: updates travel, ${countSeats(attested)} of ${countSeats(committed)} attested`;
  if (phase === "MERGE") return `${at}: waiting for the merge`;
  return phase === "DELIVER" || phase === "SETTLED" ? "settling" : "";
}

/** Shows what the requester's driver tells. */
export function showProgress(event: RequesterProgress, { ui, job }: { ui: Ui; job: JobFile }): void {
  if (event.type === "round") return ui.round(event.report, job.training.rounds);
  if (event.type === "unmeasured") {
    ui.event("unmeasured", { reason: event.reason });
    return ui.line(`the model could not be evaluated on the test data, the job goes on: ${event.reason}`);
  }
  const { phase, round, workers } = event.snapshot;
  ui.event("phase", { phase, round, workers: workers.length });
  if (phase === "OPEN") ui.progress("Waiting for workers to join", workers.length, job.workers.count);
  if (phase === "READY") {
    ui.progress("Waiting for workers to join", 1, 1);
    ui.line(`assigned ${workers.length} workers on chain`);
  }
  ui.status(statusOf(event.snapshot));
}
