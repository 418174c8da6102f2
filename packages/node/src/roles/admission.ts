import type { Admission, Chain, ChainJob } from "@skynet/contracts";
import { answerRequests, ask, type Host } from "@skynet/network";
import { decode, encode, fromHex, JobPhase, phaseEnd, SkyNetError, toHex, type Hex } from "@skynet/protocol";
import {
  decodeCapabilities,
  encodeCapabilities,
  unmetRequirements,
  type Capabilities,
  type Log,
  type Requirements,
} from "@skynet/swarm";
import { zeroAddress } from "viem";
import { z } from "zod";
import { createRate } from "../sponsor/rate.ts";

/** A worker asks a job's admitter for its signature; the key of the connection is the worker's. */
export const ADMISSION_PROTOCOL = "/skynet/admission/1";

const MAX_REQUEST_BYTES = 2048;
const MAX_ANSWER_BYTES = 4096;
const MAX_REASON = 1000;
const STALL_MS = 10_000;
const ANSWER_MS = 20_000;
/** Of one worker: at once, and for each second after that. */
const RATE = { burst: 6, perSecond: 0.2 };

const bytesOf = (most: number, least = most) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= least && value.length <= most);

const requestSchema = z.strictObject({ v: z.literal(1), job: bytesOf(32), capabilities: bytesOf(1024, 0) });
const answerSchema = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("admitted"), expiry: z.number().int().min(0), signature: bytesOf(65) }),
  z.strictObject({ t: z.literal("refused"), code: z.string().max(64), reason: z.string().max(MAX_REASON) }),
]);
type Answer = z.output<typeof answerSchema>;

export interface AdmissionOptions {
  readonly host: Host;
  /** Of the job's admitter. */
  readonly chain: Pick<Chain, "job" | "reputation" | "signAdmit">;
  readonly log: Log;
  readonly jobId: Hex;
  /** Workers that are admitted; undefined: all that meet the requirements. */
  readonly allow: readonly Hex[] | undefined;
  readonly requirements: Requirements;
}

/**
 * Admits workers to one job while it is open, by its list and its requirements. Admissions are signatures and no state:
 * after a restart the same worker gets the same answer.
 * @returns function that ends it
 */
export function serveAdmission(options: AdmissionOptions): Promise<() => Promise<void>> {
  const mayAsk = createRate(RATE);
  const { host, log, jobId } = options;
  return answerRequests(
    host,
    ADMISSION_PROTOCOL,
    { maxRequestBytes: MAX_REQUEST_BYTES, stallMs: STALL_MS },
    async (from, bytes) => {
      const answer = mayAsk(from) ? await admit(options, from, bytes) : refusal("RateLimited", "slow down");
      log.info({ jobId, from, ...answer }, "asked for admission");
      return encode(answer);
    },
  );
}

const refusal = (code: string, reason: string): Answer => ({ t: "refused", code, reason: reason.slice(0, MAX_REASON) });

async function admit(options: AdmissionOptions, from: Hex, bytes: Uint8Array): Promise<Answer> {
  const { chain, jobId, allow, requirements } = options;
  const request = requestSchema.parse(decode(bytes));
  if (toHex(request.job) !== jobId) return refusal("NotMyJob", "this node does not admit workers to that job");
  const { spec, state } = await chain.job(jobId);
  if (state.phase !== JobPhase.OPEN) return refusal("NotOpen", "the job takes no more workers");
  if (allow !== undefined && !allow.includes(from)) return refusal("NotListed", "the worker is not on the job's list");
  const reputation = await chain.reputation(from);
  const unmet = unmetRequirements(requirements, decodeCapabilities(request.capabilities), reputation);
  if (unmet.length > 0) return refusal("RequirementsNotMet", unmet.join("; "));
  // Nobody can join after that.
  const expiry = phaseEnd(spec, state);
  const signature = await chain.signAdmit({ jobId, worker: from, expiry: BigInt(expiry) });
  return { t: "admitted", expiry, signature: fromHex(signature) };
}

export interface AskAdmissionOptions {
  readonly host: Host;
  readonly chain: Pick<Chain, "address" | "now" | "recoverAdmit">;
  readonly job: ChainJob;
  readonly capabilities: Capabilities;
  readonly signal: AbortSignal;
}

/**
 * The admitter's signature for this worker; undefined where everybody may join.
 * @throws SkyNetError `NotAdmitted`, `BadAdmission`; NetworkError when the admitter does not answer
 */
export async function askAdmission(options: AskAdmissionOptions): Promise<Admission | undefined> {
  const { host, chain, job, capabilities, signal } = options;
  const { admitter } = job.spec;
  if (admitter === zeroAddress) return undefined;
  const request = encode({ v: 1, job: fromHex(job.jobId), capabilities: encodeCapabilities(capabilities) });
  const limits = { timeoutMs: ANSWER_MS, maxAnswerBytes: MAX_ANSWER_BYTES, signal };
  const answer = parseAnswer(await ask(host, admitter, ADMISSION_PROTOCOL, request, limits));
  if (answer.t === "refused")
    throw new SkyNetError("NotAdmitted", `the job's admitter refuses this worker (${answer.code}): ${answer.reason}`);
  const admission = { expiry: BigInt(answer.expiry), signature: toHex(answer.signature) };
  const message = { jobId: job.jobId, worker: chain.address, expiry: admission.expiry };
  const signer = await chain.recoverAdmit(message, admission.signature).catch(() => undefined);
  if (signer !== admitter || answer.expiry <= (await chain.now())) throw badAdmission();
  return admission;
}

function parseAnswer(bytes: Uint8Array): Answer {
  try {
    return answerSchema.parse(decode(bytes));
  } catch (cause) {
    throw badAdmission(cause);
  }
}

const badAdmission = (cause?: unknown) =>
  new SkyNetError("BadAdmission", "the answer of the job's admitter is not an admission for this worker", { cause });
