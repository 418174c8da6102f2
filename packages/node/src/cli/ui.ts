import process from "node:process";
import Table from "cli-table3";
import { createLogUpdate } from "log-update";
import { colours as pc } from "./colours.ts";
import { hiddenCharacters, toHex } from "@skynet/protocol";
import type { RoundReport } from "@skynet/swarm";
import type { Summary } from "../report/summary.ts";
import { formatAccuracy, formatAmount, formatBytes, formatGas, formatLoss, formatSeconds } from "./format.ts";
import { terminalText, writeLine, writeNote } from "./terminal.ts";

/** Where a command tells the user what happens. One implementation per kind of output. */
export interface Ui {
  /** One line of the result. */
  line(text: string): void;
  /** One line about something on the way: a retry, a warning. It is not part of the result. */
  note(text: string): void;
  /** Something that takes a while; `total` in the same unit as `done`. */
  progress(label: string, done: number, total: number): void;
  /** What is going on now; replaced by the next one, shown only where lines can be redrawn. Empty: nothing. */
  status(text: string): void;
  /** A machine-readable event; shown only with --json. */
  event(name: string, details?: Record<string, unknown>): void;
  round(report: RoundReport, rounds: number): void;
  summary(summary: Summary): void;
  close(): void;
}

export function createUi(options: { json: boolean }): Ui {
  if (options.json) return jsonUi();
  return process.stdout.isTTY && !process.env.CI ? liveUi() : plainUi();
}

/** JSON with bigints as decimal strings, and bytes as hexadecimal. */
export const toJson = (value: unknown, indent?: number): string => {
  const text = JSON.stringify(
    value,
    (_key, field: unknown) => {
      if (typeof field === "bigint") return field.toString();
      return field instanceof Uint8Array ? toHex(field) : field;
    },
    indent,
  );
  // Controls below the space are written so already; a new line is one of the indentation.
  return text.replaceAll(hiddenCharacters, (found) => (found === "\n" ? found : escaped(found)));
};

