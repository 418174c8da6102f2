import type { JobEvent } from "./events.ts";
import { JobRuleError } from "./errors.ts";
import { postJob } from "./machine.ts";
import { exampleSpec, partyAddress, playJob, randomSpec, requesterAddress, tryEvent } from "./random-jobs.ts";
import { createRandom } from "./random.ts";
import { JobMode } from "./spec.ts";
import type { JobSpec } from "./spec.ts";
import type { JobState } from "./state.ts";

/** A step of a vector: the whole state after the event, or the name of the rule that refused it. */
export interface VectorStep {
  readonly event: JobEvent;
  readonly after?: JobState;
  readonly error?: string;
}

/** A job that both machines must play alike. Posted at second 0 on a chain whose shortest window is 1 s. */
export interface JobVector {
  readonly name: string;
  readonly spec: JobSpec;
  /** The rule that refuses the terms. */
  readonly error?: string;
  readonly steps: readonly VectorStep[];
}

/** Seed of the random traces. */
export const VECTOR_SEED = 20_261_124;

const proofSpec: JobSpec = { ...exampleSpec, mode: JobMode.PROOF };
const workerSeats = [0, 1, 2, 3];
const all = 15n;

/** Plays events one after the other; refused events change nothing. */
export function playVector(name: string, spec: JobSpec, events: readonly JobEvent[]): JobVector {
  let job: JobState;
  try {
    job = postJob(spec, 0);
  } catch (error) {
    if (!(error instanceof JobRuleError)) throw error;
    return { name, spec, error: error.code, steps: [] };
  }
  const steps: VectorStep[] = [];
  for (const event of events) {
    const { after, error } = tryEvent(spec, job, event);
    steps.push({ event, ...(after === undefined ? {} : { after }), ...(error === undefined ? {} : { error }) });
    job = after ?? job;
  }
  return { name, spec, steps };
}

const joins = (at: number, seats = workerSeats): JobEvent[] =>
  seats.map((seat) => ({ type: "join", worker: partyAddress(seat + 1), minPrice: 100n, at: at + seat }));
const readyAll = (at: number): JobEvent => ({ type: "ready", seats: all, at });
const commits = (at: number, seats = workerSeats): JobEvent[] => seats.map((seat) => ({ type: "commit", seat, at }));
const attests = (at: number, seats: readonly number[], received: bigint): JobEvent => ({
  type: "attest",
  rows: seats.map((seat) => ({ seat, received })),
  at,
});
const proofs = (at: number, seats = workerSeats): JobEvent[] =>
  seats.map((seat) => ({ type: "prove", seat, slot: 0, at }));
const by = (type: "cancel" | "stop" | "accept" | "complain", at: number): JobEvent => ({
  type,
  by: requesterAddress,
  at,
});
const tick = (at: number): JobEvent => ({ type: "tick", at });
const start = [...joins(0), readyAll(5)];
const quorumRound = (at: number): JobEvent[] => [
  ...commits(at),
  attests(at + 1, workerSeats, all),
  { type: "merge", at: at + 2 },
];
const proofRound = (at: number): JobEvent[] => [
  ...commits(at),
  { type: "draw", selected: all, at: at + 1 },
  attests(at + 2, workerSeats, all),
  ...proofs(at + 3),
  { type: "merge", at: at + 4 },
];
const collect = (at: number, toRound: number): JobEvent[] =>
  workerSeats.flatMap((seat) => [
    { type: "claim", seat, toRound, at },
    { type: "claimHold", seat, at },
    { type: "release", seat, at },
  ]);

/** Rounds that the last seat misses, 210 seconds each. */
const missingRounds = (count: number, round: (at: number) => JobEvent[]): JobEvent[] =>
  Array.from({ length: count }, (_, index) => round(6 + 210 * index)).flat();

