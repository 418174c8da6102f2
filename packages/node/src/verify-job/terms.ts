import type { Chain, ChainJob } from "@skynet/contracts";
import {
  fromHex,
  type Hex,
  jobIdOf,
  JobOutcome,
  JobPhase,
  jobSpecHash,
  keccak256,
  toHex,
  word,
  nameOf,
} from "@skynet/protocol";
import { decodeMetadata, type JobMetadata } from "@skynet/swarm";
import { type EventOf, VerificationError } from "./audit.ts";

/** Jobs of one requester among which a job is looked for: the n-th post of an account has nonce n. */
const MAX_NONCES = 65_536;

/**
 * The terms and the metadata are those that the job's id stands for: the id is a hash over them.
 * @returns the metadata
 */
export function checkTerms(
  { chainId, addresses }: Chain,
  { jobId, spec }: ChainJob,
  posted: EventOf<"JobPosted"> | undefined,
): JobMetadata {
  if (posted === undefined) throw new VerificationError("Inconsistent", "the logs do not show how the job was posted");
  const meta = fromHex(posted.args.meta);
  if (toHex(keccak256(meta)) !== spec.metaHash)
    throw new VerificationError("WrongTerms", "the metadata are not those of the job's terms");
  const { jobBoard } = addresses;
  const { requester } = spec;
  const specHash = jobSpecHash(spec);
  const isNonce = (nonce: number) =>
    jobIdOf({ chainId, jobBoard, requester, nonce: BigInt(nonce), specHash }) === jobId;
  if (!Array.from({ length: MAX_NONCES }, (_, nonce) => nonce).some(isNonce))
    throw new VerificationError(
      "WrongTerms",
      `the job's id does not follow from its terms, as none of the first ${MAX_NONCES} jobs of ${requester}`,
    );
  return decodeMetadata(meta);
}

/** For example "it is in phase OPEN". */
export function whereIs({ state: { phase, outcome } }: ChainJob): string {
  if (phase === JobPhase.SETTLED) return `it ended as ${nameOf(JobOutcome, outcome)}`;
  return `it is in phase ${nameOf(JobPhase, phase)}`;
}

/** Who has which seat, and what decides the batches, from the assignment. */
export interface Assignment {
  readonly workers: readonly Hex[];
  readonly batchSeed: Hex;
}

export async function checkAssignment(
  chain: Chain,
  job: ChainJob,
  assigned: EventOf<"Assigned"> | undefined,
): Promise<Assignment> {
  if (assigned === undefined)
    throw BigInt(job.batchSeed) === 0n
      ? new VerificationError("NotAssigned", `the job has no workers: ${whereIs(job)}`)
      : new VerificationError("Inconsistent", "the logs do not show the assignment of the seats");
  const { workers } = assigned.args;
  const batchSeed = toHex(
    keccak256(
      fromHex(job.jobId),
      fromHex(await chain.blockHash(assigned.blockNumber - 1n)),
      keccak256(...[32n, BigInt(workers.length), ...workers.map(BigInt)].map(word)),
    ),
  );
  if (batchSeed !== job.batchSeed || workers.join() !== job.state.workers.join())
    throw new VerificationError("Inconsistent", "the assignment in the logs is not the one of the contract");
  return { workers, batchSeed };
}
