import type { RoundReport } from "@skynet/swarm";
import {
  formatAccuracy,
  formatAmount,
  formatBytes,
  formatGas,
  formatLoss,
  formatSeconds,
  shortId,
} from "../cli/format.ts";
import type { DataFigures, Summary } from "./summary.ts";

/** Self-contained page about one run: figures, curves as inline SVG, a table; no script, no network. */
export function reportHtml(summary: Summary, finishedAt: Date): string {
  const money = (value: bigint) => formatAmount(value, summary.token);
  const figures: [string, string][] = [
    ["Test accuracy", summary.modelFile === undefined ? "no model" : formatAccuracy(summary.testAccuracy)],
    ["Rounds", String(summary.rounds)],
    ["Workers", String(summary.workers)],
    ["Weights on all workers", summary.statesIdentical ? "bit-identical" : "NOT identical"],
    ["Time", formatSeconds(summary.trainSeconds)],
    ["Outcome", summary.outcome.toLowerCase()],
    ...(summary.mode === "proof" ? [["Steps proven on chain", String(summary.proofs)] as [string, string]] : []),
  ];
  const rows = summary.perRound.map((report) => roundRow(report)).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SkyNet: ${escape(summary.name)}</title>
<style>
:root { color-scheme: light dark; --ink: #1b2430; --dim: #64748b; --line: #d9e0e8; --card: #ffffff; --page: #f4f6f9; --a: #0f766e; --b: #b45309; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #8b98a9; --line: #2c3642; --card: #161d26; --page: #0d1218; --a: #2dd4bf; --b: #fbbf24; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: auto; }
h1 { margin: 0; font-size: 1.6rem; } h2 { font-size: 1.05rem; margin: 0 0 .5rem; }
p.sub { margin: .2rem 0 1.5rem; color: var(--dim); overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; }
.figures div, section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.figures span { display: block; color: var(--dim); font-size: .8rem; } .figures b { font-size: 1.15rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: .8rem; margin: .8rem 0; }
section { margin: .8rem 0; overflow-x: auto; } .curves section { margin: 0; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; } th { color: var(--dim); font-weight: 600; }
.bar { display: flex; height: 1.1rem; border-radius: .3rem; overflow: hidden; background: var(--line); }
.bar i { display: block; } .paid { background: var(--a); } .refunded { background: var(--dim); } .burned { background: var(--b); }
</style>
</head>
<body>
<main>
<h1>${escape(summary.name)}</h1>
<p class="sub">Job ${escape(summary.jobId)}, finished ${finishedAt.toISOString().slice(0, 19).replace("T", " ")} UTC</p>
<div class="figures">${figures.map(([name, value]) => `<div><span>${name}</span><b>${escape(value)}</b></div>`).join("")}</div>
<div class="curves">
<section><h2>Test accuracy</h2>${curve(
    summary.perRound.map(({ accuracy }) => accuracy && 100 * accuracy),
    "var(--a)",
    (value) => `${value.toFixed(1)} %`,
  )}</section>
<section><h2>Test loss</h2>${curve(
    summary.perRound.map(({ loss }) => loss),
    "var(--b)",
    (value) => value.toFixed(3),
  )}</section>
</div>
<section><h2>Money</h2>${moneyBar(summary)}
<p>Budget ${money(summary.budget)} = paid ${money(summary.paid)} + refunded ${money(summary.refunded)} + burned ${money(summary.burned)}.${summary.stakeBurned > 0n ? ` Burned from stakes for missed rounds: ${money(summary.stakeBurned)}.` : ""}</p></section>
<section><h2>Rounds</h2><table><thead><tr><th>round</th><th>test loss</th><th>accuracy</th><th>training loss</th><th>seconds</th><th>bytes sent</th><th>updates merged</th></tr></thead>
<tbody>
${rows}
</tbody></table></section>
${summary.mode === "proof" ? proofSection(summary) : ""}
${dataSection(summary.data)}
<p class="sub">Trained in exact integers; every worker checked every update against the commitment on chain${
    summary.mode === "proof"
      ? ", and the contract averaged the commitments itself"
      : " and the average was accepted by a quorum of signatures"
  }. Training loss and bytes are as the workers report them; accuracy and test loss were measured by the requester.<br>Final weights ${escape(summary.modelId)}</p>
</main>
</body>
</html>
`;
}

/** Workers by rounds: proven steps and their gas; and what that means. */
function proofSection({ perRound, workerIds, steps, segment, gas, slashed, provenWorkerRounds, zk }: Summary): string {
  const head = perRound.map(({ round }) => `<th>round ${round}</th>`).join("");
  const rows = workerIds.map((worker) => {
    const cells = perRound.map(({ proofs }) => {
      const own = proofs.find((proven) => proven.worker === worker);
      return own ? `<td>${own.steps} proofs, ${formatGas(own.gas)} gas</td>` : "<td>none</td>";
    });
    return `<tr><th title="${escape(worker)}">${escape(shortId(worker))}</th>${cells.join("")}</tr>`;
  });
  const lost = slashed === 0 ? "" : ` ${slashed} drawn worker(s) did not prove and lost their stake.`;
  return `<section><h2>Proofs</h2><table><thead><tr><th>worker</th>${head}</tr></thead><tbody>
${rows.join("\n")}
</tbody></table>
<p>Proven on chain: in ${provenWorkerRounds} worker-rounds, the segments of ${segment} of ${steps} steps that were drawn after all workers had
committed to every segment; each drawn step has a proof that it is exactly the step of this model on the batch that the contract
prescribes. The start, the end and the average of every round are bound to the contract by commitments. ${
    zk
      ? "Commitments and proofs are zero-knowledge: strangers learn nothing of weights or data from them."
      : "This job did without zero knowledge: its proofs show something of weights and data."
  } On average ${formatGas(gas.prove.mean)} gas for an answer.${lost}</p>
<p>not proven: steps that were not drawn (faking them costs more on average than the round pays, by the stake rule), and that the data is
good or honest. The secret of a development chain's reference string is public, so its proofs convince nobody who was not there.</p></section>`;
}

/** Where the samples came from, and what decides their order. */
function dataSection({ name, files, seed, batchSize, rows, classes }: DataFigures): string {
  const count = (value: number) => value.toLocaleString("en");
  const lines = files.map(
    (file) =>
      `<tr><td>${escape(file.name)}</td><td>${formatBytes(file.bytes)}</td><td>${escape(file.sha256)}</td></tr>`,
  );
  return `<section><h2>Data</h2><p>${escape(name)}: ${count(rows.train)} samples for training, ${count(rows.test)} for testing, ${classes.length} classes; batches of ${count(batchSize)} in the order of seed ${seed}.</p>
<table><thead><tr><th>file</th><th>size</th><th>SHA-256</th></tr></thead><tbody>
${lines.join("\n")}
</tbody></table></section>`;
}

function roundRow(report: RoundReport): string {
  const merged = report.merged ? `${report.included} of ${report.committed}` : "none";
  const cells = [
    String(report.round),
    formatLoss(report.loss),
    formatAccuracy(report.accuracy),
    report.trainLoss.toFixed(4),
    report.seconds.toFixed(1),
    formatBytes(report.sentBytes),
    merged,
  ];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function moneyBar({ budget, paid, refunded, burned }: Summary): string {
  const part = (name: string, value: bigint) =>
    `<i class="${name}" style="width:${budget === 0n ? 0 : Number((value * 10_000n) / budget) / 100}%" title="${name}"></i>`;
  return `<div class="bar" role="img" aria-label="paid, refunded and burned parts of the budget">${part("paid", paid)}${part("refunded", refunded)}${part("burned", burned)}</div>`;
}

/** Line chart over the rounds, 1 at the left; rounds that could not be measured have no point. */
function curve(all: readonly (number | undefined)[], colour: string, label: (value: number) => string): string {
  if (all.length === 0) return "<p>No round was finished.</p>";
  const measured = all.flatMap((value, i) => (value === undefined ? [] : [{ value, round: i + 1 }]));
  if (measured.length === 0) return "<p>No round could be measured.</p>";
  const values = measured.map(({ value }) => value);
  const [width, height, left, bottom] = [440, 220, 56, 28];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const spread = high - low || 1;
  const x = (i: number) => left + (width - left - 16) * (values.length === 1 ? 0.5 : i / (values.length - 1));
  const y = (value: number) => 16 + (height - 16 - bottom) * (1 - (value - low) / spread);
  const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`);
  const grid = [low, (low + high) / 2, high]
    .map(
      (value) =>
        `<line x1="${left}" x2="${width - 8}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="var(--line)"/><text x="${left - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${label(value)}</text>`,
    )
    .join("");
  const every = Math.ceil(values.length / 12);
  const ticks = values
    .map((_, i) =>
      i % every === 0
        ? `<text x="${x(i).toFixed(1)}" y="${height - 8}" text-anchor="middle">${measured[i]!.round}</text>`
        : "",
    )
    .join("");
  const dots = values
    .map(
      (value, i) =>
        `<circle cx="${x(i).toFixed(1)}" cy="${y(value).toFixed(1)}" r="3.5" fill="${colour}"><title>round ${measured[i]!.round}: ${label(value)}</title></circle>`,
    )
    .join("");
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${values.length} rounds, last ${label(values.at(-1)!)}">${grid}${ticks}<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2.5" stroke-linejoin="round"/>${dots}</svg>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
