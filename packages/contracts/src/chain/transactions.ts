import type { Hex } from "@skynet/protocol";
import type { Abi, TransactionReceipt } from "viem";
import {
  BaseError,
  ContractFunctionRevertedError,
  encodeFunctionData,
  decodeErrorResult,
  InsufficientFundsError,
} from "viem";
import { ChainError, InsufficientBalance } from "../errors.ts";
import { errorsAbi } from "./abi.ts";
import type { Connection } from "./connection.ts";

/** A call of a contract function that changes state. */
export interface Call {
  readonly address: Hex;
  readonly abi: Abi;
  readonly functionName: string;
  readonly args: readonly unknown[];
  /** Wei that go with it. */
  readonly value?: bigint;
}

/** A call as a transaction carries it. */
export interface RawCall {
  readonly to: Hex;
  readonly data: Hex;
  /** Wei that go with it. */
  readonly value?: bigint;
}

export const rawCallOf = (call: Call): RawCall => ({
  to: call.address,
  data: encodeFunctionData(call),
  ...(call.value === undefined ? {} : { value: call.value }),
});

export interface WriteOptions {
  /** Stops waiting; a transaction that has been sent stays sent. */
  readonly signal?: AbortSignal | undefined;
}

export type Send = (call: Call, options?: WriteOptions) => Promise<TransactionReceipt>;
export type Forward = (call: RawCall, options?: WriteOptions) => Promise<TransactionReceipt>;

// The last commit or attestation of a round also closes it, which the estimate made a moment earlier may not show.
const GAS_MARGIN = 400_000n;
const gasLimitFor = (estimate: bigint) => (estimate * 3n) / 2n + GAS_MARGIN;

/** Error data somewhere in the chain of causes of an RPC error. */
function revertData(error: unknown): Hex | undefined {
  if (!(error instanceof BaseError)) return undefined;
  const found = error.walk((cause) => typeof dataOf(cause) === "string");
  return found === null ? undefined : dataOf(found);
}

function dataOf(error: unknown): Hex | undefined {
  if (error instanceof ContractFunctionRevertedError) return error.raw;
  if (typeof error !== "object" || error === null || !("data" in error)) return undefined;
  const { data } = error;
  return typeof data === "string" && /^0x[0-9a-f]{8}/i.test(data) ? (data as Hex) : undefined;
}

/** The typed form of what an RPC says about a refused call; other errors stay as they are. */
export function toChainError(error: unknown): unknown {
  const data = revertData(error);
  if (data !== undefined) return decodeRevert(data, error);
  if (!(error instanceof BaseError)) return error;
  if (error.walk((cause) => cause instanceof InsufficientFundsError) !== null)
    return new ChainError("NoGasMoney", [], error);
  const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
  return reverted === null ? error : new ChainError("Reverted", [error.shortMessage], error);
}

function decodeRevert(data: Hex, cause: unknown): ChainError {
  try {
    const { errorName, args } = decodeErrorResult({ abi: errorsAbi, data });
    const values = Array.isArray(args) ? args : [];
    if (errorName === "InsufficientBalance")
      return new InsufficientBalance(BigInt(values[0]), BigInt(values[1]), cause);
    return new ChainError(errorName, values, cause);
  } catch {
    return new ChainError("Reverted", [data], cause);
  }
}

/** Rejects when the signal aborts, whatever the promise does later. */
export async function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  // after an abort nobody waits for the promise, and its failure must not end the process
  promise.catch(() => undefined);
  signal.throwIfAborted();
  const settled = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: settled.signal });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    settled.abort();
  }
}

/**
 * Sends calls one after the other, so that nonces of one process never collide, and waits for their receipts in
 * parallel. Each call is simulated first: a refusal costs no gas and carries the name of its error.
 */
export function createForward({ publicClient, walletClient, account, reach }: Connection): Forward {
  let queue: Promise<unknown> = Promise.resolve();

  const submit = async (call: RawCall, signal: AbortSignal | undefined): Promise<Hex> => {
    signal?.throwIfAborted();
    try {
      const estimate = await publicClient.estimateGas({ account, ...call });
      const nonce = await publicClient.getTransactionCount({ address: account.address, blockTag: "pending" });
      return await walletClient.sendTransaction({ ...call, gas: gasLimitFor(estimate), nonce });
    } catch (error) {
      throw toChainError(error);
    }
  };

  const confirm = async (call: RawCall, hash: Hex): Promise<TransactionReceipt> => {
    const receipt = await publicClient.waitForTransactionReceipt({ hash });
    if (receipt.status === "success") return receipt;
    // somebody was faster: ask again for the reason, in the state in which the transaction failed
    const reason = await publicClient.call({ account, ...call, blockNumber: receipt.blockNumber }).then(
      () => new ChainError("Reverted", [hash]),
      (error: unknown) => toChainError(error),
    );
    if (reason instanceof ChainError) reason.gasUsed = receipt.gasUsed;
    throw reason;
  };

  return ({ to, data, value }, { signal } = {}) => {
    const call = { to, data, ...(value === undefined ? {} : { value }) };
    const submitted = queue.then(() => reach(() => submit(call, signal)));
    queue = submitted.catch(() => undefined);
    return abortable(
      submitted.then((hash) => reach(() => confirm(call, hash))),
      signal,
    );
  };
}

/** The same for calls by name. */
export function createSender(connection: Connection, forward = createForward(connection)): Send {
  return async (call, options) => forward(rawCallOf(call), options);
}
