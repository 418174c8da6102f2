import { expect, test } from "vitest";
import { earningsOf } from "./earnings.ts";
import { createRandom } from "./random.ts";
import { playJob, randomSpec, tryEvent } from "./random-jobs.ts";
import type { JobState } from "./state.ts";

/** What the machine pays for an event now; undefined when it refuses. */
const paidBy = (spec: Parameters<typeof tryEvent>[0], job: JobState, event: Parameters<typeof tryEvent>[2]) => {
  const { after } = tryEvent(spec, job, event);
  return after && { pay: after.paid - job.paid, stake: after.returnedStake - job.returnedStake };
};

test("says what the machine pays, in every state of random jobs", () => {
  const random = createRandom(11);
  let states = 0;
  let money = 0n;
  for (let i = 0; i < 300; i++) {
    const spec = randomSpec(random);
    for (const { after: job } of playJob(random, spec)) {
      if (job === undefined) continue;
      states++;
      for (let seat = 0; seat < job.workers.length; seat++) {
        const { claimed, claimable, claimableHold, held, stake, releasable } = earningsOf(spec, job, seat);
        const at = 1_000_000;
        const claim = paidBy(spec, job, { type: "claim", seat, toRound: job.round, at });
        expect(claimable).toBe(claim?.pay ?? 0n);
        expect(claimableHold).toBe(paidBy(spec, job, { type: "claimHold", seat, at })?.pay ?? 0n);
        const release = paidBy(spec, job, { type: "release", seat, at });
        expect([releasable, releasable ? stake : 0n]).toEqual([release !== undefined, release?.stake ?? 0n]);
        money += claimed + claimable + held;
      }
      const all = job.workers.map((_, seat) => earningsOf(spec, job, seat));
      const sum = (name: "claimed" | "claimable" | "claimableHold" | "held" | "stake") =>
        all.reduce((total, earnings) => total + earnings[name], 0n);
      expect(sum("claimable") + sum("claimableHold")).toBe(job.owed);
      expect(sum("held")).toBe(job.held);
      expect(sum("claimed") + BigInt(job.merged) * spec.mergeFee).toBe(job.paid);
    }
  }
  expect(states).toBeGreaterThan(3_000);
  expect(money).toBeGreaterThan(0n);
});
