import { ChainError, rawCallOf, type Call, type Chain, type RoutedChain, type WriteOptions } from "@skynet/contracts";
import { ask, NetworkError, type Host } from "@skynet/network";
import { SkyNetError, type Hex } from "@skynet/protocol";
import type { Log } from "@skynet/swarm";
import { systemClock } from "../runtime/clock.ts";
import { covers } from "./calls.ts";
import { hasTakenEffect } from "./effect.ts";
import { SponsorError } from "./errors.ts";
import { SponsorFinder } from "./finding.ts";
import { decodeAnswer, encodeRequest, MAX_ANSWER_BYTES, SPONSOR_PROTOCOL } from "./messages.ts";

/** Who pays the gas of a worker: sponsors whenever the own wallet or the job says so, always sponsors first, or never. */
export type GasMode = "auto" | "sponsor" | "own";

export interface GasOptions {
  readonly host: Host;
  readonly chain: Chain;
  readonly log: Log;
  readonly mode: GasMode;
  /** Longest wait for the answer of a sponsor, which comes when the transaction is in a block; 20 s. */
  readonly answerMs?: number;
  /** Told about every call that a sponsor has paid. */
  readonly onSponsored?: (event: { readonly call: string; readonly sponsor: Hex; readonly hash: Hex }) => void;
  readonly signal: AbortSignal;
}

const ANSWER_MS = 20_000;
/** The own endpoint may see a block a little later than the sponsor's. */
const SEEN_MS = 6000;
const SEEN_POLL_MS = 300;

/** A worker's chain, whose writes are paid by sponsors where needed. */
export interface GasPayment {
  readonly chain: RoutedChain;
  /** The same for calls about the own account that belong to a job: its sponsors pay for them. */
  chainFor(job: Hex): RoutedChain;
}

/**
 * Routes the writes of a worker: through its own wallet, or as signed calls through a sponsor. No sponsor is believed:
 * what one says is looked up on the chain, and the next one is asked when it is not so.
 */
export function createGasPayment(options: GasOptions): GasPayment {
  const router = new GasRouter(options);
  const routed = (job?: Hex) => options.chain.routed((call, write) => router.send(call, job, write));
  return { chain: routed(), chainFor: routed };
}

/** What one sponsor made of a call; `refusal` is what the own endpoint says about the call afterwards. */
interface Attempt {
  readonly done: boolean;
  readonly reason: string;
}

class GasRouter {
  readonly #o: GasOptions;
  readonly #finder: SponsorFinder;

  constructor(options: GasOptions) {
    this.#o = options;
    this.#finder = new SponsorFinder(options.host, options.chain);
  }

  async send(call: Call, context: Hex | undefined, { signal }: WriteOptions = {}): Promise<void> {
    const { chain } = this.#o;
    const job = call.address === chain.addresses.jobBoard ? (call.args[0] as Hex) : context;
    const hasMoney = this.#o.mode === "own" || (await chain.gasBalance()) > 0n;
    const ownFirst = hasMoney && !(await this.#prefersSponsors(job));
    if (ownFirst) {
      try {
        return void (await chain.forward(rawCallOf(call), { signal }));
      } catch (error) {
        if (this.#o.mode === "own" || !(error instanceof ChainError && error.code === "NoGasMoney")) throw error;
      }
    }
    const form = job === undefined ? undefined : await chain.signedForm(call);
    const reasons = form === undefined ? [] : await this.#bySponsors(form, job!, signal);
    if (reasons === "done") return;
    if (!ownFirst && hasMoney) return this.#byOwnWallet(form ?? call, signal);
    throw noSponsor(chain.address, reasons);
  }

  async #prefersSponsors(job: Hex | undefined): Promise<boolean> {
    if (this.#o.mode === "own" || job === undefined) return false;
    return this.#o.mode === "sponsor" || this.#finder.isSponsored(job);
  }

  async #byOwnWallet(form: Call, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#o.chain.forward(rawCallOf(form), { signal });
    } catch (error) {
      // a sponsor that did not answer may have sent it
      if (!(error instanceof ChainError && (await hasTakenEffect(this.#o.chain, form, error)))) throw error;
    }
  }

  /** @returns why no sponsor has done it, or that it is done; @throws ChainError when the contract refuses the call */
  async #bySponsors(form: Call, job: Hex, signal: AbortSignal | undefined): Promise<string[] | "done"> {
    const reasons: string[] = [];
    const sponsors = await this.#finder.sponsorsFor(job);
    if (sponsors.length === 0 && (await this.#isDone(form))) return "done";
    for (const sponsor of sponsors) {
      const { done, reason } = await this.#by(sponsor, form, job, signal);
      if (done) return "done";
      this.#o.log.warn({ sponsor, call: form.functionName, reason }, "a sponsor did not pay");
      reasons.push(`${sponsor}: ${reason}`);
      // whatever the sponsor says: has it happened, and would the contract still take it?
      if (await this.#isDone(form)) return "done";
    }
    return reasons;
  }

  /** @throws ChainError when the contract refuses the call for another reason than that it is done */
  async #isDone(form: Call): Promise<boolean> {
    try {
      await this.#o.chain.simulate(rawCallOf(form));
      return false;
    } catch (error) {
      if (error instanceof ChainError && (await hasTakenEffect(this.#o.chain, form, error))) return true;
      throw error;
    }
  }

  async #by(sponsor: Hex, form: Call, job: Hex, signal: AbortSignal | undefined): Promise<Attempt> {
    const { host, answerMs: timeoutMs = ANSWER_MS } = this.#o;
    const call = rawCallOf(form);
    try {
      const request = encodeRequest({ job, call });
      const timing = { timeoutMs, maxAnswerBytes: MAX_ANSWER_BYTES, signal: signal ?? this.#o.signal };
      const answer = decodeAnswer(await ask(host, sponsor, SPONSOR_PROTOCOL, request, timing));
      if (answer.t === "refused") return { done: false, reason: `${answer.reason} (${answer.code})` };
      if (await this.#isInBlock(answer.hash, form)) {
        this.#o.onSponsored?.({ call: form.functionName, sponsor, hash: answer.hash });
        return { done: true, reason: "" };
      }
      this.#finder.distrust(sponsor);
      return { done: false, reason: `it named transaction ${answer.hash}, which does not do it` };
    } catch (error) {
      this.#o.signal.throwIfAborted();
      signal?.throwIfAborted();
      if (!(error instanceof NetworkError || error instanceof SponsorError)) throw error;
      return { done: false, reason: error.message };
    }
  }

  /** Whether the transaction is in a block, has succeeded, and contains the call. */
  async #isInBlock(hash: Hex, form: Call): Promise<boolean> {
    const { chain } = this.#o;
    const untilMs = Date.now() + SEEN_MS;
    while (true) {
      const mined = await chain.minedTransaction(hash);
      if (mined !== undefined) return mined.success && covers(chain.addresses, mined, rawCallOf(form));
      if (Date.now() > untilMs) return false;
      await systemClock.sleep(SEEN_POLL_MS, this.#o.signal);
    }
  }
}

function noSponsor(address: Hex, reasons: readonly string[]): SkyNetError {
  const asked = reasons.length === 0 ? "no sponsor is known" : `sponsors refused: ${reasons.join("; ")}`;
  return new SponsorError("NoSponsor", `the wallet ${address} has too little ether for gas, and ${asked}`, {
    hint: `send a little ether to ${address}; or connect to a relay that runs with --sponsor, or take jobs whose file says gas: sponsored`,
  });
}
