// Secrets from which the blinders of commitments follow. A secret and a position must never serve two different tensors,
// or the difference of the commitments would show their difference; so each secret is bound to all that a tensor follows
// from.
import { fromHex, type Hex, keccak256, word } from "@skynet/protocol";
import type { JobSnapshot } from "./ports.ts";

const text = new TextEncoder();
const tagOf = (name: string) => keccak256(text.encode(name));

/**
 * Secret of a worker's round. It follows from the node's own secret, so that a worker that was restarted, or walks the
 * round again for an audit, makes the commitments again that it has made before. The weights of a round follow from the
 * job, the worker (through its node's secret), the seed that decides its batches, the round and W_r: a reorganisation of the chain that changes one
 * of them changes the secret.
 * @param nodeSecret 32 bytes that only this node knows
 * @param modelId id of W_r
 */
export function roundSecret(
  nodeSecret: Uint8Array,
  jobId: Hex,
  { jobSeed, round }: Pick<JobSnapshot, "jobSeed" | "round">,
  modelId: Hex,
): Uint8Array {
  const place = [fromHex(jobId), fromHex(jobSeed), word(round), fromHex(modelId)];
  return keccak256(tagOf("skynet/1/round"), nodeSecret, ...place);
}

/**
 * Secret of one batch: keccak256(keccak256("skynet/1/batch"), datasetSecret, index), index as a 256-bit number. It is the
 * private key of the age recipient that the batch is encrypted to, and the blinders of its commitment follow from it.
 * Who knows the secrets of some batches learns nothing about those of others.
 * @param datasetSecret 32 random bytes of one job that only its requester knows
 */
export function batchSecret(datasetSecret: Uint8Array, index: number): Uint8Array {
  return keccak256(tagOf("skynet/1/batch"), datasetSecret, word(index));
}
