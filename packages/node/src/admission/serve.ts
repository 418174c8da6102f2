import { randomBytes } from "node:crypto";
import type { Chain } from "@skynet/contracts";
import { answerRequests, type Host } from "@skynet/network";
import { fromHex, JobPhase, phaseEnd, toHex, type Hex } from "@skynet/protocol";
import {
  decodeCapabilities,
  unmetRequirements,
  type Log,
  type ModelShape,
  type ProofShape,
  type Requirements,
  type Trainer,
} from "@skynet/swarm";
import { createRate } from "../sponsor/rate.ts";
import { checkSolution } from "./challenge.ts";
import {
  ADMISSION_PROTOCOL,
  decodeRequest,
  encodeAnswer,
  MAX_REQUEST_BYTES,
  provenStepOf,
  refusal,
  type AdmissionAnswer,
  type AdmissionRequest,
} from "./messages.ts";

const STALL_MS = 10_000;
/** Of one worker: at once, and for each second after that. */
const RATE = { burst: 6, perSecond: 0.2 };
/** Workers that are challenged, or have passed, at a time; and proofs that are checked. */
const MAX_WORKERS = 1024;
const MAX_CHECKS = 4;

/** A worker must show that it can prove a step of the job's model in this time. */
export interface ChallengeOptions {
  readonly seconds: number;
  /** Holds the job's model. */
  readonly trainer: Trainer;
  readonly shape: ModelShape & { readonly proof: ProofShape };
  readonly batchSize: number;
}

export interface AdmissionOptions {
  readonly host: Host;
  /** Of the job's admitter. */
  readonly chain: Pick<Chain, "chainId" | "job" | "reputation" | "signAdmit">;
  readonly log: Log;
  readonly jobId: Hex;
  /** Workers that are admitted; undefined: all that meet the requirements. */
  readonly allow: readonly Hex[] | undefined;
  readonly requirements: Requirements;
  readonly challenge?: ChallengeOptions | undefined;
}

/**
 * Admits workers to one job while it is open: by its list, its requirements, and a proof that a worker makes in time.
 * Admissions are signatures and no state: a node that was started again serves on.
 * @returns function that ends it
 */
export function serveAdmission(options: AdmissionOptions): Promise<() => Promise<void>> {
  const service = new AdmissionService(options);
  const { host, log, jobId } = options;
  return answerRequests(
    host,
    ADMISSION_PROTOCOL,
    { maxRequestBytes: MAX_REQUEST_BYTES, stallMs: STALL_MS },
    async (from, bytes) => {
      const answer = await service.answer(from, bytes);
      log.info({ jobId, from, t: answer.t, ...(answer.t === "refused" ? answer : {}) }, "asked for admission");
      return encodeAnswer(answer);
    },
  );
}

class AdmissionService {
  readonly #o: AdmissionOptions;
  readonly #mayAsk = createRate(RATE);
  readonly #challenged = new Map<Hex, { readonly nonce: Uint8Array; readonly atMs: number }>();
  readonly #passed = new Set<Hex>();
  #checks = 0;

  constructor(options: AdmissionOptions) {
    this.#o = options;
  }

  /** @throws SkyNetError `Malformed` */
  async answer(from: Hex, bytes: Uint8Array): Promise<AdmissionAnswer> {
    const nowMs = Date.now();
    if (!this.#mayAsk(from)) return refusal("RateLimited", "slow down");
    const request = decodeRequest(bytes);
    const { chain, jobId, challenge } = this.#o;
    if (toHex(request.job) !== jobId) return refusal("NotMyJob", "this node does not admit workers to that job");
    const { spec, state } = await chain.job(jobId);
    if (state.phase !== JobPhase.OPEN) return refusal("NotOpen", "the job takes no more workers");
    const refused = await this.#refusalOf(from, request);
    if (refused !== undefined) return refused;
    if (challenge !== undefined && !this.#passed.has(from)) {
      if (request.t === "apply") return { t: "prove" };
      if (request.t === "challenge") return this.#challenge(from, challenge);
      const failed = await this.#check(from, request, { challenge, modelId: spec.modelId, nowMs });
      if (failed !== undefined) return failed;
    }
    // Nobody can join after that.
    const expiry = phaseEnd(spec, state);
    const signature = await chain.signAdmit({ jobId, worker: from, expiry: BigInt(expiry) });
    return { t: "admitted", expiry, signature: fromHex(signature) };
  }

  async #refusalOf(from: Hex, { capabilities }: AdmissionRequest): Promise<AdmissionAnswer | undefined> {
    const { chain, allow, requirements } = this.#o;
    if (allow !== undefined && !allow.includes(from))
      return refusal("NotListed", "the worker is not on the job's list");
    const unmet = unmetRequirements(requirements, decodeCapabilities(capabilities), await chain.reputation(from));
    return unmet.length > 0 ? refusal("RequirementsNotMet", unmet.join("; ")) : undefined;
  }

  /** A new challenge takes the place of an earlier one: only the latest can be answered. */
  #challenge(from: Hex, { seconds }: ChallengeOptions): AdmissionAnswer {
    const nonce = new Uint8Array(randomBytes(32));
    this.#challenged.delete(from);
    if (this.#challenged.size >= MAX_WORKERS) this.#challenged.delete(this.#challenged.keys().next().value!);
    this.#challenged.set(from, { nonce, atMs: Date.now() });
    return { t: "challenge", nonce, seconds };
  }

  async #check(
    from: Hex,
    request: Extract<AdmissionRequest, { t: "proof" }>,
    { challenge, modelId, nowMs }: { challenge: ChallengeOptions; modelId: Hex; nowMs: number },
  ): Promise<AdmissionAnswer | undefined> {
    const { chain, jobId } = this.#o;
    const asked = this.#challenged.get(from);
    if (asked === undefined) return refusal("NotChallenged", "there is no challenge that this could answer");
    if (this.#checks >= MAX_CHECKS) return refusal("Busy", "other proofs are being checked; ask again in a moment");
    this.#challenged.delete(from);
    const neededMs = nowMs - asked.atMs;
    if (neededMs > challenge.seconds * 1000)
      return refusal("TooSlow", `the proof took ${(neededMs / 1000).toFixed(1)} s; ${challenge.seconds} s are allowed`);
    this.#checks++;
    try {
      const { trainer, shape, batchSize } = challenge;
      const terms = { chainId: chain.chainId, jobId, worker: from, nonce: asked.nonce };
      const step = provenStepOf(request);
      if (!(await checkSolution(trainer, shape, { batchSize, modelId }, terms, step)))
        return refusal("WrongProof", "the proof does not answer the challenge");
    } finally {
      this.#checks--;
    }
    if (this.#passed.size < MAX_WORKERS) this.#passed.add(from);
    return undefined;
  }
}
