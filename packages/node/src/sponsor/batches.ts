import { ChainError, type Chain } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { systemClock } from "../runtime/clock.ts";
import { batchKeyOf, isList, mergeCalls, type SponsorCall } from "./calls.ts";

/** A call that has been checked, and what has been set aside for it. */
export interface Checked {
  readonly call: SponsorCall;
  /** Puts the gas that was really used in the place of what was set aside. */
  readonly settle: (used: bigint) => void;
}

interface Waiting extends Checked {
  readonly sent: PromiseWithResolvers<Hex>;
}

export interface BatchFigures {
  /** Calls that came. */
  readonly actions: number;
  readonly transactions: number;
  readonly gas: bigint;
}

interface BatchTools {
  readonly chain: Pick<Chain, "forward">;
  /** How long a call waits for others of its kind, milliseconds. */
  readonly windowMs: number;
  readonly signal: AbortSignal;
  /** Called before a transaction leaves and after it has come back. */
  readonly save: () => Promise<void>;
}

/** Keeps a transaction of joins, the dearest of them, below 10 M gas: see docs/gas.md. */
const MAX_CALLS = 64;

/**
 * Collects calls of one kind and job for a moment and sends them as one transaction. Of each kind and job one
 * transaction is on its way at a time, so the next one is simulated in the state that it leaves.
 */
export class Batches {
  readonly #tools: BatchTools;
  readonly #queues = new Map<string, Waiting[]>();
  /** By calldata: a call that is asked for twice is sent once. */
  readonly #onTheWay = new Map<string, Promise<Hex>>();
  #actions = 0;
  #transactions = 0;
  #gas = 0n;

  constructor(tools: BatchTools) {
    this.#tools = tools;
  }

  get figures(): BatchFigures {
    return { actions: this.#actions, transactions: this.#transactions, gas: this.#gas };
  }

  /** @returns hash of the transaction, once it is in a block; @throws ChainError when the contract refuses the call */
  add(checked: Checked): Promise<Hex> {
    this.#actions++;
    const { to, data } = checked.call.raw;
    const same = this.#onTheWay.get(to + data);
    if (same !== undefined) {
      checked.settle(0n);
      return same;
    }
    const sent = Promise.withResolvers<Hex>();
    const forget = () => this.#onTheWay.delete(to + data);
    this.#onTheWay.set(to + data, sent.promise);
    sent.promise.then(forget, forget);
    const key = batchKeyOf(checked.call);
    const queue = this.#queues.get(key);
    if (queue === undefined) void this.#run(key, [{ ...checked, sent }]);
    else queue.push({ ...checked, sent });
    return sent.promise;
  }

  async #run(key: string, queue: Waiting[]): Promise<void> {
    this.#queues.set(key, queue);
    while (queue.length > 0) {
      if (isList(queue[0]!.call))
        await systemClock.sleep(this.#tools.windowMs, this.#tools.signal).catch(() => undefined);
      const batch = queue.splice(0, MAX_CALLS);
      await this.#send(batch).catch((error: unknown) => this.#fail(batch, error));
    }
    this.#queues.delete(key);
  }

  #fail(batch: readonly Waiting[], error: unknown): void {
    const gas = error instanceof ChainError ? error.gasUsed : 0n;
    this.#gas += gas;
    for (const { settle, sent } of batch) {
      settle(gas / BigInt(batch.length));
      sent.reject(error);
    }
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    this.#tools.signal.throwIfAborted();
    const { chain, save } = this.#tools;
    await save();
    try {
      const { transactionHash, gasUsed } = await chain.forward(mergeCalls(batch.map(({ call }) => call)));
      this.#transactions++;
      this.#gas += gasUsed;
      for (const { settle, sent } of batch) {
        settle(gasUsed / BigInt(batch.length));
        sent.resolve(transactionHash);
      }
    } catch (error) {
      if (batch.length === 1 || !isRefusal(error)) throw error;
      this.#gas += error.gasUsed;
      await this.#sendOneByOne(batch);
    } finally {
      await save();
    }
  }

  /** One bad call makes a whole batch fail: the others go without it. */
  async #sendOneByOne(batch: readonly Waiting[]): Promise<void> {
    for (const one of batch) await this.#send([one]).catch((error: unknown) => this.#fail([one], error));
  }
}

/** Whether the contract has refused, and not the wallet or the way to the chain. */
function isRefusal(error: unknown): error is ChainError {
  return error instanceof ChainError && error.code !== "NoGasMoney";
}
