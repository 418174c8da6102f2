import os from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
// Tests run the built command and kernels: those of the sources as they are now.
import "./scripts/setup.mjs";

/** Between whole jobs, which mostly wait for blocks, come tests that compute; no job begins last. */
class Mixed extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isJob = ({ moduleId }: TestSpecification) => !moduleId.includes("/packages/");
    const [jobs, others] = [sorted.filter(isJob), sorted.filter((file) => !isJob(file))];
    const each = Math.floor(others.length / Math.max(jobs.length, 1));
    return [...jobs.flatMap((job) => [job, ...others.splice(0, each)]), ...others];
  }
}

export default defineConfig({
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    pool: "forks",
    sequence: { sequencer: Mixed },
    // Whole jobs mostly wait for blocks, so that three files fit two cores.
    maxWorkers: Math.max(3, Math.floor(os.availableParallelism() / 2)),
    // Limits end what hangs; none is to be met by a test that a busy machine slows down.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
  },
});
