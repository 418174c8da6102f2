// Run by the set-up when a source changes: node packages/contracts/build.ts
import process from "node:process";
import { buildContracts } from "./compile.ts";

try {
  await buildContracts({
    sources: "solidity",
    artifacts: "build/artifacts",
    cache: "build/cache",
    generated: "generated",
  });
  process.exit(0);
} catch (error) {
  process.stderr.write(`The contracts could not be built: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
