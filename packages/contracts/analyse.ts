// npm run analyse: static analysis of the contracts. solhint always; slither, when it is installed, on the compiler's
// own syntax trees. Findings that docs/security.md answers are listed in analysis.json; any other one fails.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import process from "node:process";

const folder = import.meta.dirname;
const solidity = path.join(folder, "solidity");
const require = createRequire(import.meta.url);

/** Rule -> place -> how often. A place is a file (solhint), or a contract's function (slither). */
export type Findings = Readonly<Record<string, Readonly<Record<string, number>>>>;

interface Accepted {
  readonly solhint: Findings;
  readonly slither: Findings;
}

/** Findings that docs/security.md answers. */
export const accepted = JSON.parse(fs.readFileSync(path.join(folder, "analysis.json"), "utf8")) as Accepted;

/** Contracts that nodes use; those of tests are hostile on purpose. */
const files = () =>
  fs
    .readdirSync(solidity, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".sol") && !file.startsWith("test"))
    .toSorted();

function count(findings: readonly (readonly [rule: string, place: string])[]): Findings {
  const result: Record<string, Record<string, number>> = {};
  for (const [rule, place] of findings) {
    const places = (result[rule] ??= {});
    places[place] = (places[place] ?? 0) + 1;
  }
  return result;
}

interface Linter {
  processFile(file: string, config: object): { readonly reports: readonly { readonly ruleId: string }[] };
}

/** What solhint says about the contracts, or about one other file. */
export function lint(only?: string): Findings {
  const { processFile } = require("solhint") as Linter;
  const config = JSON.parse(fs.readFileSync(path.join(folder, ".solhint.json"), "utf8")) as object;
  const targets = only === undefined ? files().map((file) => path.join(solidity, file)) : [only];
  return count(
    targets.flatMap((file) =>
      processFile(file, config).reports.map(({ ruleId }) => [ruleId, path.basename(file)] as const),
    ),
  );
}

/** Sources under the names by which they import each other, so that slither finds them as files. */
function copySources(place: string): Record<string, { content: string }> {
  const sources: Record<string, { content: string }> = {};
  const add = (name: string, from: string) => {
    if (sources[name] !== undefined) return;
    const content = fs.readFileSync(from, "utf8");
    sources[name] = { content };
    fs.mkdirSync(path.dirname(path.join(place, name)), { recursive: true });
    fs.writeFileSync(path.join(place, name), content);
    for (const [, target] of content.matchAll(/from "([^"]+)"/g)) {
      const local = target!.startsWith(".");
      const next = local ? path.join(path.dirname(name), target!) : target!;
      add(next, local ? path.join(path.dirname(from), target!) : require.resolve(target!));
    }
  };
  for (const file of files()) add(path.join("solidity", file), path.join(solidity, file));
  return sources;
}

interface SlitherReport {
  readonly results: {
    readonly detectors?: readonly {
      readonly check: string;
      readonly elements: readonly {
        readonly name: string;
        readonly type_specific_fields?: { readonly parent?: { readonly name: string } };
      }[];
    }[];
  };
}

/** What slither says; undefined when it is not installed. */
function slither(): Findings | undefined {
  if (spawnSync("slither", ["--version"]).status !== 0) return undefined;
  const place = fs.mkdtempSync(path.join(os.tmpdir(), "skynet-slither-"));
  try {
    const sources = copySources(place);
    const { compile } = require("solc") as { compile(input: string): string };
    const everything = ["abi", "evm.bytecode", "evm.deployedBytecode", "evm.methodIdentifiers", "userdoc", "devdoc"];
    const settings = { evmVersion: "cancun", viaIR: true, optimizer: { enabled: true, runs: 200 } };
    const outputSelection = { "*": { "*": everything, "": ["ast"] } };
    const input = { language: "Solidity", sources, settings: { ...settings, outputSelection } };
    const output = JSON.parse(compile(JSON.stringify(input))) as object;
    const build = {
      _format: "hh-sol-build-info-1",
      id: "all",
      solcVersion: "0.8.37",
      solcLongVersion: "0.8.37",
      input,
      output,
    };
    fs.mkdirSync(path.join(place, "artifacts", "build-info"), { recursive: true });
    fs.writeFileSync(path.join(place, "artifacts", "build-info", "all.json"), JSON.stringify(build));
    // what makes a folder a project for slither
    fs.writeFileSync(path.join(place, "package.json"), "{}");
    fs.writeFileSync(path.join(place, "hardhat.config.js"), "module.exports = {};");
    const report = path.join(place, "report.json");
    const read = ["--compile-force-framework", "hardhat", "--hardhat-ignore-compile"];
    const args = [".", ...read, "--hardhat-artifacts-directory", "artifacts", "--filter-paths", "@openzeppelin"];
    const run = spawnSync("slither", [...args, "--json", report], { cwd: place, encoding: "utf8" });
    if (!fs.existsSync(report) || /analyzed \(0 contracts/.test(run.stderr))
      throw new Error(`slither failed: ${run.stderr}`);
    const { results } = JSON.parse(fs.readFileSync(report, "utf8")) as SlitherReport;
    return count(
      (results.detectors ?? []).map(({ check, elements: [first] }) => [
        check,
        [first?.type_specific_fields?.parent?.name, first?.name].filter((part) => part !== undefined).join("."),
      ]),
    );
  } finally {
    fs.rmSync(place, { recursive: true, force: true });
  }
}

/** What differs between two sets of findings, one line each. */
export function differences(found: Findings, known: Findings): string[] {
  const keys = (findings: Findings) =>
    Object.entries(findings).flatMap(([rule, places]) => Object.entries(places).map(([at, n]) => `${rule} ${at} ${n}`));
  const [a, b] = [new Set(keys(found)), new Set(keys(known))];
  return [
    ...[...a].filter((key) => !b.has(key)).map((key) => `not answered: ${key}`),
    ...[...b].filter((key) => !a.has(key)).map((key) => `no longer found: ${key}`),
  ];
}

function main(): void {
  const total = (findings: Findings) =>
    Object.values(findings).reduce((sum, places) => sum + Object.values(places).reduce((a, b) => a + b, 0), 0);
  let failed = false;
  for (const [tool, found] of Object.entries({ solhint: lint(), slither: slither() })) {
    if (found === undefined) {
      console.log(`${tool}: not installed, skipped`);
      continue;
    }
    const lines = differences(found, accepted[tool as keyof Accepted]);
    console.log(
      [`${tool}: ${total(found)} findings, ${lines.length} differ from analysis.json`, ...lines].join("\n  "),
    );
    if (process.argv.includes("--json")) console.log(JSON.stringify({ [tool]: found }, null, 2));
    failed ||= lines.length > 0;
  }
  if (failed) {
    console.error("Fix the finding, or answer it in docs/security.md and list it in packages/contracts/analysis.json.");
    process.exitCode = 1;
  }
}

if (import.meta.main) main();
