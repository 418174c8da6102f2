// npm run fuzz -- NAME [--count N] [--seed S]: long versions of the seeded samples that npm test runs.
// A package offers fuzzers in its `fuzz` entry: name -> function that throws on the first finding.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

type Fuzzer = (options: {
  count: number;
  seed: number;
  onProgress: (done: number) => void;
}) => Promise<Record<string, unknown>>;

const packages = path.join(import.meta.dirname, "..", "..", "packages");
const fuzzers: Record<string, Fuzzer> = {};
for (const name of fs.readdirSync(packages)) {
  const file = path.join(packages, name, "src", "fuzz.ts");
  if (fs.existsSync(file))
    Object.assign(fuzzers, ((await import(file)) as { fuzzers: Record<string, Fuzzer> }).fuzzers);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: "string", default: "1000" }, seed: { type: "string", default: "1" } },
});
const fuzzer = fuzzers[positionals[0] ?? ""];
const count = Number(values.count);
const seed = Number(values.seed);
if (fuzzer === undefined || !Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  console.error(`usage: npm run fuzz -- NAME [--count N] [--seed S]\nfuzzers: ${Object.keys(fuzzers).join(", ")}`);
  process.exit(2);
}
const startedMs = Date.now();
let shownMs = startedMs;
const report = await fuzzer({
  count,
  seed,
  onProgress: (done) => {
    if (Date.now() - shownMs < 1000) return;
    shownMs = Date.now();
    process.stderr.write(`  ${done} / ${count}\n`);
  },
});
console.log(JSON.stringify({ count, seed, seconds: (Date.now() - startedMs) / 1000, ...report }, null, 2));
