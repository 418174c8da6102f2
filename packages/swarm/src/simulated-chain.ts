import {
  applyJobEvent,
  drawSeed,
  JobMode,
  JobPhase,
  keccak256,
  postJob,
  selectedSeats,
  SkyNetError,
  toHex,
  type Hex,
  type JobEvent,
  type JobSpec,
  type JobState,
} from "@skynet/protocol";
import { ZERO_32 } from "./dataset-plan.ts";
import type {
  Address,
  Clock,
  Commitment,
  JobChain,
  JobSnapshot,
  MergedUpdate,
  RoundProofs,
  SlotAnswer,
} from "./ports.ts";
import { checkAnswer, type SimulatedVerifier } from "./simulated-verifier.ts";
import { makeSnapshot } from "./snapshot.ts";

const text = new TextEncoder();
/** From a transaction's effect to its receipt. */
const RECEIPT_MS = 700;
/** Until a beacon has its value. */
const BEACON_MS = 2000;
const JOB_SEED: Hex = `0x${"5e".repeat(32)}`;

/** A chain with one job: the state machine of the protocol, with signatures that only this simulation accepts. */
export class SimulatedChain {
  state: JobState;
  modelId: Hex;
  keys: { epoch: number; cid: string } | undefined;
  readonly spec: JobSpec;
  readonly jobId: Hex = `0x${"ab".repeat(32)}`;
  readonly commits = new Map<number, Commitment>();
  seed: Hex = ZERO_32;
  /** Who proved how many steps, by round. */
  readonly proven: (RoundProofs & { readonly round: number })[] = [];
  readonly #clock: Clock;
  readonly #publicKeys: ReadonlyMap<Address, Uint8Array>;
  readonly #verifier: SimulatedVerifier | undefined;
  #random: () => number;
  #drawReadyMs = 0;

