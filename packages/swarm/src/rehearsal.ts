import { batchesOfRound } from "./dataset-plan.ts";
import { SwarmError } from "./errors.ts";
import type { PeerModules } from "./job-peer.ts";
import type { BatchSource } from "./local-training.ts";
import type { JobSnapshot, RoundStart } from "./ports.ts";

/** The answers must fit into the prove window this many times: other programs need their time, too. */
const HEADROOM = 2;
/** Measurements of a training step, of which the shortest counts. */
const MEASUREMENTS = 3;

/** Milliseconds that one step takes, and the proof of one. */
export interface MeasuredStep {
  readonly stepMs: number;
  readonly proveMs: number;
}

type ProofTerms = Pick<JobSnapshot, "steps" | "auditSteps" | "segment" | "proveWindowMs">;

/** A worker makes its steps again to prove those that were drawn. */
const proofMs = ({ steps, auditSteps, segment }: ProofTerms, { stepMs, proveMs }: MeasuredStep): number =>
  stepMs * steps + proveMs * auditSteps * segment;

/** Whether this machine answers the audits of a round in half of the prove window. */
export const proofsFit = (terms: ProofTerms, measured: MeasuredStep): boolean =>
  HEADROOM * proofMs(terms, measured) <= terms.proveWindowMs;

/** @throws SwarmError `TooSlow` unless the answers would be ready in half of the prove window */
export function assertProofsFit(terms: ProofTerms, measured: MeasuredStep): void {
  if (proofsFit(terms, measured)) return;
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  throw new SwarmError(
    "TooSlow",
    `the proofs of a round take this machine ${seconds(proofMs(terms, measured))} s, ${seconds(measured.proveMs)} s each; ` +
      `the job allows ${seconds(terms.proveWindowMs)} s, and half of them are kept in reserve`,
  );
}

/**
 * Proves one real step, with the first batch of this worker's first round: what fails here would cost the stake after
 * a commitment. Fails as a proof fails (`OutOfMemory`, `Overflow`, ...).
 * @throws SwarmError `TooSlow` when the answers would not be ready in the prove window
 */
export async function rehearse(
  modules: PeerModules,
  base: RoundStart,
  snapshot: JobSnapshot,
  batches: BatchSource,
  signal: AbortSignal,
): Promise<void> {
  const { trainer, chain, clock } = modules;
  const index = batchesOfRound(snapshot, chain.self, 0)[0]!;
  const batch = await batches.batch(index, signal);
  const header = await chain.stepHeader(0, 0, index);
  const timeOf = async (action: () => Promise<unknown>) => {
    signal.throwIfAborted();
    const startedMs = clock.nowMs();
    await action();
    return clock.nowMs() - startedMs;
  };
  // Always the same step: another one on the same batch may overflow where none of the job does. It is the first step of
  // the job itself, with the same weights and so with the same blinders.
  const fromBase = async (action: () => Promise<unknown>) => {
    await trainer.setWeights(base);
    return timeOf(action);
  };
  const prove = () => fromBase(() => trainer.proveStep(header, batch));
  let proveMs = await prove();
  let stepMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MEASUREMENTS; i++) stepMs = Math.min(stepMs, await fromBase(() => trainer.step(batch)));
  // The first proof of a process is slower than those after it.
  if (!proofsFit(snapshot, { stepMs, proveMs })) proveMs = Math.min(proveMs, await prove());
  modules.log.info({ stepMs, proveMs }, "one step was proven for a try");
  assertProofsFit(snapshot, { stepMs, proveMs });
}
