// npm run coverage: lines and decisions of the contracts that the tests of this package run, per contract. Fails below
// the threshold. The sources are marked, compiled, and put on a chain that tells which marks a call has passed.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import type { Mark } from "./src/coverage-tools/instrument.ts";
import { hitsFolder, marksFile } from "./src/coverage-tools/places.ts";
import { formatReport, summarize } from "./src/coverage-tools/report.ts";

const REQUIRED_PERCENT = 95;
const tools = path.join(import.meta.dirname, "src", "coverage-tools");

function step(name: string, command: string, args: readonly string[]): void {
  process.stderr.write(`\n${name}\n`);
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status === 0) return;
  process.stderr.write(`${name}: failed\n`);
  process.exit(1);
}

fs.rmSync(hitsFolder, { recursive: true, force: true });
step("Marked contracts (about two minutes)", process.execPath, [path.join(tools, "build.ts")]);
const config = path.join(tools, "vitest.config.ts");
step("Tests", "vitest", ["run", "--config", config, ...process.argv.slice(2)]);

const marks = JSON.parse(fs.readFileSync(marksFile, "utf8")) as Mark[];
const hits = new Set(
  fs
    .readdirSync(hitsFolder)
    .flatMap((file) => JSON.parse(fs.readFileSync(path.join(hitsFolder, file), "utf8")) as number[]),
);
const summary = summarize(marks, hits);
process.stdout.write(`\n${formatReport(summary)}\n`);
const { lines, branches } = summary.total;
if (lines.percent < REQUIRED_PERCENT || branches.percent < REQUIRED_PERCENT) {
  process.stdout.write(`\nbelow ${REQUIRED_PERCENT} %\n`);
  process.exit(1);
}
