import { SwarmError } from "./errors.ts";
import type { JobPhase, JobSnapshot } from "./ports.ts";

/**
 * The trainer holds one set of weights, so one thing at a time trains or proves with it, and only while the job is in
 * the phase that this is for.
 */
export class TrainerUse {
  #current: { readonly round: number; readonly phase: JobPhase; readonly abort: AbortController } | undefined;

  get busy(): boolean {
    return this.#current !== undefined;
  }

  /** Runs the action in the snapshot's round and phase; its signal aborts with these. */
  async run<Result>(
    { round, phase }: JobSnapshot,
    signal: AbortSignal,
    action: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    if (this.#current) throw new SwarmError("NotYet", "the trainer is at work");
    const current = { round, phase, abort: new AbortController() };
    this.#current = current;
    try {
      return await action(AbortSignal.any([current.abort.signal, signal]));
    } finally {
      this.#current = undefined;
    }
  }

  /** Work for a phase that is over is of no use. */
  stopOld({ round, phase }: JobSnapshot): void {
    const current = this.#current;
    if (current && (current.round !== round || current.phase !== phase))
      this.stop(`${current.phase} of round ${current.round} is over`);
  }

  stop(reason: string): void {
    this.#current?.abort.abort(new SwarmError("TooLate", reason));
  }
}
