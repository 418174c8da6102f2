import {
  commitHashOf,
  countSeats,
  hasSeat,
  includedSeats,
  jobIdOf,
  JobMode,
  JobPhase,
  JobRuleError,
  jobSpecHash,
  postJob,
  quorumOf,
  seatBit,
} from "@skynet/protocol";
import type { Hex, JobSpec, JobState } from "@skynet/protocol";
import { keccak256, zeroAddress, zeroHash } from "viem";
import { BoardProofs } from "./board-proofs.ts";
import type { AnswerArgument, UpdateArgument } from "./board-proofs.ts";
import { BoardState } from "./board-state.ts";
import type { BoardModules } from "./board-state.ts";
import { need, Refusal } from "./journal.ts";
import { accountOf } from "./ledger-model.ts";
import { checkSignature, messageDigest } from "./signing.ts";

export interface AcceptanceArgument {
  readonly worker: Hex;
  readonly minPrice: bigint;
  readonly expiry: bigint;
  readonly epoch: number;
}

export interface AdmissionArgument {
  readonly expiry: bigint;
  readonly signature: Hex;
}

export interface CommitmentArgument {
  readonly seat: number;
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
}

/** Twin of `JobBoard.sol`: the same checks in the same order around the machine of the protocol. */
export class BoardModel {
  readonly state: BoardState;
  readonly proofs: BoardProofs;
  /** Jobs in the order of their posting. */
  readonly posted: Hex[] = [];

  constructor(modules: BoardModules) {
    this.state = new BoardState(modules);
    this.proofs = new BoardProofs(this.state);
  }