function quorumVectors(): JobVector[] {
  const spec = exampleSpec;
  const stranger = partyAddress(9);
  return [
    playVector("happy", spec, [...start, ...[10, 20, 30].flatMap(quorumRound), by("accept", 40), ...collect(41, 3)]),
    playVector("claims out of order", { ...spec, rounds: 2 }, [
      { type: "claim", seat: 0, toRound: 1, at: 0 },
      ...start,
      ...quorumRound(10),
      { type: "claim", seat: 0, toRound: 1, at: 13 },
      { type: "claim", seat: 0, toRound: 1, at: 13 },
      { type: "claim", seat: 0, toRound: 2, at: 13 },
      { type: "claim", seat: 7, toRound: 1, at: 13 },
      { type: "claimHold", seat: 0, at: 13 },
      { type: "release", seat: 0, at: 13 },
      ...quorumRound(20),
      { type: "claimHold", seat: 0, at: 23 },
      tick(121),
      tick(122),
      tick(123),
      ...collect(200, 2),
      ...collect(201, 2),
    ]),
    playVector("a seat misses, then a seat abstains", spec, [
      ...start,
      ...commits(10, [0, 1, 2]),
      { type: "commit", seat: 0, at: 11 },
      { type: "commit", seat: 9, at: 11 },
      tick(104),
      tick(105),
      attests(106, [0, 1, 2], 7n),
      { type: "merge", at: 107 },
      ...commits(108, [0, 1, 3]),
      { type: "abstain", seat: 2, at: 109 },
      attests(110, [0, 1], all),
      attests(110, [0, 1, 2], all),
      attests(110, [0, 1, 1], all),
      attests(111, [0, 1, 3], all),
      { type: "merge", at: 112 },
      { type: "commit", seat: 2, at: 113 },
      { type: "abstain", seat: 2, at: 113 },
      { type: "abstain", seat: 3, at: 113 },
      { type: "commit", seat: 3, at: 113 },
    ]),
    playVector("not delivered twice", spec, [
      ...start,
      ...commits(10),
      attests(11, workerSeats, 11n),
      { type: "merge", at: 12 },
      ...commits(20),
      attests(21, [0, 1, 3], 11n),
      attests(22, workerSeats, 11n),
      { type: "merge", at: 22 },
      { type: "release", seat: 2, at: 23 },
      { type: "release", seat: 2, at: 23 },
      { type: "release", seat: 1, at: 23 },
      { type: "claim", seat: 2, toRound: 2, at: 23 },
    ]),
    playVector("fewer than two thirds commit", { ...spec, minSeats: 1 }, [...start, ...commits(10, [0]), tick(105)]),
    playVector("nobody commits", spec, [...start, tick(105), tick(205), tick(305)]),
    playVector("no quorum attests", spec, [...start, ...commits(10), tick(110), ...commits(111), tick(211)]),
    playVector("nobody merges", spec, [
      ...start,
      ...commits(10),
      attests(11, workerSeats, all),
      tick(111),
      ...commits(120),
      attests(121, workerSeats, all),
      { type: "merge", at: 221 },
      tick(221),
    ]),
    playVector("penalties erode the stake until the seat ends", { ...spec, rounds: 9, maxFails: 16, stake: 40n }, [
      ...start,
      ...missingRounds(8, (at) => [...commits(at, [0, 1, 2]), tick(at + 105), tick(at + 209)]),
      { type: "commit", seat: 3, at: 1_687 },
      { type: "release", seat: 3, at: 1_687 },
    ]),
    playVector("leave", { ...spec, minSeats: 2 }, [
      ...start,
      { type: "leave", seat: 0, at: 10 },
      { type: "leave", seat: 0, at: 10 },
      ...commits(11, [1, 2]),
      { type: "leave", seat: 1, at: 11 },
      { type: "leave", seat: 3, at: 11 },
      { type: "release", seat: 0, at: 12 },
    ]),
    playVector("everybody leaves", { ...spec, minSeats: 2 }, [
      ...start,
      ...workerSeats.map((seat): JobEvent => ({ type: "leave", seat, at: 10 })),
      ...collect(11, 0),
    ]),
    playVector("everybody abstains", { ...spec, maxFails: 1 }, [
      ...start,
      ...workerSeats.map((seat): JobEvent => ({ type: "abstain", seat, at: 10 })),
    ]),
    playVector("stop in a round", spec, [
      by("stop", 0),
      ...start,
      { type: "stop", by: stranger, at: 6 },
      by("stop", 9),
      ...quorumRound(10),
      { type: "complain", by: stranger, at: 13 },
      by("complain", 13),
      ...collect(14, 1),
      by("accept", 15),
    ]),
    playVector("stop before the first round", spec, [...joins(0), by("stop", 5), ...collect(6, 0)]),
    playVector("deadline", { ...spec, deadline: 201 }, [...start, ...quorumRound(10), ...quorumRound(200)]),
  ];
}

