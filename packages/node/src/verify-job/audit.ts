import type { Chain, ChainJobEvent } from "@skynet/contracts";
import type { ProofSystem } from "@skynet/proof";
import { type Hex, type JobSpec, SkyNetError } from "@skynet/protocol";

/** What does not agree with the chain's own rules. */
export class VerificationError extends SkyNetError {}

export type EventOf<Name extends ChainJobEvent["name"]> = Extract<ChainJobEvent, { name: Name }>;

/** Events of one round. */
export interface RoundEvents {
  readonly round: number;
  /** By seat. */
  readonly commits: Map<number, EventOf<"Committed">["args"]>;
  /** Block in which the commits were closed. */
  closedAt?: bigint;
  drawn?: EventOf<"Drawn">["args"];
  readonly proven: EventOf<"Proven">[];
  delivered: bigint;
  merged?: EventOf<"Merged">;
  paidCompute: bigint;
}

export interface AuditOptions {
  readonly chain: Chain;
  readonly jobId: Hex;
  readonly spec: JobSpec;
  readonly system: ProofSystem;
  /** In the order of the seats. */
  readonly workers: readonly Hex[];
  /** Decides the batches; follows from the assignment. */
  readonly batchSeed: Hex | undefined;
  /** Address of the verifier contract, which is part of what a proof is about. */
  readonly verifier: Hex;
  readonly signal: AbortSignal | undefined;
}

/** The state of an independent check: the job, and the model that the present round starts from. */
export class Audit {
  readonly chain: Chain;
  readonly jobId: Hex;
  readonly spec: JobSpec;
  readonly system: ProofSystem;
  readonly workers: readonly Hex[];
  readonly verifier: Hex;
  readonly #batchSeed: Hex | undefined;
  readonly #signal: AbortSignal | undefined;
  /** id(W_r). */
  modelId: Hex;

  constructor({ chain, jobId, spec, system, workers, batchSeed, verifier, signal }: AuditOptions) {
    this.chain = chain;
    this.jobId = jobId;
    this.spec = spec;
    this.system = system;
    this.workers = workers;
    this.verifier = verifier;
    this.#batchSeed = batchSeed;
    this.#signal = signal;
    this.modelId = spec.modelId;
  }

  get batchSeed(): Hex {
    if (this.#batchSeed === undefined) throw new VerificationError("NotAssigned", "the job has no assignment");
    return this.#batchSeed;
  }

  startRound({ round, commits }: RoundEvents): void {
    this.#signal?.throwIfAborted();
    const ids = new Set([...commits.values()].map(({ idEnd }) => idEnd));
    if (ids.size !== commits.size)
      throw new VerificationError("DuplicateId", `round ${round} has two equal commitments`);
  }

  fail(round: number, message: string): never {
    throw new VerificationError("NotVerified", `round ${round}: ${message}`);
  }
}
