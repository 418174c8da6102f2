// A job over bad lines: 100 Mbit/s, 40 ms in each direction, 2 % of all packets lost in each direction, at every worker.
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { whyNoLab } from "./netlab/lab.ts";
import { bothWays } from "./netlab/topology.ts";
import { startLabNetwork, type LabNetwork } from "./support/lab-network.ts";
import { writeSmallJob } from "./support/small-job.ts";

const WORKERS = ["worker1", "worker2", "worker3", "worker4"];
const missing = whyNoLab();
let network: LabNetwork | undefined;
afterAll(() => network?.close(), 60_000);

describe.skipIf(missing)(missing === undefined ? "over bad lines" : `over bad lines, skipped: ${missing}`, () => {
  it("a job of four workers completes and everybody is paid", { timeout: 400_000 }, async () => {
    const access = bothWays({ mbitPerSecond: 100, delayMs: 40, loss: 0.02 });
    network = await startLabNetwork({ workers: 4, access });
    const workers = WORKERS.map((machine) => network!.startWorker(machine));
    await Promise.all(workers.map((worker) => worker.event("ready", 180_000)));
    // Updates of 0.1 MB cross two bad lines at 50 kB/s; half of the prove window is for them.
    const windows = { ready: 120, commit: 120, prove: 120, merge: 120, deliver: 120 };
    const options = { workers: 4, rounds: 1, localSteps: 4, hiddenUnits: 32, windows };
    const job = await writeSmallJob(path.join(network.folder, "job"), options);
    const requester = network.train(job);
    const summary = await requester.event("summary", 300_000);
    expect(summary).toMatchObject({ outcome: "COMPLETED", rounds: 1, statesIdentical: true, stakeBurned: "0" });
    // four workers for a round, and its merge
    expect(BigInt(summary.paid as string)).toBe(4n * 10_000_000n + 500_000n);
    for (const machine of WORKERS) {
      const { up, down } = await network.lab.count(machine);
      for (const { lost, packets } of [up, down]) expect(lost / (lost + packets)).toBeCloseTo(0.02, 2);
    }
  });
});