const joinAt = (worker: number, minPrice: bigint, at: number): JobEvent => ({
  type: "join",
  worker: partyAddress(worker),
  minPrice,
  at,
});

function openingVectors(): JobVector[] {
  const spec = exampleSpec;
  const rising = { ...spec, priceMin: 50n };
  return [
    playVector("cancel", spec, [
      joins(0)[0]!,
      { type: "cancel", by: partyAddress(1), at: 2 },
      by("cancel", 2),
      { type: "release", seat: 0, at: 3 },
    ]),
    playVector("cancel too late", spec, [by("cancel", 100), tick(99), tick(100)]),
    playVector("too few join", spec, [...joins(0, [0, 1]), tick(100)]),
    playVector("enough join", spec, [...joins(0, [0, 1, 2]), tick(100), { type: "ready", seats: 8n, at: 101 }]),
    playVector("the price rises", rising, [
      joinAt(1, 60n, 0),
      joinAt(1, 60n, 20),
      joinAt(1, 60n, 21),
      joinAt(2, 61n, 21),
      joinAt(2, 60n, 21),
      joinAt(0, 0n, 22),
      joinAt(3, 60n, 30),
      joinAt(4, 80n, 61),
      joinAt(5, 80n, 61),
    ]),
    playVector("price at the end of the window", rising, [...[1, 2, 3].map((w) => joinAt(w, 50n, w)), tick(150)]),
    playVector("never ready", spec, [...joins(0), { type: "ready", seats: 3n, at: 4 }, tick(102), tick(103)]),
    playVector("most are ready", spec, [
      ...joins(0),
      { type: "ready", seats: 7n, at: 4 },
      { type: "ready", seats: 8n, at: 103 },
      tick(103),
      { type: "release", seat: 3, at: 104 },
      { type: "commit", seat: 3, at: 104 },
    ]),
  ];
}

function proofVectors(): JobVector[] {
  const spec = proofSpec;
  const drawn = [...start, ...commits(10)];
  const failing: JobEvent[] = [
    ...drawn,
    { type: "draw", selected: 31n, at: 11 },
    attests(12, workerSeats, all),
    ...proofs(13, [0, 1, 2]),
    ...proofs(13, [0, 9]),
    { type: "prove", seat: 3, slot: 1, at: 14 },
  ];
  return [
    playVector("happy", spec, [...start, ...[10, 20, 30].flatMap(proofRound), by("accept", 40), ...collect(41, 3)]),
    playVector("a seat fails its proof", spec, [
      ...failing,
      tick(111),
      { type: "merge", at: 112 },
      { type: "release", seat: 3, at: 113 },
      { type: "commit", seat: 3, at: 113 },
    ]),
    playVector("two audit slots", { ...spec, auditSteps: 2, rounds: 1 }, [
      ...drawn,
      { type: "draw", selected: 1n, at: 11 },
      { type: "prove", seat: 0, slot: 1, at: 12 },
      { type: "prove", seat: 0, slot: 0, at: 12 },
      attests(13, [0, 1, 2], 7n),
      attests(13, workerSeats, 7n),
      { type: "merge", at: 14 },
    ]),
    playVector(
      "a penalty takes at most what is left",
      { ...spec, auditSteps: 8, rounds: 10, maxFails: 16, stake: 40n },
      [
        ...start,
        ...missingRounds(9, (at) => [
          ...commits(at, [0, 1, 2]),
          tick(at + 104),
          { type: "draw", selected: 0n, at: at + 105 },
          tick(at + 209),
        ]),
      ],
    ),
    playVector("no beacon", spec, [...drawn, tick(110)]),
    playVector("nobody merges twice", spec, [
      ...start,
      ...proofRound(10).slice(0, -1),
      tick(113),
      ...proofRound(120).slice(0, -1),
      tick(223),
      by("complain", 224),
      ...collect(225, 2),
    ]),
  ];
}

