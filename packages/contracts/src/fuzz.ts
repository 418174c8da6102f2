import { createRandom, playJob, randomSpec } from "@skynet/protocol";
import type { Fuzzer, FuzzOptions, JobSpec, TraceStep } from "@skynet/protocol";
import { runCampaign } from "./fuzz/campaign.ts";
import { createHarness } from "./harness.ts";
import type { HarnessRun } from "./harness.ts";
import { startTestChain, testKey } from "./test-chain.ts";

/** The two machines disagree about a step. */
export class DivergenceError extends Error {
  constructor(detail: unknown) {
    super(`the machines disagree\n${text(detail, 1)}`);
    this.name = "DivergenceError";
  }
}

const decimal = (_: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value);
const text = (value: unknown, indent?: number) => JSON.stringify(value, decimal, indent);

/** The text of a value with the keys of its object in order, so that equal states have equal texts. */
function canonical(value: object | undefined): string | undefined {
  if (value === undefined) return undefined;
  return text(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** @throws DivergenceError at the first step where the Solidity machine says something else */
export function assertSameTrace(
  spec: JobSpec,
  trace: readonly Pick<TraceStep, "event" | "after" | "error">[],
  run: HarnessRun,
): void {
  trace.forEach(({ event, after, error }, index) => {
    const other = run.steps[index];
    if (other !== undefined && other.error === error && canonical(other.after) === canonical(after)) return;
    throw new DivergenceError({ spec, index, event, typescript: { error, after }, solidity: other });
  });
}

/** Random traces through both machines, on a chain of its own. */
async function jobMachine({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  const chain = await startTestChain(1);
  let events = 0;
  try {
    const play = await createHarness(chain.anvil.rpcUrl, testKey(0));
    for (let index = 0; index < count; index++) {
      const random = createRandom(seed * 1_000_003 + index);
      const spec = randomSpec(random);
      const trace = [...playJob(random, spec)];
      const run = await play(
        spec,
        trace.map(({ event }) => event),
      );
      assertSameTrace(spec, trace, run);
      events += trace.length;
      onProgress?.(index + 1);
    }
  } finally {
    await chain.stop();
  }
  return { traces: count, events };
}

/** Random calls of all contracts at once against a model of their rules; `count` are calls. */
async function contracts({ count, seed, onProgress }: FuzzOptions): Promise<Record<string, unknown>> {
  return { ...(await runCampaign({ calls: count, seed, onProgress })) };
}

export const fuzzers: Record<string, Fuzzer> = { "job-machine": jobMachine, contracts };