/** As in JSON, one unit of UTF-16 after the other. */
const escaped = (text: string): string =>
  Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, "0")}`).join("");

function jsonUi(): Ui {
  const write = (value: unknown) => process.stdout.write(`${toJson(value)}\n`);
  return {
    line: () => {},
    note: () => {},
    progress: () => {},
    status: () => {},
    event: (name, details = {}) => write({ event: name, ...details }),
    round: (report) => write({ event: "round", ...report }),
    summary: (summary) => write({ event: "summary", ...summary }),
    close: () => {},
  };
}

function plainUi(): Ui {
  const shown = new Map<string, number>();
  return {
    line: writeLine,
    note: writeNote,
    progress: (label, done, total) => {
      const quarter = total === 0 ? 4 : Math.floor((4 * done) / total);
      if ((shown.get(label) ?? -1) >= quarter) return;
      shown.set(label, quarter);
      writeNote(`${label}: ${Math.floor((100 * done) / Math.max(total, 1))} %`);
    },
    status: () => {},
    event: () => {},
    round: (report, rounds) => writeLine(roundLine(report, rounds)),
    summary: (summary) => writeLine(summaryText(summary)),
    close: () => {},
  };
}

const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

function liveUi(): Ui {
  const live = createLogUpdate(process.stdout);
  const reports: RoundReport[] = [];
  const bars = new Map<string, { done: number; total: number }>();
  let rounds = 0;
  let frame = 0;
  let status = "";
  let finished = false;
  const draw = () => {
    if (finished) return;
    const parts = [...bars].map(
      ([label, { done, total }]) => `${spinner(done, total, frame)} ${label.padEnd(34)} ${bar(done, total)}`,
    );
    if (reports.length > 0) parts.push(roundTable(reports, rounds));
    if (status !== "") parts.push(`${spinner(0, 1, frame)} ${status}`);
    live(terminalText(parts.join("\n")));
    frame++;
  };
  const timer = setInterval(draw, 120);
  timer.unref();
  /** The table stays; what was only of the moment goes. */
  const finish = () => {
    if (finished) return;
    clearInterval(timer);
    status = "";
    bars.clear();
    draw();
    finished = true;
    live.done();
  };
  /** Writes where it stays, above what is redrawn. */
  const above = (write: () => void) => {
    if (!finished) live.clear();
    write();
    draw();
  };
  return {
    line: (text) => above(() => writeLine(text)),
    note: (text) => above(() => writeNote(text)),
    progress: (label, done, total) => {
      bars.set(label, { done, total });
      if (done >= total) {
        bars.delete(label);
        above(() => writeLine(`${pc.green("✔")} ${label}`));
      }
    },
    status: (text) => {
      status = text;
    },
    event: () => {},
    round: (report, count) => {
      rounds = count;
      reports.push(report);
      draw();
    },
    summary: (summary) => {
      finish();
      writeLine(summaryText(summary));
    },
    close: finish,
  };
}

function spinner(done: number, total: number, frame: number): string {
  return done >= total ? pc.green("✔") : pc.cyan(SPINNER[frame % SPINNER.length]!);
}

const BAR_WIDTH = 28;

function bar(done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(done / total, 1);
  const filled = Math.round(share * BAR_WIDTH);
  return `${pc.cyan("█".repeat(filled))}${pc.dim("░".repeat(BAR_WIDTH - filled))} ${Math.floor(100 * share)} %`;
}

function roundTable(reports: readonly RoundReport[], rounds: number): string {
  const table = new Table({
    head: ["round", "test loss", "accuracy", "seconds", "sent", "merged", "proven"].map((title) => pc.bold(title)),
    style: { head: [], border: pc.isColorSupported ? ["gray"] : [] },
    colAligns: ["right", "right", "right", "right", "right", "right", "right"],
  });
  for (const report of reports) {
    const merged = report.merged ? `${report.included} of ${report.committed}` : pc.red("no");
    const accuracy = pc.green(formatAccuracy(report.accuracy));
    table.push([
      `${report.round} / ${rounds}`,
      formatLoss(report.loss),
      accuracy,
      report.seconds.toFixed(1),
      formatBytes(report.sentBytes),
      merged,
      provenText(report),
    ]);
  }
  return table.toString();
}

function roundLine(report: RoundReport, rounds: number): string {
  const merged = report.merged ? `${report.included} of ${report.committed} updates merged` : "not merged";
  return `round ${report.round}/${rounds}: loss ${formatLoss(report.loss)}, accuracy ${formatAccuracy(report.accuracy)}, ${report.seconds.toFixed(1)} s, ${formatBytes(report.sentBytes)} sent, ${merged}${report.proofs.length === 0 ? "" : `, proven: ${provenText(report)}`}`;
}

/** For example "4 x 2 steps, 1.65 M gas each". */
function provenText({ proofs }: RoundReport): string {
  if (proofs.length === 0) return "none";
  const steps = proofs.reduce((sum, proven) => sum + proven.steps, 0);
  const gas = proofs.reduce((sum, proven) => sum + proven.gas, 0);
  const each = steps / proofs.length;
  return `${proofs.length} x ${Number.isInteger(each) ? each : each.toFixed(1)} steps, ${formatGas(gas / proofs.length)} gas each`;
}

function verificationText(summary: Summary): string {
  if (summary.mode === "quorum")
    return "quorum of the workers' signatures (every worker holds every update); nothing was proven";
  const { proofs, provenWorkerRounds, gas, slashed, zk } = summary;
  const lost = slashed === 0 ? "" : `; ${slashed} slashed`;
  return `${proofs} steps of ${provenWorkerRounds} worker-rounds proven on chain${zk ? " in zero knowledge" : ""}, ${formatGas(gas.prove.mean)} gas an answer${lost}`;
}

/** The end of a run in a few lines. */
export function summaryText(summary: Summary): string {
  const amount = (value: bigint) => formatAmount(value, summary.token);
  const states = summary.statesIdentical ? pc.green("bit-identical on every worker") : pc.red("NOT identical");
  const model =
    summary.modelFile === undefined
      ? [`${pc.bold("Model")}          ${pc.red("none")}`]
      : [
          `${pc.bold("Test accuracy")}  ${pc.green(formatAccuracy(summary.testAccuracy))} after ${summary.rounds} rounds with ${summary.workers} workers`,
          `${pc.bold("Weights")}        ${states}`,
          `${pc.bold("Model")}          ${summary.modelFile}`,
        ];
  return [
    "",
    `${pc.bold("Outcome")}        ${summary.outcome}`,
    ...model,
    `${pc.bold("Money")}          budget ${amount(summary.budget)} = paid ${amount(summary.paid)} + refunded ${amount(summary.refunded)} + burned ${amount(summary.burned)}`,
    `${pc.bold("Time")}           ${formatSeconds(summary.trainSeconds)}`,
    `${pc.bold("Verification")}   ${verificationText(summary)}`,
    `${pc.bold("Report")}         ${summary.reportFile}`,
  ].join("\n");
}
