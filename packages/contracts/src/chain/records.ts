import type { Hex, JobSpec, JobView, VerifierDescription } from "@skynet/protocol";
import type { JobMessages } from "./signatures.ts";

/** A job as the chain shows it. Addresses are lower-case; `state.workers` lists the seats in order. */
export interface ChainJob {
  readonly jobId: Hex;
  readonly spec: JobSpec;
  readonly state: JobView;
  /** id(W_round): the model that the present round starts from, and the result at the end. */
  readonly modelId: Hex;
  /** Decides which batch a worker trains on; zero until the seats are assigned. */
  readonly batchSeed: Hex;
  /** Of the beacon, for the latest draw; 0 before the first one, or when the beacon failed. */
  readonly ticket: bigint;
  /** Of the latest draw; zero before the first one. */
  readonly seed: Hex;
}

/** An entry of the VerifierRegistry. Nodes trust the code hash of a verifier that they have compiled themselves. */
export interface ChainVerifier extends VerifierDescription {
  readonly verifierId: Hex;
  /** Address of the verifier contract. */
  readonly at: Hex;
  /** Block of the registration. */
  readonly since: bigint;
  /** keccak256 of the runtime code. */
  readonly codehash: Hex;
  readonly registrar: Hex;
}

/** What a proof of a step shows. */
export interface ProofStatement {
  /** See `stepContext`. */
  readonly context: Hex;
  /** Id of the model before the step. */
  readonly idIn: Hex;
  readonly idOut: Hex;
  /** Id of the batch. */
  readonly idData: Hex;
}

/** One proven step. */
export interface StepProof {
  /** Id of the model after the step. */
  readonly idEnd: Hex;
  /** Id of the batch, and its Merkle path in the data. */
  readonly batchLeaf: Hex;
  readonly batchPath: readonly Hex[];
  readonly proof: Hex;
}

/** The answer to one audit slot: the proofs of all steps of the drawn segment. */
export interface SlotAnswer {
  readonly seat: number;
  readonly slot: number;
  /** As committed. */
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
  /** Ids at the ends of the segment; the paths are empty at the ends of the round. */
  readonly idFrom: Hex;
  readonly pathFrom: readonly Hex[];
  readonly idTo: Hex;
  readonly pathTo: readonly Hex[];
  readonly steps: readonly StepProof[];
}

/** An update that enters a merge: what its seat committed, and the points behind `idEnd`, 64 bytes each. */
export interface SeatUpdate {
  readonly seat: number;
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
  readonly points: Hex;
}

export interface ChainWorker {
  readonly address: Hex;
  readonly registered: boolean;
  /** Uncompressed secp256k1 key without the leading 04, 64 bytes; undefined when not registered. */
  readonly publicKey: Hex | undefined;
  readonly payout: Hex | undefined;
  /** Counter that outstanding Accept signatures must name. */
  readonly epoch: number;
}

/** Counters of a worker. A hint only: they cost nothing but gas to farm. */
export interface ChainReputation {
  readonly roundsPaid: number;
  readonly roundsMissed: number;
  /** Audit slots that were answered. */
  readonly proofs: number;
  readonly slashes: number;
  /** Jobs whose stake came back. */
  readonly jobs: number;
}

/** Stake that waits for the end of its unbonding. */
export interface LeavingStake {
  readonly amount: bigint;
  /** Unix seconds from which it can be fetched; 0 when nothing leaves. */
  readonly due: number;
}

/** Units of one token that an account has in each place. */
export interface ChainBalances {
  /** In its own wallet. */
  readonly wallet: bigint;
  /** In the Ledger, ready to withdraw or to spend. */
  readonly ledger: bigint;
  readonly freeStake: bigint;
  /** In jobs. */
  readonly lockedStake: bigint;
  /** Stake that waits for the end of its unbonding. */
  readonly leavingStake: bigint;
}

export interface Admission {
  /** Unix seconds. */
  readonly expiry: bigint;
  readonly signature: Hex;
}

export interface SignedAcceptance {
  readonly acceptance: JobMessages["Accept"];
  readonly signature: Hex;
  readonly admission?: Admission | undefined;
}

export interface SignedCommitment {
  readonly seat: number;
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
  readonly signature: Hex;
}

export interface SignedSeat {
  readonly seat: number;
  readonly signature: Hex;
}

export interface SignedBitmap extends SignedSeat {
  readonly received: bigint;
}
