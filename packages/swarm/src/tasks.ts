import type { Clock, Log } from "./ports.ts";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;

/**
 * Actions that must happen once each, named by what they achieve. A node looks at the chain again and again and starts
 * what is due; a task that failed is started again after a growing pause, one that runs or is done is left alone.
 */
export class TaskSet {
  readonly #tasks = new Map<string, { state: "running" | "done" | "failed"; failures: number; retryAtMs: number }>();
  readonly #running = new Set<Promise<void>>();
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Starts the task unless it runs, is done, or failed a moment ago. */
  once(name: string, action: () => Promise<void>): void {
    const known = this.#tasks.get(name);
    if (known && (known.state !== "failed" || known.retryAtMs > this.#clock.nowMs())) return;
    const task = known ?? { state: "running" as const, failures: 0, retryAtMs: 0 };
    task.state = "running";
    this.#tasks.set(name, task);
    this.#log.debug({ task: name }, "started");
    const promise = action().then(
      () => {
        task.state = "done";
        this.#log.debug({ task: name }, "done");
      },
      (error: unknown) => {
        task.state = "failed";
        task.retryAtMs = this.#clock.nowMs() + Math.min(FIRST_RETRY_MS * 2 ** task.failures, LAST_RETRY_MS);
        task.failures++;
        this.#log.warn({ task: name, failures: task.failures, error: String(error) }, "will be tried again");
      },
    );
    this.#running.add(promise);
    void promise.finally(() => this.#running.delete(promise));
  }

  isDone(name: string): boolean {
    return this.#tasks.get(name)?.state === "done";
  }

  /** Waits until nothing runs. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
