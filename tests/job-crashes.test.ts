// Money is conserved through every crash of a requester's node: it is killed in three phases of a job and started again.
import path from "node:path";
import type { SkyNetChild } from "@skynet/node";
import { afterAll, expect, it } from "vitest";
import { startTestNetwork, type TestNetwork } from "./support/network.ts";
import { writeSmallJob } from "./support/small-job.ts";

const TIMEOUT = 300_000;
/** Short phases may end between two looks at the chain; those that wait for the requester cannot. */
const PHASES = ["READY", "COMMIT", "DELIVER"];
let network: TestNetwork | undefined;
afterAll(() => network?.close(), 60_000);

/** Ends the process as a power cut does, as soon as it sees one of the phases; resolves with that phase, or the end. */
function killInOneOf(child: SkyNetChild, phases: ReadonlySet<string>): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen: string | undefined;
    child.onEvent(({ event, phase }) => {
      if (event === "summary") seen = "END";
      if (event !== "phase" || seen !== undefined || !phases.has(String(phase))) return;
      seen = String(phase);
      child.process.kill("SIGKILL");
    });
    child.process.once("exit", (code) => {
      if (seen === undefined) reject(new Error(`the requester ended with code ${code}`));
      else resolve(seen);
    });
  });
}

it(
  "a job ends right although its requester is killed when workers are ready, train, and have delivered",
  async () => {
    network = await startTestNetwork(2);
    const windows = { join: 120, ready: 120, commit: 120, prove: 120, merge: 120, deliver: 120 };
    const job = await writeSmallJob(path.join(network.folder, "job"), {
      workers: 2,
      rounds: 2,
      localSteps: 8,
      windows,
    });
    const left = new Set(PHASES);
    for (;;) {
      const requester = network.train(job);
      const seen = await killInOneOf(requester, left);
      if (seen === "END") {
        const summary = await requester.event("summary");
        const [budget, paid, refunded, burned] = [summary.budget, summary.paid, summary.refunded, summary.burned].map(
          (amount) => BigInt(amount as string),
        );
        expect(summary).toMatchObject({ outcome: "COMPLETED", rounds: 2, statesIdentical: true, stakeBurned: "0" });
        expect(paid! + refunded! + burned!).toBe(budget);
        expect(burned).toBe(0n);
        // two workers for two rounds, and the merges
        expect(paid).toBe(4n * 10_000_000n + 2n * 500_000n);
        break;
      }
      left.delete(seen);
    }
    expect([...left].filter((phase) => phase !== "COMMIT")).toEqual([]);
  },
  TIMEOUT,
);
