import { answerRequests, type Host } from "@skynet/network";
import { SkyNetError, type Hex } from "@skynet/protocol";
import type { Log } from "@skynet/swarm";
import type { Chain } from "@skynet/contracts";
import { systemClock } from "../runtime/clock.ts";
import { Batches, type BatchFigures } from "./batches.ts";
import { Budget, type BudgetLimits } from "./budget.ts";
import { gasCapOf, parseCall } from "./calls.ts";
import { checkEntitlement, type ChoosesJob } from "./entitlement.ts";
import { SponsorError } from "./errors.ts";
import { NEWCOMER_GAS } from "./limits.ts";
import { decodeRequest, encodeAnswer, MAX_REQUEST_BYTES, SPONSOR_PROTOCOL, type SponsorAnswer } from "./messages.ts";
import { createRate } from "./rate.ts";
import { checkSignatures } from "./signatures.ts";

export interface SponsorOptions {
  readonly host: Host;
  /** Pays; its own transactions go on in the same order of nonces. */
  readonly chain: Chain;
  readonly log: Log;
  /** Where the spent gas is kept. */
  readonly file: string;
  readonly chooses: ChoosesJob;
  readonly limits?: Partial<SponsorLimits>;
  readonly signal: AbortSignal;
}

export interface SponsorLimits extends BudgetLimits {
  /** How long a call waits for others of its kind, milliseconds. */
  readonly windowMs: number;
  /** Requests of one peer: at once, and for each second after that. */
  readonly burst: number;
  readonly perSecond: number;
  /** Requests that are worked on, of everybody and of one peer. */
  readonly maxOpen: number;
  readonly maxOpenEach: number;
}

/** Gas for some 150 proofs a day, of which one worker can have a fifth in one job. */
export const SPONSOR_LIMITS: SponsorLimits = {
  dayGas: 200_000_000n,
  jobGas: 200_000_000n,
  workerGas: 40_000_000n,
  newcomerGas: NEWCOMER_GAS,
  windowMs: 700,
  burst: 40,
  perSecond: 4,
  maxOpen: 128,
  maxOpenEach: 16,
};

const STALL_MS = 10_000;
const CLEAR_POLL_MS = 500;
/** How long a sponsor that goes waits for the last requests: workers draw their pay when the job is settled. */
const QUIET_MS = 4000;
const LINGER_MS = 20_000;

export interface Sponsor {
  readonly figures: BatchFigures;
  /** Serves on until nobody has asked for a while. */
  linger(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Serves `/skynet/sponsor/1`: checks signed calls of workers, gathers those of one kind and job, sends them and pays.
 * What was paid is never paid twice: calls work once on the chain, each is simulated first, and after a restart nothing
 * is taken before the transactions of the last life are in blocks.
 * @throws FileError `BrokenBudgetFile`
 */
export async function startSponsor(options: SponsorOptions): Promise<Sponsor> {
  const service = new SponsorService(options, await openBudget(options));
  const stop = await answerRequests(
    options.host,
    SPONSOR_PROTOCOL,
    { maxRequestBytes: MAX_REQUEST_BYTES, stallMs: STALL_MS },
    async (from, bytes) => encodeAnswer(await service.answer(from, bytes)),
  );
  return {
    get figures() {
      return service.figures;
    },
    linger: () => service.linger(),
    stop,
  };
}

const limitsOf = ({ limits }: SponsorOptions): SponsorLimits => ({ ...SPONSOR_LIMITS, ...limits });
const openBudget = (options: SponsorOptions) => Budget.open(options.file, limitsOf(options));

class SponsorService {
  readonly #o: SponsorOptions;
  readonly #limits: SponsorLimits;
  readonly #budget: Budget;
  readonly #batches: Batches;
  readonly #mayAsk: (from: Hex) => boolean;
  readonly #open = new Map<Hex, number>();
  #clear = false;
  #lastMs = Date.now();

  constructor(options: SponsorOptions, budget: Budget) {
    this.#o = options;
    this.#limits = limitsOf(options);
    this.#budget = budget;
    this.#mayAsk = createRate(this.#limits);
    this.#batches = new Batches({
      chain: options.chain,
      windowMs: this.#limits.windowMs,
      signal: options.signal,
      save: () => budget.save(),
    });
    void this.#awaitClear();
  }

