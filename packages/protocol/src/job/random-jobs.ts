import { toHex, word } from "../bytes.ts";
import type { Hex } from "../bytes.ts";
import { firstSeats, listSeats, seatBit } from "./bitmap.ts";
import { JobRuleError } from "./errors.ts";
import type { AttestationRow, JobEvent } from "./events.ts";
import { applyJobEvent, postJob } from "./machine.ts";
import type { Random } from "./random.ts";
import { JobMode, minStakeOf } from "./spec.ts";
import type { JobSpec } from "./spec.ts";
import { JobPhase, phaseEnd } from "./state.ts";
import type { JobState } from "./state.ts";

const zeroAddress: Hex = `0x${"0".repeat(40)}`;
const zeroHash: Hex = `0x${"0".repeat(64)}`;

/** Address of party `index`: 0 is the requester, workers follow. */
export function partyAddress(index: number): Hex {
  return `0x${toHex(word(0x1000 + index)).slice(26)}`;
}

export const requesterAddress: Hex = partyAddress(0);

/** Small terms that every test can start from; 100 seconds per window. */
export const exampleSpec: JobSpec = {
  requester: requesterAddress,
  seats: 4,
  minSeats: 3,
  rounds: 3,
  maxFails: 2,
  mode: JobMode.QUORUM,
  auditSteps: 1,
  steps: 8,
  token: partyAddress(0xfff),
  auditBps: 10_000,
  deliveryBps: 2_000,
  holdBps: 500,
  deadline: 0,
  joinWindow: 100,
  readyWindow: 100,
  commitWindow: 100,
  drawWindow: 100,
  proveWindow: 100,
  mergeWindow: 100,
  deliverWindow: 100,
  segment: 1,
  averaging: 4,
  priceMin: 100n,
  priceMax: 100n,
  stake: 120n,
  missPenalty: 5n,
  mergeFee: 10n,
  nBatches: 16n,
  workUnits: 0n,
  stepVerifier: zeroHash,
  modelId: zeroHash,
  dataRoot: zeroHash,
  admitter: zeroAddress,
  beacon: zeroAddress,
  metaHash: zeroHash,
};

/** Valid terms with few seats and short windows, so that every path of the machine is near. */
export function randomSpec(random: Random, mode?: number): JobSpec {
  const seats = 1 + random.below(6);
  const draft: JobSpec = {
    ...exampleSpec,
    seats,
    minSeats: 1 + random.below(seats),
    rounds: 1 + random.below(random.chance(0.2) ? 20 : 4),
    maxFails: 1 + random.below(random.chance(0.2) ? 16 : 3),
    mode: mode ?? random.pick([JobMode.QUORUM, JobMode.PROOF]),
    auditSteps: random.pick([1, 2, 4]),
    auditBps: 1 + random.below(10_000),
    averaging: random.pick([8, 16]),
    deliveryBps: random.below(5_001),
    holdBps: random.below(3_001),
    deadline: random.chance(0.2) ? 21 + random.below(100) : 0,
    joinWindow: 10,
    readyWindow: 10,
    commitWindow: 10,
    drawWindow: 10,
    proveWindow: 10,
    mergeWindow: 10,
    deliverWindow: 10,
    priceMin: BigInt(random.below(50)),
    priceMax: BigInt(50 + random.below(50)),
    missPenalty: BigInt(random.below(30)),
    mergeFee: BigInt(random.below(7)),
  };
  const least = [minStakeOf(draft) + draft.missPenalty, draft.missPenalty * 8n];
  const smallest = least[0]! > least[1]! ? least[0]! : least[1]!;
  return { ...draft, stake: smallest + BigInt(random.below(20)) };
}

function randomRows(random: Random, job: JobState): AttestationRow[] {
  const all = firstSeats(job.workers.length);
  const rows = listSeats(job.committed)
    .filter(() => random.chance(0.9))
    .map((seat) => ({ seat, received: random.chance(0.9) ? all : BigInt(random.below(64)) }));
  if (random.chance(0.03)) rows.push({ seat: random.below(7), received: all });
  return rows;
}

/** Something that is at home in another phase, or at the wrong time, or by the wrong party. */
function strayEvent(random: Random, spec: JobSpec, seat: number, at: number): JobEvent {
  const by = partyAddress(random.chance(0.3) ? 0 : 1);
  return random.pick<JobEvent>([
    { type: "stop", by, at },
    { type: "cancel", by, at },
    { type: "accept", by, at },
    { type: "claim", seat, toRound: random.below(spec.rounds + 2), at },
    { type: "claimHold", seat, at },
    { type: "release", seat, at },
    { type: "merge", at },
    { type: "tick", at },
    { type: "prove", seat, slot: random.below(5), at },
    { type: "commit", seat, at },
    { type: "ready", seats: seatBit(seat), at },
    { type: "draw", selected: 1n, at },
    { type: "join", worker: partyAddress(random.below(8)), minPrice: 0n, at },
  ]);
}

