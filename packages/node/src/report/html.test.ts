import { describe, expect, it } from "vitest";
import { reportHtml } from "./html.ts";
import { summaryJson, type Summary } from "./summary.ts";

const round = (n: number) => ({
  round: n,
  merged: true,
  accuracy: 0.8 + n / 100,
  loss: 1 / n,
  seconds: 2.5,
  sentBytes: 1_234_567,
  committed: 4,
  included: 4,
  trainLoss: 0.5,
  proofs: [
    { worker: "0xaa", steps: 2, gas: 1_700_000 },
    { worker: "0xbb", steps: 2, gas: 1_600_000 },
  ],
});

const summary: Summary = {
  jobId: "0x12",
  name: 'a <script>alert("x")</script> & b',
  outcome: "COMPLETED",
  data: {
    name: "<b>irises</b>",
    files: [{ name: "iris.csv", sha256: "ab".repeat(32), bytes: 2734 }],
    seed: 7,
    batchSize: 16,
    rows: { train: 1200, test: 30, dropped: 0 },
    classes: ["setosa", "versicolor"],
  },
  testAccuracy: 0.83,
  rounds: 3,
  workers: 4,
  statesIdentical: true,
  budget: 162_000_000n,
  paid: 100_000_000n,
  refunded: 60_000_000n,
  burned: 2_000_000n,
  stakeBurned: 1_000_000n,
  trainSeconds: 12.3,
  perRound: [1, 2, 3].map(round),
  token: { decimals: 6, symbol: "TEST" },
  mode: "proof",
  proofs: 12,
  provenWorkerRounds: 6,
  zk: true,
  segment: 2,
  steps: 256,
  gas: {
    prove: { count: 6, mean: 1_650_000, total: 9_900_000 },
    commit: { count: 6, mean: 70_000, total: 420_000 },
    draw: { count: 3, mean: 60_000, total: 180_000 },
    merge: { count: 3, mean: 300_000, total: 900_000 },
  },
  slashed: 0,
  workerIds: ["0xaa", "0xbb"],
  modelId: "0x34",
  modelFile: "model.onnx",
  reportFile: "report.html",
};

describe("report", () => {
  const html = reportHtml(summary, new Date(0));

  it("stands alone: no script, no address of another host, names escaped", () => {
    expect(html).not.toMatch(/<script|https?:|src=|@import/);
    expect(html).toContain("&lt;script&gt;");
  });

  it("draws a curve with one point a round, and says where the money went", () => {
    expect(html.match(/<circle/g)).toHaveLength(6);
    expect(html).toContain("Budget 162 TEST = paid 100 TEST + refunded 60 TEST + burned 2 TEST");
    expect(html).toContain("1970-01-01 00:00:00 UTC");
  });

  it("shows who proved what in which round, and says what is proven and what is not", () => {
    expect(html.match(/2 proofs/g)).toHaveLength(6);
    expect(html).toContain("1.70 M gas");
    expect(html).toContain("not proven");
    expect(reportHtml({ ...summary, mode: "quorum" }, new Date(0))).not.toContain("1.70 M gas");
  });

  it("says what it was trained on, so that somebody who has the files can repeat it", () => {
    expect(html).toContain("ab".repeat(32));
    expect(html).toContain(
      "1,200 samples for training, 30 for testing, 2 classes; batches of 16 in the order of seed 7",
    );
    expect(html).toContain("&lt;b&gt;irises");
  });

  it("says which figures are unknown, and draws those that are known", () => {
    const { accuracy: _, loss: __, ...unmeasured } = round(2);
    const page = reportHtml(
      { ...summary, testAccuracy: undefined, perRound: [round(1), unmeasured, round(3)] },
      new Date(0),
    );
    expect(page.match(/<circle/g)).toHaveLength(4);
    expect(page).toContain("round 3: 83.0 %");
    expect(page).toContain("<span>Test accuracy</span><b>unknown</b>");
    expect(page).not.toMatch(/NaN|undefined/);
  });

  it("is made for a job without a finished round, too", () => {
    expect(reportHtml({ ...summary, perRound: [], budget: 0n }, new Date(0))).toContain("No round was finished");
  });
});

describe("summary as JSON", () => {
  it("writes amounts as integers while they are exact, as text beyond", () => {
    expect(summaryJson(summary)).toMatchObject({ budget: 162_000_000, paid: 100_000_000 });
    expect(summaryJson({ ...summary, budget: 2n ** 60n })).toMatchObject({ budget: "1152921504606846976" });
  });
});
