// The part of the model of `JobBoard.sol` that all its functions share: jobs, the machine's steps, and the money that
// they move.
import {
  applyJobEvent,
  countSeats,
  JobMode,
  JobPhase,
  JobRuleError,
  jobSpecFields,
  listSeats,
  phaseEnd,
  seatBit,
} from "@skynet/protocol";
import type { Hex, JobEvent, JobSpec, JobState, TraceStep } from "@skynet/protocol";
import { zeroHash } from "viem";
import type { Environment } from "./environment.ts";
import type { Journal } from "./journal.ts";
import { need, Refusal, Table } from "./journal.ts";
import { accountOf, BURN } from "./ledger-model.ts";
import type { LedgerModel } from "./ledger-model.ts";
import type { RegistryModel } from "./registry-model.ts";
import { domainSeparator } from "./signing.ts";
import type { VerifierModel } from "./verifier-model.ts";
import { answerOf, arrayWords, callOf, hashWords, words } from "./words.ts";

export interface BoardJob {
  readonly spec: JobSpec;
  readonly state: JobState;
  readonly modelId: Hex;
  readonly batchSeed: Hex;
  readonly ticket: number;
  readonly seed: Hex;
}

const HEAD_WORDS = 35;
const specWords = (spec: JobSpec) => words(...jobSpecFields.map(([name]) => spec[name]));

/** What `viewJob` returns. */
export function viewAnswer({ spec, state: s, modelId, batchSeed, ticket, seed }: BoardJob): Hex {
  const times = words(
    s.phase,
    s.outcome,
    s.round,
    s.fails,
    s.merged,
    s.stopRequested,
    s.holdResult,
    s.phaseAt,
    s.openedAt,
  );
  const money = words(s.price, s.escrow, s.owed, s.held);
  const sets = words(s.active, s.ready, s.committed, s.abstained, s.selected, s.proven, s.attested, s.delivered);
  const history = words(s.strikes, s.slashed, s.released, s.holdClaimed);
  const scalars = times + money + sets + history + words(modelId, batchSeed, ticket, seed);
  const arrays = [s.workers, s.stakes, s.claimedTo, s.proofMasks, s.paidCompute, s.paidDelivery].map(arrayWords);
  let at = 32 * HEAD_WORDS;
  const offsets = arrays.map((array) => {
    const offset = at;
    at += array.length / 2;
    return offset;
  });
  const head = words(32 * (jobSpecFields.length + 1));
  return `0x${specWords(spec)}${head}${scalars}${words(...offsets)}${arrays.join("")}`;
}

/** What other parts of the model the board drives. */
export interface BoardModules {
  readonly env: Environment;
  readonly journal: Journal;
  readonly ledger: LedgerModel;
  readonly registry: RegistryModel;
  readonly verifiers: VerifierModel;
}

const UNKNOWN_JOB = 0;

export class BoardState {
  readonly modules: BoardModules;
  readonly domain: Hex;
  readonly jobs: Table<BoardJob | undefined>;
  readonly nonces: Table<bigint>;
  readonly commitHashes: Table<Hex>;
  /** round + 1 in which an id was committed. */
  readonly idRounds: Table<number>;
  /** Sees every step that the machine accepts. */
  onStep: ((jobId: Hex, spec: JobSpec, step: TraceStep) => void) | undefined;

  constructor(modules: BoardModules) {
    this.modules = modules;
    const { env, journal } = modules;
    const to = env.addresses.jobBoard;
    this.domain = domainSeparator(env.chainId, to);
    this.jobs = new Table<BoardJob | undefined>(journal, "jobs", undefined, ([id], job) =>
      job === undefined ? undefined : { to, data: callOf("viewJob(bytes32)", id as Hex), answer: viewAnswer(job) },
    );
    this.nonces = new Table(journal, "nonces", 0n, ([owner], nonce) => ({
      to,
      data: callOf("nonces(address)", owner as Hex),
      answer: answerOf(nonce),
    }));
    this.commitHashes = new Table<Hex>(journal, "commits", zeroHash, ([id, seat], hash) => ({
      to,
      data: callOf("commitHash(bytes32,uint256)", id as Hex, Number(seat)),
      answer: answerOf(hash),
    }));
    this.idRounds = new Table(journal, "ids", 0);
  }

  get(jobId: Hex): BoardJob | undefined {
    return this.jobs.get(jobId);
  }