interface Mood {
  /** Probability of doing the expected thing. */
  readonly diligence: number;
  /** A seat that never commits; -1 for none. */
  readonly lazySeat: number;
}

function expectedEvent(
  random: Random,
  spec: JobSpec,
  job: JobState,
  { seat, at, lazySeat }: { readonly seat: number; readonly at: number; readonly lazySeat: number },
): JobEvent {
  const by = partyAddress(random.chance(0.9) ? 0 : 1);
  switch (job.phase) {
    case JobPhase.OPEN: {
      if (random.chance(0.01)) return { type: "cancel", by, at };
      const minPrice = random.chance(0.85) ? 0n : BigInt(random.below(90));
      return { type: "join", worker: partyAddress(random.chance(0.02) ? 0 : 1 + random.below(8)), minPrice, at };
    }
    case JobPhase.READY:
      return { type: "ready", seats: seatBit(seat), at };
    case JobPhase.COMMIT: {
      const missing = listSeats(job.active & ~job.committed & ~job.abstained).filter((other) => other !== lazySeat);
      if (missing.length === 0) return { type: "tick", at: Math.max(at, phaseEnd(spec, job)) };
      const type = random.chance(0.05) ? "leave" : random.chance(0.06) ? "abstain" : "commit";
      return { type, seat: random.chance(0.9) ? random.pick(missing) : seat, at };
    }
    case JobPhase.DRAW:
      return { type: "draw", selected: BigInt(random.below(64)), at };
    case JobPhase.PROVE: {
      const unproven = listSeats(job.selected & ~job.proven);
      if (random.chance(0.4) || unproven.length === 0) return { type: "attest", rows: randomRows(random, job), at };
      return { type: "prove", seat: random.pick(unproven), slot: random.below(spec.auditSteps), at };
    }
    case JobPhase.MERGE:
      return { type: "merge", at };
    case JobPhase.DELIVER:
      return { type: random.pick(["accept", "complain"]), by, at };
    case JobPhase.SETTLED:
      return strayEvent(random, spec, seat, at);
  }
}

/** One step of a trace: the event, and the state after it or the rule that refused it. */
export interface TraceStep {
  readonly before: JobState;
  readonly event: JobEvent;
  readonly after?: JobState;
  readonly error?: string;
}

/** Applies an event; a refusal is a result, every other error is thrown. */
export function tryEvent(spec: JobSpec, before: JobState, event: JobEvent): TraceStep {
  try {
    return { before, event, after: applyJobEvent(spec, before, event) };
  } catch (error) {
    if (!(error instanceof JobRuleError)) throw error;
    return { before, event, error: error.code };
  }
}

const MAX_EVENTS = 2_000;

/** Plays a random job to its settlement and through all claims, with idle, late and foreign events mixed in. */
export function* playJob(random: Random, spec: JobSpec): Generator<TraceStep, JobState> {
  let job = postJob(spec, 0);
  let at = 0;
  const mood: Mood = {
    diligence: 1 - random.next() ** 2 * 0.6,
    lazySeat: random.chance(0.25) ? random.below(spec.seats) : -1,
  };
  for (let count = 0; job.phase !== JobPhase.SETTLED; count++) {
    if (count > MAX_EVENTS) throw new Error("the job does not end");
    const seat = random.below(Math.max(job.workers.length, 1));
    let event: JobEvent;
    if (!random.chance(mood.diligence) && random.chance(0.5))
      event = { type: "tick", at: Math.max(at, phaseEnd(spec, job)) };
    else if (random.chance(0.08)) event = strayEvent(random, spec, seat, at);
    else event = expectedEvent(random, spec, job, { seat, at, lazySeat: mood.lazySeat });
    if (random.chance(0.02)) event = { ...event, at: Math.max(at, phaseEnd(spec, job)) + random.below(3) };
    at = event.at + (job.phase === JobPhase.OPEN ? random.below(2) : 0);
    const step = tryEvent(spec, job, event);
    yield step;
    job = step.after ?? job;
  }
  for (const type of ["claim", "claimHold", "release", "claim", "claimHold", "release"] as const) {
    for (let seat = 0; seat <= job.workers.length; seat++) {
      const event: JobEvent = type === "claim" ? { type, seat, toRound: job.round, at } : { type, seat, at };
      const step = tryEvent(spec, job, event);
      yield step;
      job = step.after ?? job;
    }
  }
  return job;
}
