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
  readonly repeats: Repeats;
  /** Makes the weights that the round starts from present. */
  ensureBase(snapshot: JobSnapshot): Promise<void>;
  /** What this worker committed to in the round. @throws SwarmError `NotYet`, `NotReproducible` */
  own(snapshot: JobSnapshot): Promise<LocalResult>;
  stats(): RoundStats;
}

const REPEAT_MS = 2000;

/** Messages that are published again and again, because relay messages can be lost. */
export class Repeats {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #againAtMs = new Map<string, number>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Publishes now and again every two seconds while it is called. */
  publish(name: string, publish: () => Promise<void>): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < (this.#againAtMs.get(name) ?? 0)) return;
    this.#againAtMs.set(name, nowMs + REPEAT_MS);
    void publish().catch((error: unknown) => this.#log.debug({ name, error: String(error) }, "not published"));
  }
}
