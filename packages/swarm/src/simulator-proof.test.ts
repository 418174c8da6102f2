import { segmentOfSlot } from "@skynet/protocol";
import { describe, expect, it } from "vitest";
import { randomOf, simulate, type ProofTerms } from "./simulation.ts";

const terms: ProofTerms = { steps: 8, segment: 2, auditSteps: 1 };
const SEGMENTS = 4;

/** Changes one weight after one step; everything else, and what the worker says of it, is consistent. */
const cheatAt = (wrong: number) => (step: number, weights: readonly Int32Array[]) => {
  if (step === wrong) weights[0]![3]! += 1024;
};

describe("a job in proof mode in simulation", () => {
  it("ends with identical weights, every worker-round proven and paid", async () => {
    const { result, chain } = await simulate({ proof: terms });
    expect(result).toMatchObject({ outcome: "COMPLETED", statesIdentical: true });
    expect(chain.state.merged).toBe(3);
    expect(chain.state.paidCompute).toEqual([0b1111n, 0b1111n, 0b1111n]);
    expect(chain.proven).toHaveLength(12);
    expect(chain.state.burnedStake).toBe(0n);
    expect(result.rounds.map(({ proofs }) => proofs.reduce((sum, { steps }) => sum + steps, 0))).toEqual([8, 8, 8]);
  });

  it("proves every step when every segment is drawn", async () => {
    const { result, chain } = await simulate({ proof: { steps: 8, segment: 1, auditSteps: 8 }, rounds: 1 });
    expect(result.outcome).toBe("COMPLETED");
    expect(chain.proven.reduce((sum, { steps }) => sum + steps, 0)).toBe(32);
  });

  it("pays those that were not drawn, too", async () => {
    const { result, chain } = await simulate({ proof: { ...terms, auditBps: 3000 } }, 5);
    expect(result.outcome).toBe("COMPLETED");
    expect(chain.proven.length).toBeLessThan(12);
    expect(chain.state.paidCompute).toEqual([0b1111n, 0b1111n, 0b1111n]);
  });

  it.each(["COMMIT", "DRAW", "PROVE", "MERGE"])(
    "lets a worker that was killed in %s come back and go on",
    async (phase) => {
      const { result, chain } = await simulate({
        proof: terms,
        kill: { worker: 1, round: 1, phase, backAfterMs: 5000 },
      });
      expect(result).toMatchObject({ outcome: "COMPLETED", statesIdentical: true });
      expect(chain.state.burnedStake).toBe(0n);
      expect(chain.state.paidCompute.map((seats) => (seats >> 1n) & 1n)).toEqual([1n, 1n, 1n]);
    },
  );

  it("slashes a worker that stays away after the draw; the others are paid and complete the job", async () => {
    const { result, chain } = await simulate({ proof: terms, kill: { worker: 2, round: 1, phase: "DRAW" } });
    expect(result).toMatchObject({ outcome: "COMPLETED", statesIdentical: true });
    expect(chain.state.slashed).toBe(0b0100n);
    expect(chain.state.paidCompute).toEqual([0b1111n, 0b1011n, 0b1011n]);
    expect(chain.state.merged).toBe(3);
  });

  it("abstains when a step cannot be proven, without a penalty", async () => {
    let walks = 0;
    // The rehearsal does not get this far.
    const once = (step: number, weights: readonly Int32Array[]) => {
      if (step === 2 && ++walks === 1) weights[0]!.fill(2 ** 30 - 1);
    };
    const { result, chain, events } = await simulate({
      proof: terms,
      afterStep: (worker) => (worker === 3 ? once : undefined),
    });
    expect(result.outcome).toBe("COMPLETED");
    expect(events.find(({ event }) => event.type === "abstained")).toMatchObject({
      worker: 3,
      event: { code: "Overflow" },
    });
    expect(chain.state.paidCompute).toEqual([0b0111n, 0b1111n, 0b1111n]);
    expect(chain.state.burnedStake).toBe(0n);
  });

  it(
    "slashes a worker that trains wrongly at one step as often as that step's segment is drawn",
    { timeout: 120_000 },
    async () => {
      const random = randomOf(99);
      const ROUNDS = 200;
      let slashed = 0;
      for (let i = 0; i < ROUNDS; i++) {
        const wrong = Math.floor(random() * terms.steps);
        const { chain } = await simulate(
          { proof: terms, rounds: 1, afterStep: (worker) => (worker === 1 ? cheatAt(wrong) : undefined) },
          1000 + i,
        );
        const drawn = segmentOfSlot(chain.seed, chain.spec, 1, 0);
        expect(chain.state.slashed).toBe(drawn === Math.floor(wrong / terms.segment) ? 0b0010n : 0n);
        if (chain.state.slashed !== 0n) slashed++;
      }
      // Four standard deviations of a binomial distribution.
      const p = 1 / SEGMENTS;
      expect(Math.abs(slashed - ROUNDS * p)).toBeLessThan(4 * Math.sqrt(ROUNDS * p * (1 - p)));
    },
  );
});
