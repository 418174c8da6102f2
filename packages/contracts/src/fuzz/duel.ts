import { stepVerifiers } from "./job-terms.ts";
import type { Evm, ExpectedCall } from "./evm.ts";
import { Invariants } from "./invariants.ts";
import { everybody, people } from "./world.ts";
import type { Call, World } from "./world.ts";

/** One block of a trace. */
export interface TraceBlock {
  readonly time: number;
  readonly calls: readonly Call[];
}

/** Blocks between two comparisons of the storage that has changed; refusals are compared call by call. */
const STATE_CHECK = 2;
/** Blocks between two sums over all accounts. */
const MONEY_CHECK = 10;
const RICH = 10n ** 12n;

/** Everybody has money in the Ledger, most workers are registered with a stake, and there are verifiers. */
export function* opening(world: World): Generator<Call, undefined> {
  const allowance = (1n << 256n) - 1n;
  for (const { address } of everybody)
    for (const token of world.tokens) {
      yield world.tokenCall(address, token, "mint", address, RICH);
      yield world.tokenCall(address, token, "approve", world.env.addresses.ledger, allowance);
      yield world.call(address, "ledger", "deposit", token, address, RICH / 2n);
    }
  for (const [index, { address, publicKey }] of people.workers.slice(0, -2).entries()) {
    const payout = people.payouts[index]!.address;
    yield world.call(address, "workerRegistry", "register", publicKey, payout, "0x");
    for (const token of world.tokens)
      yield world.call(address, "workerRegistry", "addStake", token, address, RICH / 8n);
  }
  const someone = people.strangers[0]!.address;
  for (const description of stepVerifiers)
    yield world.call(someone, "verifierRegistry", "register", description, world.verifiers.plain, "");
  return undefined;
}

/** Plays calls in the model and on the chain, block by block. */
export class Duel {
  readonly world: World;
  readonly #evm: Evm;
  readonly #invariants: Invariants;
  readonly trace: TraceBlock[] = [];
  questions = 0;

  constructor(evm: Evm, world: World) {
    this.#evm = evm;
    this.world = world;
    this.#invariants = new Invariants(world);
  }

  /**
   * One block. `next` is asked for a call after the model has played the one before.
   * @throws UnexpectedResult, InvariantViolation, InvariantError
   */
  async block(
    time: number,
    next: () => Call | undefined,
    onResult: (call: Call, error?: string) => void = () => undefined,
  ): Promise<void> {
    const { world } = this;
    world.env.now = time;
    const calls: Call[] = [];
    const sent: ExpectedCall[] = [];
    this.trace.push({ time, calls });
    for (let call = next(); call !== undefined; call = next()) {
      calls.push(call);
      const refusal = world.play(call);
      sent.push(world.encode(call, refusal));
      onResult(call, refusal?.name);
    }
    const { number, hash } = await this.#evm.run([...sent, ...this.#questions()], time);
    world.env.mined(number, hash);
    if (this.trace.length % MONEY_CHECK === 0) this.#invariants.checkMoney();
  }

  #questions(): ExpectedCall[] {
    const questions = this.trace.length % STATE_CHECK === 0 ? this.world.checks() : [];
    this.questions += questions.length;
    return questions;
  }

  /** Compares the whole storage, and all sums. */
  async finish(): Promise<void> {
    const questions = this.world.allChecks();
    this.questions += questions.length;
    for (let from = 0; from < questions.length; from += 100)
      await this.#evm.run(questions.slice(from, from + 100), this.world.env.now);
    this.#invariants.checkMoney();
  }
}
