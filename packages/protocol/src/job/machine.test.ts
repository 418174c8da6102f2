import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { fuzzers } from "../fuzz.ts";
import {
  applyJobEvent,
  batchIndex,
  budgetOf,
  countSeats,
  jobIdOf,
  JobMode,
  JobOutcome,
  JobPhase,
  JobRuleError,
  jobSpecHash,
  minStakeOf,
  payParts,
  phaseEnd,
  postJob,
  priceAt,
  quorumOf,
  timeOfPrice,
} from "./index.ts";
import { exampleSpec, requesterAddress } from "./random-jobs.ts";
import { formatVectors, makeJobVectors } from "./vectors.ts";

const folder = path.join(import.meta.dirname, "..", "..", "vectors", "job");

describe("job vectors", () => {
  for (const [name, vectors] of Object.entries(makeJobVectors())) {
    test(`${name}.json is what the machine produces`, () => {
      expect(fs.readFileSync(path.join(folder, `${name}.json`), "utf8")).toBe(formatVectors(vectors));
    });
  }

  test("they reach every phase, every outcome and nearly every rule", () => {
    const vectors = Object.values(makeJobVectors()).flat();
    const steps = vectors.flatMap(({ steps }) => steps);
    expect(new Set(steps.map(({ after }) => after?.phase))).toEqual(new Set([undefined, ...Object.values(JobPhase)]));
    expect(new Set(steps.flatMap(({ after }) => after?.outcome ?? []))).toEqual(new Set(Object.values(JobOutcome)));
    expect(new Set([...steps, ...vectors].map(({ error }) => error)).size).toBeGreaterThanOrEqual(34);
  });

  test("the terms that are refused name their rule", () => {
    for (const { name, error } of makeJobVectors().terms!) expect(error, name).toMatch(/^(Bad|Stake|Budget)/);
  });
});

const strangerCancels = () =>
  applyJobEvent(exampleSpec, postJob(exampleSpec, 0), { type: "cancel", by: "0x01", at: 0 });

describe("job machine", () => {
  test("a state is never changed in place", () => {
    const before = postJob(exampleSpec, 0);
    const copy = structuredClone(before);
    applyJobEvent(exampleSpec, before, { type: "join", worker: "0x01", minPrice: 0n, at: 1 });
    expect(before).toEqual(copy);
  });

  test("a refused event throws the rule with words", () => {
    expect(strangerCancels).toThrow(JobRuleError);
    expect(strangerCancels).toThrow("NotRequester: only the requester may do this");
  });

  test("events end where ticks begin", () => {
    const job = postJob(exampleSpec, 7);
    expect(phaseEnd(exampleSpec, job)).toBe(107);
    const cancel = (at: number) => () => applyJobEvent(exampleSpec, job, { type: "cancel", by: requesterAddress, at });
    const tick = (at: number) => () => applyJobEvent(exampleSpec, job, { type: "tick", at });
    expect(cancel(106)).not.toThrow();
    expect(cancel(107)).toThrow("TooLate");
    expect(tick(106)).toThrow("TooEarly");
    expect(tick(107)).not.toThrow();
  });

  test("the time of a price is the first second that shows it", () => {
    const spec = { ...exampleSpec, priceMin: 7n, priceMax: 61n, joinWindow: 37 };
    for (let price = 0n; price <= 62n; price++) {
      const seconds = Array.from({ length: spec.joinWindow }, (_, i) => 1_000 + i);
      const first = seconds.find((at) => priceAt(spec, 1_000, at) >= price);
      expect(timeOfPrice(spec, 1_000, price)).toBe(first);
    }
    expect(timeOfPrice({ ...spec, priceMin: 61n }, 1_000, 61n)).toBe(1_000);
    expect(timeOfPrice({ ...spec, priceMin: 61n }, 1_000, 62n)).toBeUndefined();
  });

  test("invariants hold on random jobs", async () => {
    const report = await fuzzers["job-invariants"]!({ count: 1_000, seed: 7 });
    expect(report.jobs).toBe(1_000);
  });
});

describe("terms", () => {
  test("the parts of the pay add up to the price", () => {
    for (const price of [0n, 1n, 99n, 10_001n]) {
      const { compute, delivery, hold } = payParts({ ...exampleSpec, deliveryBps: 3_333, holdBps: 1_111 }, price);
      expect(compute + delivery + hold).toBe(price);
    }
  });

  test("the budget covers every seat and round at the highest price", () => {
    expect(budgetOf(exampleSpec)).toBe(4n * 3n * 100n + 3n * 10n);
  });

  test("the price rises linearly and stays at its maximum", () => {
    const spec = { ...exampleSpec, priceMin: 50n };
    expect([0, 1, 50, 100, 500].map((at) => priceAt(spec, 0, at))).toEqual([50n, 50n, 75n, 100n, 100n]);
  });

  test("the stake rule makes faking one step, or all, a loss", () => {
    for (const [steps, auditSteps, auditBps] of [
      [8, 1, 10_000],
      [32, 2, 2_500],
      [32, 32, 1_000],
      [16, 4, 3_333],
    ] as const) {
      const spec = { ...exampleSpec, mode: JobMode.PROOF, steps, auditSteps, auditBps, priceMax: 1_000n };
      const stake = Number(minStakeOf(spec));
      const stratum = steps / auditSteps;
      for (let faked = 1; faked <= steps; faked++) {
        // the audit draws one step of each stratum; spreading the fakes evenly is what escapes it most often
        const each = Math.floor(faked / auditSteps);
        const more = faked % auditSteps;
        const escapes = (1 - (each + 1) / stratum) ** more * (1 - each / stratum) ** (auditSteps - more);
        const caught = (auditBps / 10_000) * (1 - escapes);
        expect(caught * stake + 1).toBeGreaterThanOrEqual((1 - caught) * 1_000 * (faked / steps));
      }
    }
  });

  test("a quorum is two thirds, rounded up", () => {
    expect([1, 2, 3, 4, 5, 6, 256].map(quorumOf)).toEqual([1, 2, 2, 3, 4, 4, 171]);
    expect(countSeats((1n << 256n) - 1n)).toBe(256);
  });

  test("ids bind every term, the chain, the board and the nonce", () => {
    const base = { chainId: 1, jobBoard: requesterAddress, requester: requesterAddress, nonce: 0n };
    const idOf = (change: Partial<typeof base>, spec = exampleSpec) =>
      jobIdOf({ ...base, ...change, specHash: jobSpecHash(spec) });
    const ids = [
      idOf({}),
      idOf({ chainId: 2 }),
      idOf({ nonce: 1n }),
      idOf({ jobBoard: exampleSpec.token }),
      idOf({ requester: exampleSpec.token }),
      idOf({}, { ...exampleSpec, workUnits: 1n }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("batches differ between workers, rounds and steps, and stay in range", () => {
    const seed = `0x${"11".repeat(32)}` as const;
    const indexes = [0, 1, 2, 3].map((step) => batchIndex(seed, requesterAddress, 1, step, 1_000_000n));
    expect(new Set(indexes).size).toBe(4);
    expect(batchIndex(seed, requesterAddress, 0, 0, 1n)).toBe(0n);
  });
});
