import path from "node:path";
import { defineConfig } from "vitest/config";
import { coverageFolder } from "./places.ts";

const chain = path.join(import.meta.dirname, "chain.ts");

export default defineConfig({
  plugins: [
    {
      name: "marked contracts on a chain that tells what ran",
      enforce: "pre",
      resolveId: (source) => {
        const contract = /\/generated\/(\w+\.ts)$/.exec(source);
        if (contract !== null) return path.join(coverageFolder, "generated", contract[1]!);
        return /^\.\.?(\/.*)?\/anvil\.ts$/.test(source) ? chain : undefined;
      },
    },
  ],
  test: {
    root: path.join(import.meta.dirname, ".."),
    include: ["**/*.test.ts", "coverage-tools/sample.ts"],
    // gas, and how anvil itself behaves, say nothing about what ran; of the fuzzer there is a sample
    exclude: ["gas.test.ts", "client.test.ts", "fuzz/**"],
    pool: "forks",
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
