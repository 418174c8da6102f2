import { assertFinal, assertStep } from "./job/invariants.ts";
import { playJob, randomSpec } from "./job/random-jobs.ts";
import { createRandom } from "./job/random.ts";
import { JobOutcome } from "./job/state.ts";

export interface FuzzOptions {
  /** Cases to run. */
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Runs the cases and returns counts for the report; throws on the first finding. */
export type Fuzzer = (options: FuzzOptions) => Promise<Record<string, unknown>>;

/** Random jobs against the invariants of the job machine. */
async function jobInvariants({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const names = Object.keys(JobOutcome);
  const outcomes: Record<string, number> = {};
  let [events, refused] = [0, 0];
  for (let index = 0; index < count; index++) {
    const random = createRandom(seed * 1_000_003 + index);
    const spec = randomSpec(random);
    const trace = playJob(random, spec);
    let next = trace.next();
    for (; !next.done; next = trace.next()) {
      events++;
      if (next.value.error !== undefined) refused++;
      assertStep(spec, next.value, index % 20 === 0);
    }
    assertFinal(spec, next.value);
    const outcome = names[next.value.outcome]!;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (index % 100 === 99) {
      onProgress?.(index + 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return { jobs: count, events, refused, outcomes };
}

export const fuzzers: Record<string, Fuzzer> = { "job-invariants": jobInvariants };
