import { decode, encode, fromHex, keccak256, SkyNetError } from "@skynet/protocol";
import { describe, expect, it } from "vitest";
import { checkAnswerCost, costOfAnswer } from "./answer-cost.ts";
import { Audits } from "./audits.ts";
import type { PeerModules } from "./job-peer.ts";
import type { Clock, JobFiles, JobSnapshot, ProofShape } from "./ports.ts";
import type { SimulatedChain } from "./simulated-chain.ts";
import { simulate, type ProofTerms } from "./simulation.ts";
import { TaskSet } from "./tasks.ts";
import { TrainerUse } from "./trainer-use.ts";
import { Turns } from "./turns.ts";

const terms: ProofTerms = { steps: 8, segment: 2, auditSteps: 2 };
const EVERYBODY = [0b1111n, 0b1111n, 0b1111n];
const without = (seat: number, round: number) =>
  EVERYBODY.map((seats, i) => (i === round ? seats & ~(1n << BigInt(seat)) : seats));

const abstentions = (events: Awaited<ReturnType<typeof simulate>>["events"]) =>
  events.flatMap(({ worker, event }) => (event.type === "abstained" ? [{ worker, ...event }] : []));

/** What a worker keeps of a round. */
interface StoredResult {
  readonly modelId: Uint8Array;
  readonly update: Uint8Array;
  readonly interior: readonly Uint8Array[];
}

