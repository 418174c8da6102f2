// New group keys follow every loss of a seat, at once, and only those that stay can open them.
import { expect, it } from "vitest";
import { simulate, type ProofTerms } from "./simulation.ts";

const proof: ProofTerms = { steps: 8, segment: 2, auditSteps: 2 };
const first = { epoch: 0, round: 0, phase: "READY", seats: [0, 1, 2, 3] };

it("a worker that loses its stake in an audit gets no key any more, before the round is merged", async () => {
  // It commits to steps that it cannot prove.
  const { chain, keys } = await simulate({
    proof,
    change: (worker, { chain: view }) =>
      worker === 2 ? { chain: { ...view, prove: () => Promise.reject(new Error("cannot prove")) } } : {},
  });
  expect(chain.state.slashed).toBe(0b0100n);
  expect(keys).toEqual([first, { epoch: 1, round: 0, phase: "MERGE", seats: [0, 1, 3] }]);
  expect(chain.keys?.epoch).toBe(1);
});

it("a worker that falls silent loses the key with its seat", async () => {
  const { chain, keys } = await simulate({ rounds: 4, kill: { worker: 1, round: 0, phase: "COMMIT" } });
  expect(chain.state.active).toBe(0b1101n);
  expect(keys).toMatchObject([first, { epoch: 1, round: 2, phase: "COMMIT", seats: [0, 2, 3] }]);
});

it("a worker that leaves in the middle of a round loses the key in that round", async () => {
  const { keys } = await simulate({
    proof,
    change: (worker, { chain: view }, chain) => {
      if (worker !== 3) return {};
      const commit: typeof view.commit = async (round, seat, idEnd, stepsRoot) => {
        if (round === 1) return chain.apply({ type: "leave", seat: 3 });
        await view.commit(round, seat, idEnd, stepsRoot);
      };
      return { chain: { ...view, commit } };
    },
  });
  expect(keys).toMatchObject([first, { epoch: 1, round: 1, seats: [0, 1, 2] }]);
});

it("a worker that abstains twice is struck off and gets no key for the next round", async () => {
  const { keys } = await simulate({
    proof,
    rounds: 4,
    change: (worker, { chain: view }) =>
      worker === 0 ? { chain: { ...view, commit: (round) => view.abstain(round) } } : {},
  });
  expect(keys).toMatchObject([first, { epoch: 1, round: 2, phase: "COMMIT", seats: [1, 2, 3] }]);
});

it("a worker that abstains once keeps its seat and its key", async () => {
  const { keys } = await simulate({ slow: { worker: 3, round: 0, stepMs: 3000 } });
  expect(keys).toEqual([first]);
});

it("a worker whose keys lack a batch that it needs is not ready, and the others go on without it", async () => {
  const codes: unknown[] = [];
  const { chain, result } = await simulate({
    change: (worker, { openJob, log }) => {
      if (worker !== 1) return {};
      const warn = (details: Record<string, unknown>) => void codes.push(details.error);
      return { openJob: (keys, needed) => openJob(keys, [...needed, 20]), log: { ...log, warn } };
    },
  });
  expect(result).toMatchObject({ outcome: "COMPLETED", statesIdentical: true });
  expect(chain.state.ready & 0b0010n).toBe(0n);
  expect(codes).toContainEqual(expect.stringMatching(/lack 1 of the \d+ batches of this worker, such as 20/));
});

it("keys whose publication seemed to fail are the ones that are used when it reached the chain after all", async () => {
  const sent: string[] = [];
  const { chain, result, keys } = await simulate({
    requesterChain: (view) => ({
      ...view,
      publishKeys: async (epoch, cid) => {
        sent.push(cid);
        if (sent.length === 1) {
          await view.publishKeys(epoch, cid);
          throw new Error("no receipt in time");
        }
        // The contract takes an epoch once.
        throw new Error("BadEpoch");
      },
    }),
  });
  expect(new Set(sent).size).toBe(1);
  expect(chain.keys).toEqual({ epoch: 0, cid: sent[0] });
  expect(keys).toEqual([first]);
  expect(result.outcome).toBe("COMPLETED");
});
