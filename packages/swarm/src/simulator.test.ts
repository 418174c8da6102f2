import { describe, expect, it } from "vitest";
import type { RequesterResult } from "./requester.ts";
import type { SimulatedChain } from "./simulated-chain.ts";
import { requester, simulate } from "./simulation.ts";

function expectBalanced(chain: SimulatedChain, result: RequesterResult): void {
  const { paid, refunded, burnedEscrow, escrow } = chain.state;
  expect(escrow).toBe(0n);
  expect(paid + refunded + burnedEscrow).toBe(
    BigInt(chain.spec.seats * chain.spec.rounds) * 100n + BigInt(chain.spec.rounds) * 3n,
  );
  expect(result.outcome).toBe("COMPLETED");
}

describe("a job in simulation", () => {
  it("ends with identical weights on every worker, all paid", async () => {
    const { result, chain, checkpoints } = await simulate({});
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.merged).toBe(3);
    expect([...checkpoints.keys()]).toEqual([1, 2, 3]);
    expect(checkpoints.get(3)).toBe(result.modelId);
    expect(new Set(checkpoints.values()).size).toBe(3);
    expect(chain.state.paid).toBe(3n * (4n * 100n + 3n));
    expect(result.accuracy!).toBeGreaterThan(0.6);
    expect(chain.keys?.epoch, "one group key, as nobody left").toBe(0);
  });

  it("ends, with every checkpoint, for a requester that lost its test data", async () => {
    const lost = () => Promise.reject(new Error("no such file"));
    const { result, chain, checkpoints } = await simulate({ evaluate: lost });
    expectBalanced(chain, result);
    expect([...checkpoints.keys()]).toEqual([1, 2, 3]);
    expect(result.weights).toBeDefined();
    expect(result.accuracy).toBeUndefined();
    expect(result.rounds).toMatchObject([1, 2, 3].map((round) => ({ round, merged: true })));
    expect(result.rounds.some(({ loss }) => loss !== undefined)).toBe(false);
  });

  it("survives the loss of a third of all messages", async () => {
    const { result, chain } = await simulate({ faults: () => ({ loss: 0.33 }) }, 3);
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.merged).toBe(3);
  });

  it("lets a worker come back that heard the others before it was killed: nobody says it again", async () => {
    const kill = { worker: 1, round: 1, phase: "MERGE", backAfterMs: 3000 };
    const { result, chain } = await simulate({ kill, faults: () => ({ loss: 0.33 }) }, 7);
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.merged).toBe(3);
  });

  it("goes on without a worker that dies before its commitment, and does not pay it for what it missed", async () => {
    const { result, chain } = await simulate({ kill: { worker: 2, round: 1, phase: "COMMIT" } });
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.active).toBe(0b1011n);
    expect(chain.state.paidCompute.map((seats) => (seats >> 2n) & 1n)).toEqual([1n, 0n, 0n]);
    expect(chain.state.merged).toBe(3);
  });

  it.each(["COMMIT", "PROVE", "MERGE"])("lets a worker that was killed in %s come back and go on", async (phase) => {
    const { result, chain } = await simulate({ kill: { worker: 1, round: 1, phase, backAfterMs: 5000 } });
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.paidCompute.map((seats) => (seats >> 1n) & 1n)).toEqual([1n, 1n, 1n]);
  });

  it("lets a worker that is too slow in one round abstain, and keeps it for the next ones", async () => {
    const { result, chain } = await simulate({ slow: { worker: 3, round: 0, stepMs: 3000 } });
    expectBalanced(chain, result);
    expect(result.statesIdentical).toBe(true);
    expect(chain.state.paidCompute).toEqual([0b0111n, 0b1111n, 0b1111n]);
    expect(chain.state.paidDelivery).toEqual([0b0111n, 0b1111n, 0b1111n]);
    expect(chain.state.burnedStake).toBe(0n);
  });

  it("ends for a requester that gets no weights: it complains, and the hold is burned", async () => {
    const { result, chain } = await simulate({ faults: () => ({ withholdFrom: [requester] }) });
    expect(result.weights).toBeUndefined();
    expect(result.statesIdentical).toBe(false);
    expect(chain.state.burnedEscrow).toBeGreaterThan(0n);
  });

  it("merges without the update of a worker that sends other bytes than it committed to", async () => {
    const corrupt = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
    const { result, chain } = await simulate({ faults: (worker) => (worker === 3 ? { corrupt } : {}) });
    expectBalanced(chain, result);
    expect(chain.state.paidDelivery.map((seats) => (seats >> 3n) & 1n)).toEqual([0n, 0n, 0n]);
    expect(chain.state.merged).toBe(3);
  });
});
