// npm run fuzz -- NAME [--count N] [--seed S]: long versions of the seeded samples that npm test runs. Fuzzers that
// count calls take --calls N as well.
// A package offers fuzzers in its `fuzz` entry, the tests of several packages in tests/fuzz.ts: name -> function that
// throws on the first finding.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

type Fuzzer = (options: {
  count: number;
  seed: number;
  onProgress: (done: number) => void;
}) => Promise<Record<string, unknown>>;

const root = path.join(import.meta.dirname, "..", "..");
const packages = fs.readdirSync(path.join(root, "packages"));
const entries = packages.map((name) => path.join(root, "packages", name, "src", "fuzz.ts"));
const fuzzers: Record<string, Fuzzer> = {};
for (const file of [...entries, path.join(root, "tests", "fuzz.ts")]) {
  if (fs.existsSync(file))
    Object.assign(fuzzers, ((await import(file)) as { fuzzers: Record<string, Fuzzer> }).fuzzers);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: "string" }, calls: { type: "string" }, seed: { type: "string", default: "1" } },
});
const fuzzer = fuzzers[positionals[0] ?? ""];
const count = Number(values.count ?? values.calls ?? "1000");
const seed = Number(values.seed);
if (fuzzer === undefined || !Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  console.error(`usage: npm run fuzz -- NAME [--count N] [--seed S]\nfuzzers: ${Object.keys(fuzzers).join(", ")}`);
  process.exit(2);
}
const startedMs = Date.now();
const WIDTH = 30;
let shownMs = startedMs + 1000;

/** A bar from the second second on: on a terminal in one line, elsewhere one line in ten seconds. */
function showProgress(done: number): void {
  const live = process.stderr.isTTY;
  if (Date.now() - shownMs < (live ? 200 : 10_000) && !(live && done === count)) return;
  shownMs = Date.now();
  const bar = "#".repeat(Math.floor((WIDTH * done) / count)).padEnd(WIDTH, ".");
  const seconds = ((shownMs - startedMs) / 1000).toFixed(0);
  process.stderr.write(`${live ? "\r" : ""}  [${bar}] ${done} / ${count}, ${seconds} s${live ? " " : "\n"}`);
}

let report: Record<string, unknown>;
try {
  report = await fuzzer({ count, seed, onProgress: showProgress });
} catch (error) {
  console.error(`\nseed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exit(1);
}
if (process.stderr.isTTY) process.stderr.write("\n");
console.log(JSON.stringify({ count, seed, seconds: (Date.now() - startedMs) / 1000, ...report }, null, 2));
