// Run by npm run coverage: node packages/contracts/src/coverage/build.ts
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { buildContracts } from "../../compile.ts";
import { instrument } from "./instrument.ts";
import { coverageFolder, marksFile } from "./places.ts";

const solidity = path.join(import.meta.dirname, "..", "..", "solidity");

/** Contracts that nodes use; those of tests are not counted. */
const isCounted = (file: string) => !file.startsWith("test/") && !file.startsWith("interfaces/");

const files = fs
  .readdirSync(solidity, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".sol"))
  .map((file) => file.replaceAll(path.sep, "/"));
const sources = Object.fromEntries(files.map((file) => [file, fs.readFileSync(path.join(solidity, file), "utf8")]));
const { sources: marked, marks } = instrument(sources, isCounted);
for (const [file, text] of Object.entries(marked)) {
  const target = path.join(coverageFolder, "solidity", file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, text);
}
fs.writeFileSync(marksFile, JSON.stringify(marks));
await buildContracts({
  sources: "build/coverage/solidity",
  artifacts: "build/coverage/artifacts",
  cache: "build/coverage/cache",
  generated: "build/coverage/generated",
});
process.exit(0);
