import { describe, expect, it } from "vitest";
import {
  commitHashOf,
  committedId,
  drawnSegments,
  drawSeed,
  isSelected,
  segmentOfSlot,
  segmentsOf,
  selectedSeats,
  stepContext,
  verifierIdOf,
} from "./audit.ts";
import { toHex, word } from "./bytes.ts";
import type { Hex } from "./bytes.ts";
import { firstSeats } from "./job/bitmap.ts";
import { exampleSpec } from "./job/random-jobs.ts";
import { minStakeOf } from "./job/spec.ts";

const id = (value: number): Hex => toHex(word(value));
const seedOf = (round: number) => drawSeed(id(round + 1), id(7), round);

describe("the draw", () => {
  it("selects a seat with probability auditBps / 10000", () => {
    for (const auditBps of [100, 2_500, 9_000]) {
      let selected = 0;
      const [rounds, seats] = [80, 256];
      for (let round = 0; round < rounds; round++)
        for (let seat = 0; seat < seats; seat++) if (isSelected(seedOf(round), seat, auditBps)) selected++;
      const n = rounds * seats;
      const p = auditBps / 10_000;
      // five standard deviations; the seeds are fixed, so the test passes always or never
      expect(Math.abs(selected - n * p)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)));
    }
  });

  it("selects everybody at 10000, and only committed seats", () => {
    const committed = 0b1011n;
    expect(selectedSeats(seedOf(0), committed, 10_000)).toBe(committed);
    for (let round = 0; round < 50; round++)
      expect(selectedSeats(seedOf(round), committed, 5_000) & ~committed).toBe(0n);
    expect(selectedSeats(seedOf(3), firstSeats(256), 10_000)).toBe(firstSeats(256));
  });

  it("asks for one segment of each stratum, and for every segment with equal probability", () => {
    const terms = { steps: 64, segment: 2, auditSteps: 4 };
    const [segments, stratum, draws] = [segmentsOf(terms), 8, 4_000];
    expect(segments).toBe(32);
    const counts = Array.from({ length: segments }, () => 0);
    for (let round = 0; round < draws; round++) {
      const drawn = drawnSegments(seedOf(round), 4n, terms, 2);
      expect(drawn).toHaveLength(4);
      for (const [slot, segment] of drawn.entries()) {
        expect(Math.floor(segment / stratum)).toBe(slot);
        counts[segment]!++;
      }
    }
    const mean = draws / stratum;
    for (const count of counts) expect(Math.abs(count - mean)).toBeLessThan(5 * Math.sqrt(mean));
  });

  it("can ask for all segments, and asks nothing of a seat that is not selected", () => {
    const all = { steps: 8, segment: 2, auditSteps: 4 };
    expect(drawnSegments(seedOf(1), 1n, all, 0)).toEqual([0, 1, 2, 3]);
    expect(drawnSegments(seedOf(1), 1n, all, 1)).toEqual([]);
    expect(segmentOfSlot(seedOf(1), { steps: 3, segment: 3, auditSteps: 1 }, 5, 0)).toBe(0);
  });

  it("is different for each job and round", () => {
    expect(new Set([drawSeed(id(1), id(2), 0), drawSeed(id(1), id(2), 1), drawSeed(id(1), id(3), 0)]).size).toBe(3);
  });
});

describe("the stake rule", () => {
  // what the best distribution of `faked` segments over the strata leaves undetected
  const passes = (segments: number, strata: number, faked: number) => {
    const stratum = segments / strata;
    let product = 1;
    for (let j = 0; j < strata; j++) {
      const own = Math.floor(faked / strata) + (j < faked % strata ? 1 : 0);
      product *= 1 - own / stratum;
    }
    return product;
  };

  it("makes faking any number of segments cost more than it saves", () => {
    const price = 10n ** 9n;
    let cases = 0;
    for (let segments = 1; segments <= 32; segments++)
      for (let auditSteps = 1; auditSteps <= Math.min(segments, 16); auditSteps++) {
        if (segments % auditSteps !== 0) continue;
        for (const auditBps of [100, 1_000, 2_500, 7_000, 9_999, 10_000]) {
          const terms = { mode: 1, steps: 2 * segments, segment: 2, auditSteps, auditBps, priceMax: price };
          const stake = Number(minStakeOf({ ...exampleSpec, ...terms }));
          for (let faked = 1; faked <= segments; faked++) {
            const caught = (auditBps / 10_000) * (1 - passes(segments, auditSteps, faked));
            const gain = (1 - caught) * (faked / segments) * Number(price);
            expect(stake * caught).toBeGreaterThanOrEqual(gain * (1 - 1e-9) - 1e-3);
            cases++;
          }
        }
      }
    expect(cases).toBeGreaterThan(5_000);
  });

  it("is tight at its ends: one unit less is too little", () => {
    const base = { ...exampleSpec, mode: 1, steps: 32, segment: 1, priceMax: 1_000n };
    expect(minStakeOf({ ...base, auditSteps: 1, auditBps: 10_000 })).toBe(969n);
    expect(minStakeOf({ ...base, auditSteps: 32, auditBps: 10_000 })).toBe(0n);
    expect(minStakeOf({ ...base, auditSteps: 4, auditBps: 2_500 })).toBe(3_000n);
    expect(minStakeOf({ ...base, auditSteps: 1, auditBps: 1_000 })).toBe(9_969n);
    // segments count, not steps
    expect(minStakeOf({ ...base, steps: 128, segment: 4, auditSteps: 1, auditBps: 10_000 })).toBe(969n);
  });
});

describe("hashes", () => {
  const statement = {
    chainId: 31337,
    jobBoard: `0x${"11".repeat(20)}` as Hex,
    verifierId: id(1),
    jobId: id(2),
    worker: `0x${"22".repeat(20)}` as Hex,
    round: 3,
    step: 4,
    dataRoot: id(5),
    batchIndex: 6n,
  };

  it("bind every part of a statement", () => {
    const changes = [
      { chainId: 1 },
      { jobBoard: statement.worker },
      { verifierId: id(9) },
      { jobId: id(9) },
      { worker: statement.jobBoard },
      { round: 9 },
      { step: 9 },
      { dataRoot: id(9) },
      { batchIndex: 9n },
    ];
    const contexts = changes.map((change) => stepContext({ ...statement, ...change }));
    expect(new Set([stepContext(statement), ...contexts]).size).toBe(10);
  });

  it("bind every part of a verifier and of a commitment", () => {
    const verifier = { kind: 1, circuitHash: id(1), srsHash: id(2), weightsTag: id(3), weightBlocks: 4 };
    const ids = [
      {},
      { kind: 2 },
      { circuitHash: id(9) },
      { srsHash: id(9) },
      { weightsTag: id(9) },
      { weightBlocks: 9 },
    ];
    const verifierIds = ids.map((change) => verifierIdOf({ ...verifier, ...change }, id(5)));
    expect(new Set([...verifierIds, verifierIdOf(verifier, id(6))]).size).toBe(7);
    const commits = [commitHashOf(0, id(1), id(2)), commitHashOf(1, id(1), id(2)), commitHashOf(0, id(2), id(1))];
    expect(new Set(commits).size).toBe(3);
  });

  it("of points need whole points", () => {
    expect(committedId(id(1), new Uint8Array(64))).not.toBe(committedId(id(1), new Uint8Array(128)));
    expect(() => committedId(id(1), new Uint8Array(65))).toThrow("65 bytes");
  });
});
