import { SwarmError } from "./errors.ts";
import type { LocalResult } from "./local-training.ts";
import type { RoundStats } from "./messages.ts";
import type { Address, Clock, JobSnapshot, Log } from "./ports.ts";
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

const FIRST_RETRY_MS = 2000;
const LAST_RETRY_MS = 30_000;

interface Announcement {
  /** Members that have confirmed it. */
  readonly heard: Set<Address>;
  attempts: number;
  againAtMs: number;
}

/** Messages that are due once to each member; one whose time is over is withdrawn. */
export class Announcements {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #announced = new Map<string, Announcement>();
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

  /**
   * Sends it to those that have not confirmed it, unless it is on its way. After a failure, and while somebody has not
   * confirmed it, it is due again after 2, 4, 8, ... 30 s.
   * @param send resolves with the members that confirmed it
   */
  once(
    name: string,
    to: readonly Address[],
    send: (missing: readonly Address[], signal: AbortSignal) => Promise<readonly Address[]>,
  ): void {
    const announcement = this.#announced.get(name) ?? { heard: new Set(), attempts: 0, againAtMs: 0 };
    this.#announced.set(name, announcement);
    const missing = to.filter((address) => !announcement.heard.has(address));
    if (missing.length === 0 || this.#clock.nowMs() < announcement.againAtMs) return;
    announcement.againAtMs = Number.POSITIVE_INFINITY;
    const { signal } = this.#over;
    const ended = (error?: unknown) => {
      if (signal.aborted) return;
      announcement.againAtMs =
        this.#clock.nowMs() + Math.min(FIRST_RETRY_MS * 2 ** announcement.attempts++, LAST_RETRY_MS);
      const left = missing.filter((address) => !announcement.heard.has(address));
      if (left.length > 0) this.#log.debug({ name, left, error: error && String(error) }, "not delivered to all");
    };
    send(missing, signal).then((heard) => {
      for (const address of heard) announcement.heard.add(address);
      ended();
    }, ended);
  }

  /** Withdraws everything. */
  stop(): void {
    this.#over.abort(new SwarmError("TooLate", "the round is over"));
    this.#over = new AbortController();
    this.#announced.clear();
  }
}