  /** `publicKeys`: what the workers registered. A chain of proof mode needs a verifier and randomness for its beacon. */
  constructor(
    spec: JobSpec,
    clock: Clock,
    publicKeys: ReadonlyMap<Address, Uint8Array>,
    { verifier, random = () => 0.5 }: { verifier?: SimulatedVerifier | undefined; random?: () => number } = {},
  ) {
    this.spec = spec;
    this.#publicKeys = publicKeys;
    this.#verifier = verifier;
    this.#random = random;
    this.#clock = clock;
    this.modelId = spec.modelId;
    this.state = postJob(spec, this.#seconds());
  }

  apply(event: DistributiveOmit<JobEvent, "at">): void {
    const { round, phase } = this.state;
    this.state = applyJobEvent(this.spec, this.state, { ...event, at: this.#seconds() } as JobEvent);
    if (this.state.round !== round) this.commits.clear();
    if (this.state.phase === JobPhase.DRAW && phase !== JobPhase.DRAW)
      this.#drawReadyMs = this.#clock.nowMs() + BEACON_MS;
  }

  /** The chain as one node sees it. */
  viewOf(self: Address): JobChain {
    const signatureOf = (worker: Address, statement: string): Hex =>
      `0x${toHex(keccak256(text.encode(`${worker}/${statement}`)))
        .slice(2)
        .padEnd(130, "0")}`;
    const seat = () => this.state.workers.indexOf(self);
    const attestation = (round: number, received: bigint, idNext: Hex) => `attest/${round}/${received}/${idNext}`;
    // As on a real chain, everybody sees the effect before the sender has its receipt.
    const write = async (effect: () => void): Promise<void> => {
      effect();
      await this.#clock.sleep(RECEIPT_MS);
    };
    return {
      self,
      jobId: this.jobId,
      snapshot: async () => this.#snapshot(),
      publicKeyOf: async (worker) => this.#publicKeys.get(worker)!,
      signReady: async (keyRef) => signatureOf(self, `ready/${keyRef}`),
      signAttest: async (round, received, idNext) => signatureOf(self, attestation(round, received, idNext)),
      isReadySignature: async (worker, keyRef, signature) => signature === signatureOf(worker, `ready/${keyRef}`),
      isAttestSignature: async (worker, round, received, idNext, signature) =>
        signature === signatureOf(worker, attestation(round, received, idNext)),
      publishKeys: (epoch, cid) =>
        write(() => {
          this.keys = { epoch, cid };
        }),
      ready: (_keyRef, seats) =>
        write(() => this.apply({ type: "ready", seats: seats.reduce((set, i) => set | (1n << BigInt(i)), 0n) })),
      commit: (round, of, idEnd, stepsRoot) => write(() => this.#commit(round, of, { idEnd, stepsRoot })),
      isDrawReady: async () => this.#clock.nowMs() >= this.#drawReadyMs,
      draw: () => write(() => this.#draw()),
      // The context is no more than the place: the verifier of the simulation looks at the step itself.
      stepHeader: async (round, step) => ({
        chainId: 31337,
        verifier: `0x${"00".repeat(20)}`,
        context: `0x${toHex(keccak256(text.encode(`${self}/${round}/${step}`))).slice(2)}`,
      }),
      prove: (answer) => write(() => this.#prove(answer)),
      proofsOf: async (round) => this.proven.filter((entry) => entry.round === round),
      mergeProven: (basePoints, updates) => write(() => this.#mergeProven(basePoints, updates)),
      abstain: () => write(() => this.apply({ type: "abstain", seat: seat() })),
      attest: (seats, received) =>
        write(() => this.apply({ type: "attest", rows: seats.map((i, n) => ({ seat: i, received: received[n]! })) })),
      merge: (idNext) =>
        write(() => {
          this.apply({ type: "merge" });
          this.modelId = idNext;
        }),
      tick: () => write(() => this.apply({ type: "tick" })),
      stop: () => write(() => this.apply({ type: "stop", by: self })),
      accept: () => write(() => this.apply({ type: "accept", by: self })),
      complain: () => write(() => this.apply({ type: "complain", by: self })),
      claim: (of, toRound) => write(() => this.apply({ type: "claim", seat: of, toRound })),
      claimHold: (of) => write(() => this.apply({ type: "claimHold", seat: of })),
      release: (of) => write(() => this.apply({ type: "release", seat: of })),
    };
  }

  #commit(round: number, seat: number, commitment: Commitment): void {
    if (round !== this.state.round) throw new SkyNetError("BadSignature", "the signature is for another round");
    const taken = [...this.commits.values()].some(({ idEnd }) => idEnd === commitment.idEnd);
    if (this.spec.mode === JobMode.PROOF && taken) throw new SkyNetError("DuplicateId", "the id is taken");
    this.apply({ type: "commit", seat });
    if (this.state.round === round) this.commits.set(seat, commitment);
  }

  #draw(): void {
    if (this.#clock.nowMs() < this.#drawReadyMs) throw new SkyNetError("BeaconNotReady", "wait for a few blocks");
    const value = toHex(keccak256(text.encode(`beacon ${this.#random()}`)));
    const seed = drawSeed(value, this.jobId, this.state.round);
    this.apply({ type: "draw", selected: selectedSeats(seed, this.state.committed, this.spec.auditBps) });
    this.seed = seed;
  }

  #prove(answer: SlotAnswer): void {
    const { round, workers } = this.state;
    checkAnswer(answer, this.#requireVerifier(), {
      spec: this.spec,
      round,
      seed: this.seed,
      modelId: this.modelId,
      worker: workers[answer.seat]!,
      jobSeed: JOB_SEED,
      commitment: this.commits.get(answer.seat),
    });
    this.apply({ type: "prove", seat: answer.seat, slot: answer.slot });
    this.proven.push({ round, worker: workers[answer.seat]!, steps: this.spec.segment, gas: 0 });
  }

  #mergeProven(basePoints: Uint8Array, updates: readonly MergedUpdate[]): void {
    const verifier = this.#requireVerifier();
    for (const { seat, idEnd, points } of updates)
      if (idEnd !== this.commits.get(seat)?.idEnd || verifier.idOf(points) !== idEnd)
        throw new SkyNetError("WrongPoints", "points do not have the committed id");
    if (verifier.idOf(basePoints) !== this.modelId) throw new SkyNetError("WrongPoints", "not the round's model");
    const idNext = verifier.average(
      basePoints,
      updates.map(({ points }) => points),
    );
    this.apply({ type: "merge" });
    this.modelId = idNext;
  }

  #requireVerifier(): SimulatedVerifier {
    if (!this.#verifier) throw new SkyNetError("WrongMode", "this chain was made without a verifier");
    return this.#verifier;
  }

  #seconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }

  #snapshot(): JobSnapshot {
    return makeSnapshot(this.spec, this.state, {
      commits: new Map(this.commits),
      keys: this.keys,
      modelId: this.modelId,
      jobSeed: JOB_SEED,
      seed: this.seed,
      nowMs: this.#clock.nowMs(),
    });
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
