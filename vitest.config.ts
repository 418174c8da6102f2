import os from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
// Tests run the built command and kernels: those of the sources as they are now.
import "./scripts/setup.mjs";

/** Whole jobs begin first: one that begins last would keep a core idle at the end. */
class JobsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isJob = ({ moduleId }: TestSpecification) => !moduleId.includes("/packages/");
    return [...sorted.filter(isJob), ...sorted.filter((file) => !isJob(file))];
  }
}

export default defineConfig({
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    pool: "forks",
    sequence: { sequencer: JobsFirst },
    // Whole jobs mostly wait for blocks, so that three files fit two cores.
    maxWorkers: Math.max(3, Math.floor(os.availableParallelism() / 2)),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
