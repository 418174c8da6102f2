import type { Chain, ChainJobEvent } from "@skynet/contracts";
import type { ProofSystem } from "@skynet/proof";
import { type Hex, type JobSpec, SkyNetError } from "@skynet/protocol";

const ANOTHER_RPC = "Ask another endpoint with --rpc: this one may leave out or change what the chain holds.";

/** Why a job is not verified, and what to do then. */
const HINTS = {
  /** The terms or the metadata are not those that the job's id stands for. */
  WrongTerms: ANOTHER_RPC,
  /** Nothing is proven in quorum mode. */
  NotProven: "Only jobs in proof mode can be verified from the chain.",
  NotAssigned: "Only jobs that got their workers have something to verify.",
  /** No round ended, or none was paid or merged. */
  NothingToVerify: "Wait until a round was paid; npx skynet job show tells where the job is.",
  /** The logs and the contract's state disagree. */
  Inconsistent: ANOTHER_RPC,
  WrongModel: "Name the ONNX file of the job with --model.",
  WrongVerifier:
    "It may take or refuse what it should not; check that the job was posted by the same version, with the reference string of --srs.",
  DuplicateId: ANOTHER_RPC,
  Unproven: ANOTHER_RPC,
  NotVerified: ANOTHER_RPC,
  /** Nothing is known to be wrong, but the chain does not show enough. */
  Unverifiable:
    "The call reached the JobBoard from inside another contract, so its proofs are not in the transaction. The JobBoard has checked them, but they cannot be checked again from the chain's blocks and logs.",
} as const;

export type VerificationErrorCode = keyof typeof HINTS;

/** What does not agree with the chain's own rules, or cannot be compared with them (`Unverifiable`). */
export class VerificationError extends SkyNetError {
  declare readonly code: VerificationErrorCode;

  constructor(code: VerificationErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(code, message, { hint: HINTS[code], ...options });
  }
}

export type EventOf<Name extends ChainJobEvent["name"]> = Extract<ChainJobEvent, { name: Name }>;

/** What the chain shows of one round that ended. */
export interface RoundEvents {
  readonly round: number;
  /** By seat. */
  readonly commits: Map<number, EventOf<"Committed">["args"]>;
  /** Block in which the commits were closed. */
  closedAt?: bigint;
  drawn?: EventOf<"Drawn">["args"];
  readonly proven: EventOf<"Proven">[];
  delivered?: EventOf<"Delivered">["args"];
  merged?: EventOf<"Merged">;
  ended?: EventOf<"RoundEnded">["args"];
}

export interface AuditOptions {
  readonly chain: Chain;
  readonly jobId: Hex;
  readonly spec: JobSpec;
  readonly system: ProofSystem;
  /** In the order of the seats. */
  readonly workers: readonly Hex[];
  /** Decides the batches; follows from the assignment. */
  readonly batchSeed: Hex;
  /** Address of the verifier contract, which is part of what a proof is about. */
  readonly verifier: Hex;
}

/** What every check of proofs and averages needs, and the model that the present round starts from. */
export interface Audit extends AuditOptions {
  /** id(W_r). */
  modelId: Hex;
}

/** A round that breaks a rule. */
export function fail(round: number, message: string, code: VerificationErrorCode = "NotVerified"): never {
  throw new VerificationError(code, `round ${round + 1}: ${message}`);
}
