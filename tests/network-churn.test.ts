// A sample of `npm run fuzz -- churn --count 600`: machines lose their power while a job runs and messages are sent.
import { describe, expect, it } from "vitest";
import { whyNoLab } from "./netlab/lab.ts";
import { checkChurn, runChurn } from "./support/churn.ts";

const missing = whyNoLab();

describe.skipIf(missing)(missing === undefined ? "machines that come and go" : `churn, skipped: ${missing}`, () => {
  it("lose nothing that was acknowledged, and the job completes", { timeout: 400_000 }, async () => {
    const report = await runChurn({ seconds: 10, seed: 1, rounds: 2 });
    checkChurn(report);
    const { jobs, relayKills, workerKills, messages, updates } = report;
    for (const job of jobs) expect(job).toMatchObject({ outcome: "COMPLETED", rounds: 2 });
    expect(relayKills).toBeGreaterThan(0);
    expect(workerKills).toBeGreaterThan(0);
    expect(messages.acknowledged).toBeGreaterThan(50);
    expect(updates.acknowledged).toBeGreaterThan(10);
  });
});
