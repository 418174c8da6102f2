import { SwarmError } from "./errors.ts";
import type { LocalResult } from "./local-training.ts";
import type { RoundStats } from "./messages.ts";
import type { Clock, JobSnapshot, Log } from "./ports.ts";
import type { SignatureBoard } from "./signature-board.ts";
import type { TaskSet } from "./tasks.ts";
import type { Turns } from "./turns.ts";

/** What the parts of a worker's round have in common. */
export interface RoundTools {
  readonly tasks: TaskSet;
  readonly turns: Turns;
  readonly board: SignatureBoard;
  readonly announcements: Announcements;
  /** Makes the weights that the round starts from present. */
  ensureBase(snapshot: JobSnapshot): Promise<void>;
  /** What this worker committed to in the round. @throws SwarmError `NotYet`, `NotReproducible` */
  own(snapshot: JobSnapshot): Promise<LocalResult>;
  stats(): RoundStats;
}

const RETRY_MS = 2000;

/** Messages that are due once; one whose time is over is withdrawn. */
export class Announcements {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #againAtMs = new Map<string, number>();
  #time = "";
  #over = new AbortController();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Withdraws what was said for another round, or before the first one. */
  follow({ phase, round }: JobSnapshot): void {
    const time = phase === "OPEN" || phase === "READY" ? "before" : String(round);
    if (time === this.#time) return;
    this.stop();
    this.#time = time;
  }

  /** Sends it unless that was done; a failure is tried again after two seconds. */
  once(name: string, send: (signal: AbortSignal) => Promise<unknown>): void {
    if (this.#clock.nowMs() < (this.#againAtMs.get(name) ?? 0)) return;
    this.#againAtMs.set(name, Number.POSITIVE_INFINITY);
    const { signal } = this.#over;
    send(signal).catch((error: unknown) => {
      if (signal.aborted) return;
      this.#againAtMs.set(name, this.#clock.nowMs() + RETRY_MS);
      this.#log.debug({ name, error: String(error) }, "not delivered");
    });
  }

  /** Withdraws everything. */
  stop(): void {
    this.#over.abort(new SwarmError("TooLate", "the round is over"));
    this.#over = new AbortController();
    this.#againAtMs.clear();
  }
}
