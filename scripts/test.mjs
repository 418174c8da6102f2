// npm test: types, lint, format, then every test; ends with one line "N passed, N failed, N skipped".
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";

const results = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "skynet-test-")), "results.json");
let failedChecks = 0;

function check(name, command, args) {
  process.stdout.write(`\n${name}\n`);
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) {
    failedChecks++;
    process.stdout.write(`${name}: failed\n`);
  }
}

const filters = process.argv.slice(2);
if (filters.length === 0) {
  check("Types", "tsc", ["--noEmit"]);
  check("Lint", "oxlint", ["--deny-warnings"]);
  check("Format", "oxfmt", ["--check", "."]);
}
process.stdout.write("\nTests\n");
const run = spawnSync(
  "vitest",
  ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${results}`, ...filters],
  { stdio: "inherit" },
);

const counts = { passed: 0, failed: 0, skipped: 0 };
if (fs.existsSync(results)) {
  const report = JSON.parse(fs.readFileSync(results, "utf8"));
  counts.passed = report.numPassedTests;
  counts.failed = report.numFailedTests;
  counts.skipped = report.numPendingTests + (report.numTodoTests ?? 0);
}
fs.rmSync(path.dirname(results), { recursive: true, force: true });
counts.failed += failedChecks;
if (run.status !== 0 && counts.failed === 0) counts.failed = 1;
process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);