function refusedTerms(): JobVector[] {
  const big = (1n << 120n) + 1n;
  const cases: [string, Partial<JobSpec>][] = [
    ["mode", { mode: 2 }],
    ["no seats", { minSeats: 0 }],
    ["more needed than offered", { minSeats: 5 }],
    ["too many seats", { seats: 257, averaging: 512 }],
    ["averaging below seats", { averaging: 2 }],
    ["averaging not a power of two", { averaging: 6 }],
    ["no rounds", { rounds: 0 }],
    ["too many rounds", { rounds: 1025 }],
    ["no fails", { maxFails: 0 }],
    ["no steps", { steps: 0 }],
    ["no batches", { nBatches: 0n }],
    ["windows", { commitWindow: 0 }],
    ["a long window", { mergeWindow: 604_801 }],
    ["amount", { mergeFee: big }],
    ["shares", { deliveryBps: 9_600 }],
    ["prices", { priceMin: 101n }],
    ["stake below eight misses", { missPenalty: 16n }],
    ["budget", { priceMax: 1n << 120n, rounds: 1024 }],
    ["deadline", { deadline: 200 }],
    ["proof: audit slots", { mode: JobMode.PROOF, auditSteps: 3 }],
    ["proof: no audits", { mode: JobMode.PROOF, auditBps: 0 }],
    ["proof: segment", { mode: JobMode.PROOF, segment: 5, steps: 10 }],
    ["proof: draw window", { mode: JobMode.PROOF, drawWindow: 3_601 }],
    ["proof: stake rule", { mode: JobMode.PROOF, auditBps: 5_000 }],
  ];
  return cases.map(([name, change]) => playVector(name, { ...exampleSpec, ...change }, []));
}

function randomVectors(): JobVector[] {
  return Array.from({ length: 8 }, (_, index) => {
    const random = createRandom(VECTOR_SEED + index);
    const spec = randomSpec(random, index % 2);
    return playVector(`random ${index}`, spec, Array.from(playJob(random, spec), ({ event }) => event).slice(0, 60));
  });
}

/** All vectors by file name. */
export function makeJobVectors(): Record<string, JobVector[]> {
  return {
    opening: openingVectors(),
    proof: proofVectors(),
    quorum: quorumVectors(),
    random: randomVectors(),
    terms: refusedTerms(),
  };
}

const decimal = (_: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value);

/** The text of a vector file: one line per step; amounts and bitmaps as decimal strings, times in seconds. */
export function formatVectors(vectors: readonly JobVector[]): string {
  const header = `"generatedBy": "node packages/protocol/vectors.ts",\n"seed": ${VECTOR_SEED},\n"vectors": [\n`;
  const bodies = vectors.map(({ steps, ...vector }) => {
    const lines = steps.map((step) => JSON.stringify(step, decimal));
    return `${JSON.stringify(vector, decimal).slice(0, -1)},"steps":[\n${lines.join(",\n")}\n]}`;
  });
  return `{\n${header}${bodies.join(",\n")}\n]\n}\n`;
}
