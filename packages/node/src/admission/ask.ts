import type { Admission, Chain, ChainJob } from "@skynet/contracts";
import { ask, type Host } from "@skynet/network";
import { SkyNetError, toHex, type Hex } from "@skynet/protocol";
import { encodeCapabilities, type Capabilities, type ProvenStep } from "@skynet/swarm";
import { zeroAddress } from "viem";
import type { ChallengeTerms } from "./challenge.ts";
import {
  ADMISSION_PROTOCOL,
  decodeAnswer,
  encodeProof,
  encodeRequest,
  MAX_ANSWER_BYTES,
  type AdmissionAnswer,
} from "./messages.ts";

const ANSWER_MS = 20_000;

export interface AskAdmissionOptions {
  readonly host: Host;
  readonly chain: Pick<Chain, "address" | "chainId" | "now" | "recoverAdmit">;
  readonly job: ChainJob;
  readonly capabilities: Capabilities;
  readonly signal: AbortSignal;
}

/** Answers the admitter's challenge; the job's model is loaded by then. */
export type Solve = (terms: ChallengeTerms) => Promise<ProvenStep>;

/** What an admitter has said: its signature, or that it wants a proof first. Undefined where everybody may join. */
export type Application = Admission | "prove" | undefined;

/**
 * Asks the admitter of a job whether this worker may join.
 * @throws SkyNetError `NotAdmitted`, `BadAdmission`; NetworkError when the admitter does not answer
 */
export async function applyForAdmission(options: AskAdmissionOptions): Promise<Application> {
  const { job, capabilities } = options;
  if (job.spec.admitter === zeroAddress) return undefined;
  const request = { jobId: job.jobId, capabilities: encodeCapabilities(capabilities) };
  const answer = await send(options, encodeRequest("apply", request));
  return answer.t === "prove" ? "prove" : admissionOf(options, answer);
}

/**
 * Asks for a challenge, answers it, and gets the admission.
 * @throws as {@link applyForAdmission}, and what `solve` throws
 */
export async function proveForAdmission(options: AskAdmissionOptions, solve: Solve): Promise<Admission> {
  const { chain, job, capabilities } = options;
  const request = { jobId: job.jobId, capabilities: encodeCapabilities(capabilities) };
  const answer = await send(options, encodeRequest("challenge", request));
  if (answer.t !== "challenge") return admissionOf(options, answer);
  const terms = { chainId: chain.chainId, jobId: job.jobId, worker: chain.address, nonce: answer.nonce };
  return admissionOf(options, await send(options, encodeProof(request, await solve(terms))));
}

async function send({ host, job, signal }: AskAdmissionOptions, request: Uint8Array): Promise<AdmissionAnswer> {
  const limits = { timeoutMs: ANSWER_MS, maxAnswerBytes: MAX_ANSWER_BYTES, signal };
  return decodeAnswer(await ask(host, job.spec.admitter, ADMISSION_PROTOCOL, request, limits));
}

/** The admission in an answer, if it is one for this worker and this job. */
async function admissionOf({ chain, job }: AskAdmissionOptions, answer: AdmissionAnswer): Promise<Admission> {
  if (answer.t === "refused")
    throw new SkyNetError("NotAdmitted", `the job's admitter refuses this worker (${answer.code}): ${answer.reason}`);
  const { admitter } = job.spec;
  if (answer.t === "admitted" && answer.expiry > (await chain.now())) {
    const admission = { expiry: BigInt(answer.expiry), signature: toHex(answer.signature) as Hex };
    const message = { jobId: job.jobId, worker: chain.address, expiry: admission.expiry };
    if ((await chain.recoverAdmit(message, admission.signature).catch(() => undefined)) === admitter) return admission;
  }
  throw new SkyNetError("BadAdmission", "the answer of the job's admitter is not an admission for this worker");
}