  get figures(): BatchFigures {
    return this.#batches.figures;
  }

  async linger(): Promise<void> {
    const startedMs = Date.now();
    this.#lastMs = startedMs;
    const isQuiet = () => this.#open.size === 0 && Date.now() - this.#lastMs > QUIET_MS;
    while (!isQuiet() && Date.now() - startedMs < LINGER_MS) await systemClock.sleep(200, this.#o.signal);
  }

  /** Transactions of an earlier life of this node may do what is asked for now. */
  async #awaitClear(): Promise<void> {
    while (!this.#o.signal.aborted && !this.#clear) {
      this.#clear = await this.#o.chain.pendingTransactions().then(
        (pending) => pending === 0,
        () => false,
      );
      if (!this.#clear) await systemClock.sleep(CLEAR_POLL_MS, this.#o.signal).catch(() => undefined);
    }
  }

  async answer(from: Hex, bytes: Uint8Array): Promise<SponsorAnswer> {
    this.#lastMs = Date.now();
    try {
      this.#admit(from);
      this.#open.set(from, (this.#open.get(from) ?? 0) + 1);
      try {
        return { t: "sent", hash: await this.#process(from, bytes) };
      } finally {
        this.#leave(from);
      }
    } catch (error) {
      const { code, reason } = refusalOf(error);
      this.#o.log.debug({ from, code, reason }, "not sponsored");
      return { t: "refused", code, reason };
    }
  }

  #admit(from: Hex): void {
    const { maxOpen, maxOpenEach } = this.#limits;
    if (!this.#mayAsk(from)) throw new SponsorError("RateLimited", "too many requests; slow down");
    const all = this.#open.values().reduce((sum, count) => sum + count, 0);
    if (all >= maxOpen || (this.#open.get(from) ?? 0) >= maxOpenEach)
      throw new SponsorError("Busy", "the sponsor has enough to do; ask again in a moment");
    if (!this.#clear)
      throw new SponsorError("Busy", "transactions from before a restart are on their way; ask again in a moment");
  }

  #leave(from: Hex): void {
    this.#lastMs = Date.now();
    const left = (this.#open.get(from) ?? 1) - 1;
    if (left === 0) this.#open.delete(from);
    else this.#open.set(from, left);
  }

  async #process(from: Hex, bytes: Uint8Array): Promise<Hex> {
    const { chain, chooses, log } = this.#o;
    const request = decodeRequest(bytes);
    const call = parseCall(chain.addresses, request.call);
    const job = await checkEntitlement(chain, chooses, from, request, call);
    await checkSignatures({ chain, job }, call);
    const estimate = await chain.estimateGas(call.raw);
    if (estimate > gasCapOf(call))
      throw new SponsorError("TooDear", `${call.functionName} would take ${estimate} gas, more than it should`);
    const newcomerOf = job.state.workers.includes(from) ? undefined : job.spec.seats;
    const settle = this.#budget.reserve({ worker: from, job: request.job, newcomerOf }, estimate);
    const hash = await this.#batches.add({ call, settle });
    log.info({ from, job: request.job, call: call.functionName, hash }, "sponsored");
    return hash;
  }
}

/** What the peer is told: the contract's code, the own one, or that this sponsor cannot. */
function refusalOf(error: unknown): { code: string; reason: string } {
  if (error instanceof SkyNetError && !["NoGasMoney", "ChainUnreachable"].includes(error.code))
    return { code: error.code, reason: error.message };
  return { code: "SponsorFailed", reason: "the sponsor cannot send transactions at present" };
}
