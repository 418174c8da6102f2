import os from "node:os";
import { defineConfig } from "vitest/config";
// Tests run the built command and kernels: those of the sources as they are now.
import "./scripts/setup.mjs";

export default defineConfig({
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    pool: "forks",
    // Whole jobs mostly wait for blocks, so that two files fit two cores.
    maxWorkers: Math.max(2, Math.floor(os.availableParallelism() / 2)),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
