export { commitTo, type CommitOptions } from "./data/commitments.ts";
export { fundAccount, startDevnet, type Devnet, type DevnetOptions } from "./devnet/devnet.ts";
export { parseJobFile, readJobFile, type JobFile } from "./job-file.ts";
export { reportHtml } from "./report/html.ts";
export { summaryJson, type Summary } from "./report/summary.ts";
export { startChild, type ChildOptions, type SkyNetChild } from "./runtime/children.ts";
export {
  checkBeacon,
  compareVerifier,
  ensureVerifier,
  generateOwnVerifier,
  type OwnVerifier,
} from "./roles/verifier.ts";
export { startTrainer } from "./trainer/trainer.ts";
export { createKeystore, keystoreAddress, openKeystore } from "./wallet/keystore.ts";
export { VerificationError, type VerificationErrorCode } from "./verify-job/audit.ts";
export { verifyJob, type VerifiedJob, type VerifyJobOptions } from "./verify-job/verify-job.ts";
