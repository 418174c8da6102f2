export { checkAnswerCost, costOfAnswer, type AnswerTerms } from "./answer-cost.ts";
export { batchSecret, roundSecret } from "./blinding.ts";
export { batchesOfJob, batchesOfRound, distinct, ZERO_32 } from "./dataset-plan.ts";
export { SwarmError } from "./errors.ts";
export {
  openSecrets,
  publishSecrets,
  type JobSecrets,
  type KeyRecipient,
  type PublishBlock,
  type WorkerSecrets,
} from "./keys.ts";
export { STATE_FILE } from "./job-peer.ts";
export type { BatchSource } from "./local-training.ts";
export { decodeWeights } from "./weights.ts";
export { circuitOf, decodeMetadata, encodeMetadata, type JobMetadata, type MadeChoices } from "./metadata.ts";
export type * from "./ports.ts";
export { assertProofsFit, proofsFit, type MeasuredStep } from "./rehearsal.ts";
export {
  decodeCapabilities,
  encodeCapabilities,
  requirementsOf,
  requirementsSchema,
  unmetRequirements,
  type Capabilities,
  type Requirements,
} from "./requirements.ts";
export {
  runRequesterJob,
  type KeyHolders,
  type RequesterModules,
  type RequesterProgress,
  type RequesterResult,
  type RoundReport,
} from "./requester.ts";
export { makeSnapshot } from "./snapshot.ts";
export { averageUpdates, decodeUpdate, encodeUpdate } from "./update.ts";
export { runWorkerJob, type WorkerModules, type WorkerProgress, type WorkerResult } from "./worker.ts";