describe("a worker of a proven job", () => {
  it.each([
    ["DRAW", "unreadable", () => new Uint8Array([0xff, 0x00])],
    ["PROVE", "cut off", (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 5)],
    ["PROVE", "changed in its root", (bytes: Uint8Array) => bytes.map((b, i) => (i === bytes.length - 3 ? b ^ 1 : b))],
  ])("that comes back in %s to a result that is %s does its steps again and proves them", async (phase, _, damaged) => {
    const damage = async (files: JobFiles) => {
      await files.write("update-1.cbor", damaged((await files.read("update-1.cbor"))!));
      for (const slot of [0, 1]) await files.write(`answer-1-${slot}.cbor`, new Uint8Array());
    };
    const { result, chain } = await simulate({
      proof: terms,
      kill: { worker: 1, round: 1, phase, backAfterMs: 5000, damage },
    });
    expect(result).toMatchObject({ outcome: "COMPLETED", statesIdentical: true });
    expect(chain.state.burnedStake).toBe(0n);
    expect(chain.state.paidCompute).toEqual(EVERYBODY);
    expect(chain.proven.filter(({ round }) => round === 1)).toHaveLength(8);
  });

  it.each([
    ["was changed on its disk", (content: StoredResult) => content],
    [
      "follows from another seed of the job",
      ({ modelId, update, interior }: StoredResult) => {
        const jobSeed = new Uint8Array(32).fill(9);
        const checksum = keccak256(jobSeed, modelId, update, ...interior);
        return { jobSeed, modelId, update, interior, checksum };
      },
    ],
  ])("does not commit to a result that %s", async (_, change) => {
    let present: SimulatedChain | undefined;
    const { result, chain } = await simulate({
      proof: terms,
      change: (_worker, _modules, simulated) => {
        present = simulated;
        return {};
      },
      kill: {
        worker: 1,
        round: 1,
        phase: "COMMIT",
        backAfterMs: 10,
        damage: async (files) => {
          // The update of round 0, as if it were one for the model of round 1.
          const other = decode((await files.read("update-0.cbor"))!) as StoredResult;
          const forged = change({ ...other, modelId: fromHex(present!.modelId) });
          await files.write("update-1.cbor", encode(forged));
        },
      },
    });
    expect(result).toMatchObject({ outcome: "COMPLETED", statesIdentical: true });
    expect(chain.state.burnedStake).toBe(0n);
    expect(chain.state.paidCompute).toEqual(EVERYBODY);
  });

  it("does not send stored answers that are wrong, but makes them anew", async () => {
    const refusals: string[] = [];
    let stale = false;
    const { chain } = await simulate({
      proof: { steps: 8, segment: 2, auditSteps: 1 },
      change: (worker, { chain: view, files }) => {
        if (worker !== 1) return {};
        return {
          files: {
            ...files,
            // The answer of round 0 lies where that of round 1 belongs.
            read: async (name) => {
              if (name !== "answer-1-0.cbor") return files.read(name);
              stale = true;
              return files.read("answer-0-0.cbor");
            },
          },
          chain: {
            ...view,
            prove: (answer) =>
              view.prove(answer).catch((error: SkyNetError) => {
                refusals.push(error.code);
                throw error;
              }),
          },
        };
      },
    });
    expect(stale).toBe(true);
    expect(refusals).toEqual([]);
    expect(chain.state.burnedStake).toBe(0n);
    expect(chain.state.paidCompute).toEqual(EVERYBODY);
  });

  it.each([
    ["takes a stored answer", false, 3],
    ["makes a stored answer with a wrong proof anew", true, 5],
  ])("%s", async (_, spoiled, expected) => {
    let crashed = false;
    let proofs = 0;
    const { chain } = await simulate({
      proof: { steps: 8, segment: 2, auditSteps: 1 },
      rounds: 1,
      change: (worker, { files, trainer }) => {
        if (worker !== 1) return {};
        const write: JobFiles["write"] = async (name, bytes) => {
          if (name !== "answer-0-0.cbor" || crashed) return files.write(name, bytes);
          crashed = true;
          const answer = decode(bytes) as { steps: { proof: Uint8Array }[] };
          if (spoiled) answer.steps[1]!.proof = answer.steps[1]!.proof.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
          await files.write(name, encode(answer));
          throw new Error("the disk fails after the write");
        };
        const proveStep: typeof trainer.proveStep = (header, batch) => {
          proofs++;
          return trainer.proveStep(header, batch);
        };
        return { files: { ...files, write }, trainer: { ...trainer, proveStep } };
      },
    });
    // One of them is the rehearsal.
    expect(proofs).toBe(expected);
    expect(chain.state.burnedStake).toBe(0n);
  });

  it.each(["ProofRejected", "BadEnd", "BadPath", "BrokenChain", "CommitMismatch"])(
    "makes an answer anew that the chain refuses with %s",
    async (code) => {
      let refused = 0;
      let proofs = 0;
      const { chain } = await simulate({
        proof: { steps: 8, segment: 2, auditSteps: 1 },
        rounds: 1,
        change: (worker, { chain: view, trainer }) => {
          if (worker !== 1) return {};
          const prove: typeof view.prove = async (answer) => {
            if (refused++ === 0) throw new SkyNetError(code, "refused once");
            await view.prove(answer);
          };
          const proveStep: typeof trainer.proveStep = (...args) => {
            proofs++;
            return trainer.proveStep(...args);
          };
          return { chain: { ...view, prove }, trainer: { ...trainer, proveStep } };
        },
      });
      expect(proofs).toBe(1 + 2 * 2);
      expect(refused).toBe(2);
      expect(chain.state.burnedStake).toBe(0n);
    },
  );

  it("abstains at once when its id was committed by somebody else, who cannot prove it", async () => {
    const { result, chain, events } = await simulate({
      proof: terms,
      slow: { worker: 3, round: 0, stepMs: 1000 },
      change: (worker, { chain: view }, simulated) => {
        if (worker !== 2) return {};
        const commit: typeof view.commit = async (round, seat, idEnd, stepsRoot) => {
          const thief = simulated.state.workers[3]!;
          if (round === 0 && !simulated.commits.has(3))
            await simulated.viewOf(thief).commit(round, 3, idEnd, stepsRoot);
          await view.commit(round, seat, idEnd, stepsRoot);
        };
        return { chain: { ...view, commit } };
      },
    });
    expect(result.outcome).toBe("COMPLETED");
    expect(abstentions(events)).toMatchObject([{ worker: 2, round: 0, code: "DuplicateId" }]);
    expect(chain.state.slashed).toBe(0b1000n);
    expect(chain.state.paidCompute[1]! & 0b0100n).toBe(0b0100n);
  });

  it("does not abstain when the id that is taken is its own", async () => {
    let lost = false;
    const { chain, events } = await simulate({
      proof: terms,
      change: (worker, { chain: view }) => {
        const commit: typeof view.commit = async (...args) => {
          await view.commit(...args);
          if (worker !== 2 || lost) return;
          lost = true;
          throw new SkyNetError("DuplicateId", "the second try after a lost receipt");
        };
        return { chain: { ...view, commit } };
      },
    });
    expect(lost).toBe(true);
    expect(abstentions(events)).toEqual([]);
    expect(chain.state.paidCompute).toEqual(EVERYBODY);
  });

  it("abstains when a batch cannot be had, before anything is at stake", async () => {
    const { chain, events } = await simulate({
      proof: terms,
      change: (worker, { openJob }, simulated) => ({
        openJob: async (keys, needed) => {
          const source = await openJob(keys, needed);
          const batch: typeof source.batch = (index) => {
            if (worker === 3 && simulated.state.round === 1 && simulated.state.ready === 0b1111n)
              return Promise.reject(new SkyNetError("NotFound", `batch ${index} is gone`));
            return source.batch(index);
          };
          return { ...source, batch };
        },
      }),
    });
    expect(abstentions(events)).toMatchObject([{ worker: 3, round: 1, code: "TooSlow" }]);
    expect(abstentions(events)[0]!.reason).toContain("is gone");
    expect(chain.state.paidCompute).toEqual(without(3, 1));
    expect(chain.state.burnedStake).toBe(0n);
  });

  it.each(["OutOfMemory", "TrainerFailed"])(
    "does not become ready when its first proof fails with %s",
    async (code) => {
      const { result, chain, events } = await simulate({
        proof: terms,
        change: (worker, { trainer }) =>
          worker === 3
            ? { trainer: { ...trainer, proveStep: () => Promise.reject(new SkyNetError(code, "no memory for it")) } }
            : {},
      });
      expect(result.outcome).toBe("COMPLETED");
      const unfit = events.filter(({ event }) => event.type === "unfit");
      expect(unfit).toEqual([{ worker: 3, event: { type: "unfit", code, reason: "no memory for it" } }]);
      expect(chain.state.active).toBe(0b0111n);
      expect(chain.state.paidCompute).toEqual([0b0111n, 0b0111n, 0b0111n]);
      expect(chain.state.slashed).toBe(0n);
    },
  );

  it("gives up to send to a member that is gone when the round is over, however long it may take", async () => {
    const failures: string[] = [];
    const { result } = await simulate({
      proof: terms,
      minSeats: 3,
      kill: { worker: 3, round: 0, phase: "DRAW" },
      change: (_, { network }, simulated) => ({
        network: {
          ...network,
          sendUpdate: (to, round, bytes, options) =>
            network
              .sendUpdate(to, round, bytes, { ...options, deadlineMs: options.deadlineMs + 3_600_000 })
              .catch((error: Error) => {
                if (simulated.state.workers.indexOf(to) === 3) failures.push(`${round}: ${error.message}`);
                throw error;
              }),
        },
      }),
    });
    expect(result.outcome).toBe("COMPLETED");
    expect(failures).toEqual(Array.from({ length: 3 }, () => "0: the round is over"));
  });

  it("does not become ready when its proofs would not fit into the window", async () => {
    const { chain, events } = await simulate({
      proof: terms,
      change: (worker, { trainer, clock }) => {
        const proveStep: typeof trainer.proveStep = async (...args) => {
          if (worker === 3) await clock.sleep(8000);
          return trainer.proveStep(...args);
        };
        return { trainer: { ...trainer, proveStep } };
      },
    });
    expect(events.find(({ event }) => event.type === "unfit")).toMatchObject({ worker: 3, event: { code: "TooSlow" } });
    expect(chain.state.active).toBe(0b0111n);
  });

  /** Spoils one worker's updates on their way, and notes what the others answer and what is signed and kept. */
  async function spoiling(corrupt: (update: Uint8Array) => Uint8Array) {
    const answers: string[] = [];
    const received: bigint[] = [];
    const receipts: string[] = [];
    const outcome = await simulate({
      proof: terms,
      rounds: 1,
      faults: (worker) => (worker === 3 ? { corrupt } : {}),
      change: (worker, { network, chain: view, files }, simulated) => ({
        network: {
          ...network,
          onUpdate: (admit, handler) =>
            network.onUpdate(admit, (from, ...rest) =>
              handler(from, ...rest).catch((error: SkyNetError) => {
                if (simulated.state.workers.indexOf(from) === 3) answers.push(error.code);
                throw error;
              }),
            ),
        },
        chain: {
          ...view,
          signAttest: (round, seats, idNext) => {
            if (worker !== 3) received.push(seats);
            return view.signAttest(round, seats, idNext);
          },
        },
        files: {
          ...files,
          write: (name, bytes) => {
            if (worker === 3 && name.startsWith("receipt-")) receipts.push(name);
            return files.write(name, bytes);
          },
        },
      }),
    });
    return { ...outcome, answers: new Set(answers), received, receipts };
  }

  const BLINDERS = 64;
  it.each([
    ["another blinder", "BadUpdate", (u: Uint8Array) => u.map((b, i) => (i === u.length - 1 ? b ^ 1 : b))],
    ["no blinders", "BadBlinders", (u: Uint8Array) => u.subarray(0, u.length - BLINDERS)],
    ["a blinder too many", "BadBlinders", (u: Uint8Array) => Uint8Array.from([...u, ...new Uint8Array(32)])],
    ["a blinder out of range", "BadBlinders", (u: Uint8Array) => u.map((b, i) => (i < u.length - 32 ? b : 255))],
  ])("gets no receipt and no attestation for an update with %s", async (_, code, corrupt) => {
    const { result, chain, answers, received, receipts } = await spoiling(corrupt);
    expect([...answers]).toEqual([code]);
    expect(receipts).toEqual([]);
    expect(received).toEqual([0b0111n, 0b0111n, 0b0111n]);
    expect(result).toMatchObject({ outcome: "COMPLETED", statesIdentical: true });
    // its steps are proven and paid, its update is not
    expect(chain.state.paidCompute).toEqual([0b1111n]);
    expect(chain.state.paidDelivery).toEqual([0b0111n]);
  });

  it("gets its receipts when nothing is spoiled", async () => {
    const { answers, received, receipts, chain } = await spoiling((update) => update);
    expect([...answers].filter((code) => code !== "NotYet")).toEqual([]);
    expect(receipts).toHaveLength(4);
    expect(received).toEqual([0b1111n, 0b1111n, 0b1111n]);
    expect(chain.state.paidDelivery).toEqual([0b1111n]);
  });

  it("cannot go on with another secret than the one that its commitment was made with", async () => {
    let killed = false;
    const { chain } = await simulate({
      proof: terms,
      rounds: 1,
      kill: {
        worker: 1,
        round: 0,
        phase: "DRAW",
        backAfterMs: 5000,
        damage: async (files) => {
          killed = true;
          await files.write("update-0.cbor", new Uint8Array());
        },
      },
      change: (worker) => (worker === 1 && killed ? { blindingSecret: new Uint8Array(32) } : {}),
    });
    expect(killed).toBe(true);
    expect(chain.state.slashed).toBe(0b0010n);
  });

  it("refuses answers that no chain would take", () => {
    const shape = { proofBytes: 9152, stepGas: 781_000 } as ProofShape;
    const answer = { steps: 512, segment: 4, auditSteps: 1, nBatches: 468 };
    const { bytes, gas } = costOfAnswer(shape, answer);
    expect(bytes).toBeGreaterThan(4 * 9152);
    expect(bytes).toBeLessThan(41_000);
    expect(gas).toBeGreaterThan(4 * 781_000);
    expect(() => checkAnswerCost(shape, answer)).not.toThrow();
    expect(() => checkAnswerCost({ ...shape, proofBytes: 32_000 }, answer)).toThrow(/transaction of \d+ bytes/);
    expect(() => checkAnswerCost({ ...shape, stepGas: 2_100_000 }, answer)).toThrow(/gas on chain/);
  });

  it("does not wait for a beacon when the draw is over", async () => {
    const clock: Clock = { nowMs: () => 0, sleep: async () => undefined };
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined };
    const tasks = new TaskSet(clock, log);
    const chain = { isDrawReady: () => new Promise<boolean>(() => undefined) };
    const modules = { chain, clock, log, signal: new AbortController().signal } as unknown as PeerModules;
    const audits = new Audits(modules, { tasks, turns: new Turns(), trainerUse: new TrainerUse() });
    const snapshot = { round: 0, phase: "DRAW", phaseAtMs: 0, active: 1n, nowMs: 0 } as JobSnapshot;
    audits.draw(snapshot, 0);
    audits.stopOld(snapshot);
    const settled = tasks.settled().then(() => "settled");
    expect(await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 20, "waiting"))])).toBe("waiting");
    audits.stopOld({ ...snapshot, phase: "SETTLED" });
    expect(await settled).toBe("settled");
  });
});