  change(jobId: Hex, change: Partial<BoardJob>): void {
    this.jobs.set([jobId], { ...this.jobs.get(jobId)!, ...change });
  }

  /** @throws Refusal unless the job is in the phase and its time has not ended */
  needPhase(jobId: Hex, phase: JobPhase): BoardJob {
    const job = this.get(jobId);
    need(job?.state.phase === phase, "WrongState", job?.state.phase ?? UNKNOWN_JOB);
    need(this.modules.env.now < phaseEnd(job.spec, job.state), "TooLate");
    return job;
  }

  /** A transition of the machine. */
  step(jobId: Hex, event: BareEvent): JobState {
    const job = this.get(jobId);
    need(job !== undefined, "WrongState", UNKNOWN_JOB);
    const timed = { ...event, at: this.modules.env.now } as JobEvent;
    let after: JobState;
    try {
      after = applyJobEvent(job.spec, job.state, timed);
    } catch (error) {
      if (!(error instanceof JobRuleError)) throw error;
      throw new Refusal(error.code, error.code === "WrongState" ? [job.state.phase] : []);
    }
    this.change(jobId, { state: after });
    this.onStep?.(jobId, job.spec, { before: job.state, event: timed, after });
    return after;
  }

  /** A transition and everything that follows from it. `payee` gets what the event pays. */
  conclude(jobId: Hex, event: BareEvent, payee?: Hex): void {
    const { spec, state: before } = this.get(jobId) ?? {};
    const after = this.step(jobId, event);
    this.#cutStakes(spec!, before!, after, event);
    this.#moveMoney(jobId, spec!, before!, after, payee);
    if (before!.phase === JobPhase.OPEN && after.phase === JobPhase.READY) this.#assign(jobId, after);
    const began = after.phase === JobPhase.DRAW && before!.phase !== JobPhase.DRAW;
    if (began) this.change(jobId, { ticket: this.#ticket(spec!.beacon) });
  }

  #moveMoney(jobId: Hex, spec: JobSpec, before: JobState, after: JobState, payee: Hex | undefined): void {
    const { env, ledger } = this.modules;
    const escrow = env.escrow("jobBoard", jobId);
    const flows = [
      [after.burnedEscrow - before.burnedEscrow, BURN],
      [after.refunded - before.refunded, accountOf(spec.requester)],
      [after.paid - before.paid, accountOf(payee ?? spec.requester)],
    ] as const;
    for (const [amount, to] of flows) if (amount > 0n) ledger.move(spec.token, escrow, to, amount);
  }

  #cutStakes(spec: JobSpec, before: JobState, after: JobState, event: BareEvent): void {
    if (event.type === "release") return;
    const audit = before.phase === JobPhase.PROVE;
    const amountOf = (seat: number) => before.stakes[seat]! - after.stakes[seat]!;
    // a penalty of zero cuts nothing, but is counted
    const punished = listSeats(audit ? after.slashed & ~before.slashed : this.missed(before, event));
    const cuts = punished.map((seat) => ({ worker: before.workers[seat]!, amount: amountOf(seat) }));
    this.modules.registry.slash(spec.token, cuts, audit);
  }

  /** Seats that pay for a missed commit because of this event. */
  missed(before: JobState, event: BareEvent): bigint {
    if (before.phase !== JobPhase.COMMIT) return 0n;
    if (event.type === "leave") return seatBit(event.seat);
    // by a commit or an abstention the phase closes when no seat is missing
    if (event.type !== "tick") return 0n;
    const enough = 3 * countSeats(before.committed) >= 2 * countSeats(before.active);
    return enough ? before.active & ~before.committed & ~before.abstained : 0n;
  }

  #assign(jobId: Hex, { workers }: JobState): void {
    const { env } = this.modules;
    const list = hashWords(32, workers.length, ...workers);
    const parent = env.blockhash(env.block - 1) ?? zeroHash;
    this.change(jobId, { batchSeed: hashWords(jobId, parent, list) });
  }

  #ticket(beacon: Hex): number {
    const { env } = this.modules;
    if (beacon === env.addresses.testBeacon) return env.block + 1;
    return beacon === env.addresses.blockhashBeacon ? env.block + 8 : 0;
  }

  isProof(job: BoardJob): boolean {
    return job.spec.mode === JobMode.PROOF;
  }
}

/** What happens, without the time. */
export type BareEvent = JobEvent extends infer Event ? (Event extends unknown ? Omit<Event, "at"> : never) : never;