  readonly calls = {
    post: (from: Hex, spec: JobSpec, meta: Hex): void => this.#post(from, spec, meta),
    cancel: (from: Hex, jobId: Hex): void => this.state.conclude(jobId, { type: "cancel", by: from }),
    stop: (from: Hex, jobId: Hex): void => this.state.conclude(jobId, { type: "stop", by: from }),
    accept: (from: Hex, jobId: Hex): void => this.state.conclude(jobId, { type: "accept", by: from }),
    complain: (from: Hex, jobId: Hex): void => this.state.conclude(jobId, { type: "complain", by: from }),
    publishKeys: (from: Hex, jobId: Hex): void => {
      const job = this.state.get(jobId);
      const phase = job?.state.phase ?? 0;
      need(phase >= JobPhase.READY && phase <= JobPhase.MERGE, "WrongState", phase);
      need(from === job!.spec.requester, "NotRequester");
    },
    join: (from: Hex, jobId: Hex, minPrice: bigint, admission: AdmissionArgument): void => {
      this.#enlist(jobId, from, minPrice, admission);
    },
    joinFor: (
      _: Hex,
      jobId: Hex,
      acceptances: readonly AcceptanceArgument[],
      signatures: readonly Hex[],
      admissions: readonly AdmissionArgument[],
    ): void => {
      need(acceptances.length === signatures.length && acceptances.length === admissions.length, "BadLength");
      for (const [i, { worker, minPrice, expiry, epoch }] of acceptances.entries()) {
        this.state.needPhase(jobId, JobPhase.OPEN);
        const digest = this.digest("Accept", jobId, worker, minPrice, expiry, epoch);
        checkSignature(worker, digest, signatures[i]!);
        need(BigInt(this.#now) <= expiry, "SignatureExpired");
        need(this.#enlist(jobId, worker, minPrice, admissions[i]!) === epoch, "WrongEpoch");
      }
    },
    ready: (_: Hex, jobId: Hex, keyRef: Hex, seats: readonly bigint[], signatures: readonly Hex[]): void => {
      need(seats.length === signatures.length, "BadLength");
      const { state } = this.state.needPhase(jobId, JobPhase.READY);
      const digest = this.digest("Ready", jobId, keyRef);
      seats.forEach((seat, i) => this.#checkSeat(state, Number(seat), digest, signatures[i]!));
      const set = seats.reduce((all, seat) => all | seatBit(Number(seat)), 0n);
      this.state.conclude(jobId, { type: "ready", seats: set });
    },
    commit: (from: Hex, jobId: Hex, idEnd: Hex, stepsRoot: Hex): void => {
      this.#record(jobId, this.#seatOf(jobId, from), idEnd, stepsRoot);
    },
    commitFor: (_: Hex, jobId: Hex, commitments: readonly CommitmentArgument[], signatures: readonly Hex[]): void => {
      need(commitments.length === signatures.length, "BadLength");
      for (const [i, { seat, idEnd, stepsRoot }] of commitments.entries()) {
        const { state } = this.state.needPhase(jobId, JobPhase.COMMIT);
        this.#checkSeat(state, seat, this.digest("Commit", jobId, state.round, idEnd, stepsRoot), signatures[i]!);
        this.#record(jobId, seat, idEnd, stepsRoot);
      }
    },
    abstain: (from: Hex, jobId: Hex, round: number): void => this.#skip(jobId, round, this.#seatOf(jobId, from)),
    abstainFor: (_: Hex, jobId: Hex, round: number, seat: bigint, signature: Hex): void => {
      const { state } = this.state.needPhase(jobId, JobPhase.COMMIT);
      this.#checkSeat(state, Number(seat), this.digest("Abstain", jobId, round), signature);
      this.#skip(jobId, round, Number(seat));
    },
    leave: (from: Hex, jobId: Hex): void => {
      this.state.conclude(jobId, { type: "leave", seat: this.#seatOf(jobId, from) });
    },
    leaveFor: (_: Hex, jobId: Hex, seat: bigint, signature: Hex): void => {
      const { state } = this.state.needPhase(jobId, JobPhase.COMMIT);
      this.#checkSeat(state, Number(seat), this.digest("Leave", jobId, state.round), signature);
      this.state.conclude(jobId, { type: "leave", seat: Number(seat) });
    },
    attest: (
      _: Hex,
      jobId: Hex,
      seats: readonly number[],
      received: readonly bigint[],
      signatures: readonly Hex[],
    ): void => {
      need(seats.length === received.length && seats.length === signatures.length, "BadLength");
      const { state } = this.state.needPhase(jobId, JobPhase.PROVE);
      const rows = seats.map((seat, i) => ({ seat, received: received[i]! }));
      rows.forEach((row, i) => {
        const digest = this.digest("Attest", jobId, state.round, row.received, zeroHash);
        this.#checkSeat(state, row.seat, digest, signatures[i]!);
      });
      this.state.conclude(jobId, { type: "attest", rows });
    },
    merge: (from: Hex, jobId: Hex, idNext: Hex, seats: readonly bigint[], signatures: readonly Hex[]): void => {
      need(seats.length === signatures.length, "BadLength");
      this.#merge(from, jobId, idNext, seats.map(Number), signatures);
    },
    mergeProven: (from: Hex, jobId: Hex, basePoints: Hex, updates: readonly UpdateArgument[]): void => {
      const job = this.state.needPhase(jobId, JobPhase.MERGE);
      need(job.spec.mode === JobMode.PROOF, "WrongMode");
      this.#adopt(jobId, this.proofs.nextId(jobId, job, basePoints, updates), from);
    },
    draw: (_: Hex, jobId: Hex): void => this.proofs.draw(jobId),
    prove: (_: Hex, jobId: Hex, answer: AnswerArgument): void => this.proofs.prove(jobId, answer),
    tick: (_: Hex, jobId: Hex): void => this.state.conclude(jobId, { type: "tick" }),
    claim: (_: Hex, jobId: Hex, seat: bigint, toRound: bigint): void => {
      const from = this.state.get(jobId)?.state.claimedTo[Number(seat)] ?? 0;
      this.#collect(jobId, Number(seat), { type: "claim", seat: Number(seat), toRound: Number(toRound) });
      const worker = this.state.get(jobId)!.state.workers[Number(seat)]!;
      this.state.modules.registry.count(worker, "roundsPaid", Number(toRound) - from);
    },
    claimHold: (_: Hex, jobId: Hex, seat: bigint): void => {
      need(this.state.get(jobId) !== undefined, "WrongState", 0);
      this.#collect(jobId, Number(seat), { type: "claimHold", seat: Number(seat) });
    },
    release: (_: Hex, jobId: Hex, seat: bigint): void => {
      const job = this.state.get(jobId);
      need(job !== undefined, "NotSeat");
      const stake = job.state.stakes[Number(seat)];
      this.state.conclude(jobId, { type: "release", seat: Number(seat) });
      this.state.modules.registry.unlock(job.state.workers[Number(seat)]!, job.spec.token, stake!);
    },
  };

  digest(...[kind, ...values]: Parameters<typeof messageDigest> extends [Hex, ...infer Rest] ? Rest : never): Hex {
    return messageDigest(this.state.domain, kind, ...values);
  }

  get #now(): number {
    return this.state.modules.env.now;
  }

  #post(from: Hex, spec: JobSpec, meta: Hex): void {
    const { env, ledger } = this.state.modules;
    need(spec.requester === from, "NotRequester");
    need(env.hasCode(spec.token), "NotToken");
    need(keccak256(meta) === spec.metaHash, "BadMeta");
    const nonce = this.state.nonces.get(from);
    const jobId = jobIdOf({
      chainId: env.chainId,
      jobBoard: env.addresses.jobBoard,
      requester: from,
      nonce,
      specHash: jobSpecHash(spec),
    });
    let state: JobState;
    try {
      state = postJob(spec, env.now, 1);
    } catch (error) {
      if (!(error instanceof JobRuleError)) throw error;
      throw new Refusal(error.code);
    }
    if (spec.mode === JobMode.PROOF) this.proofs.checkTerms(spec);
    this.state.nonces.set([from], nonce + 1n);
    const fresh = { batchSeed: zeroHash, seed: zeroHash, ticket: 0 };
    this.state.jobs.set([jobId], { spec, state, modelId: spec.modelId, ...fresh });
    ledger.move(spec.token, accountOf(from), env.escrow("jobBoard", jobId), state.escrow);
    this.posted.push(jobId);
  }

  #enlist(jobId: Hex, worker: Hex, minPrice: bigint, admission: AdmissionArgument): number {
    const job = this.state.get(jobId);
    this.state.conclude(jobId, { type: "join", worker, minPrice });
    const { admitter, requester, token, stake } = job!.spec;
    if (admitter !== zeroAddress) {
      need(BigInt(this.#now) <= admission.expiry, "BadAdmission");
      checkSignature(admitter, this.digest("Admit", jobId, worker, admission.expiry), admission.signature);
    }
    const { payout, epoch } = this.state.modules.registry.lock(worker, token, stake);
    need(payout !== requester, "RequesterCannotJoin");
    return epoch;
  }

  #record(jobId: Hex, seat: number, idEnd: Hex, stepsRoot: Hex): void {
    const { spec, state } = this.state.get(jobId)!;
    this.state.conclude(jobId, { type: "commit", seat });
    if (spec.mode === JobMode.PROOF) this.proofs.noteCommit(jobId, spec, state.round, idEnd, stepsRoot);
    this.state.commitHashes.set([jobId, String(seat)], commitHashOf(state.round, idEnd, stepsRoot));
  }

  #skip(jobId: Hex, round: number, seat: number): void {
    const { state } = this.state.needPhase(jobId, JobPhase.COMMIT);
    need(round === state.round, "WrongRound");
    this.state.conclude(jobId, { type: "abstain", seat });
  }

  #merge(from: Hex, jobId: Hex, idNext: Hex, seats: readonly number[], signatures: readonly Hex[]): void {
    const { spec, state } = this.state.needPhase(jobId, JobPhase.MERGE);
    need(spec.mode === JobMode.QUORUM, "WrongMode");
    need(idNext !== zeroHash, "ZeroId");
    const digest = this.digest("Attest", jobId, state.round, includedSeats(state), idNext);
    let signers = 0n;
    for (const [i, seat] of seats.entries()) {
      need(hasSeat(state.committed, seat), "NotSeat");
      need(!hasSeat(signers, seat), "DuplicateSeat");
      signers |= seatBit(seat);
      this.#checkSeat(state, seat, digest, signatures[i]!);
    }
    need(seats.length >= quorumOf(countSeats(state.committed)), "TooFewAttestations");
    this.#adopt(jobId, idNext, from);
  }

  #adopt(jobId: Hex, idNext: Hex, from: Hex): void {
    this.state.conclude(jobId, { type: "merge" }, from);
    this.state.change(jobId, { modelId: idNext });
  }

  #collect(
    jobId: Hex,
    seat: number,
    event: { type: "claim"; seat: number; toRound: number } | { type: "claimHold"; seat: number },
  ): void {
    const worker = this.state.get(jobId)?.state.workers[seat];
    need(this.state.get(jobId) !== undefined, "NotSeat");
    const payout = worker === undefined ? undefined : this.state.modules.registry.workers.get(worker).payout;
    this.state.conclude(jobId, event, payout);
  }

  #seatOf(jobId: Hex, worker: Hex): number {
    const { state } = this.state.needPhase(jobId, JobPhase.COMMIT);
    const seat = state.workers.indexOf(worker);
    need(seat >= 0, "NotSeat");
    return seat;
  }

  #checkSeat({ workers }: JobState, seat: number, digest: Hex, signature: Hex): void {
    need(seat < workers.length, "NotSeat");
    checkSignature(workers[seat]!, digest, signature);
  }
}
