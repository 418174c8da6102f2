import { concatBytes, fromHex, keccak256, toHex, word, type Hex } from "@skynet/protocol";
import type { DatasetBatch, JobMetadata, ModelShape, ProofShape, ProvenStep, StepHeader, Trainer } from "@skynet/swarm";
import { zeroAddress } from "viem";

/** What a challenge is about: one step of a job's model, from the weights that everybody knows. */
export interface ChallengeTerms {
  readonly chainId: number;
  readonly jobId: Hex;
  readonly worker: Hex;
  readonly nonce: Uint8Array;
}

const TAG = keccak256(new TextEncoder().encode("skynet/1/admission"));

/** A proof for one worker and one nonce, which no contract takes. */
function headerOf({ chainId, jobId, worker, nonce }: ChallengeTerms): StepHeader {
  const context = toHex(keccak256(TAG, fromHex(jobId), word(BigInt(worker)), nonce));
  return { chainId, verifier: zeroAddress, context };
}

/** The batch that a nonce stands for: nobody can have proven it before. The blinders of its commitment are public, too. */
async function batchOf(
  trainer: Trainer,
  shape: ModelShape,
  batchSize: number,
  nonce: Uint8Array,
): Promise<DatasetBatch> {
  const blocks = Array.from({ length: Math.ceil((batchSize * shape.features) / 32) }, (_, i) =>
    keccak256(nonce, word(i)),
  );
  const x = await trainer.quantise(concatBytes(...blocks).subarray(0, batchSize * shape.features));
  const y = Uint8Array.from({ length: batchSize }, (_, i) => blocks[i % blocks.length]![i % 32]! % shape.classes);
  return { x, y, index: 0, secret: nonce };
}

type Model = Pick<JobMetadata, "batchSize" | "initialSeed">;

/** Answers a challenge with the loaded model. */
export async function solveChallenge(
  trainer: Trainer,
  shape: ModelShape,
  { batchSize, initialSeed }: Model,
  terms: ChallengeTerms,
): Promise<ProvenStep> {
  const weights = await trainer.initialWeights(initialSeed);
  await trainer.setWeights({ weights, ...(await trainer.identify(weights)), secret: terms.nonce });
  return trainer.proveStep(headerOf(terms), await batchOf(trainer, shape, batchSize, terms.nonce));
}

/** Whether a step answers the challenge: the batch is that of the nonce, and the proof holds from the job's first model. */
export async function checkSolution(
  trainer: Trainer,
  shape: ModelShape & { readonly proof: ProofShape },
  { batchSize, modelId }: { readonly batchSize: number; readonly modelId: Hex },
  terms: ChallengeTerms,
  step: ProvenStep,
): Promise<boolean> {
  const batch = await batchOf(trainer, shape, batchSize, terms.nonce);
  const [points] = await trainer.commitBatches([batch]);
  const [blinded] = await trainer.blindBatches([{ ...batch, points: points! }]);
  const leaf = toHex(keccak256(fromHex(shape.proof.batchTag), blinded!));
  return step.batchLeaf === leaf && (await trainer.verifyStep(headerOf(terms), modelId, step));
}
