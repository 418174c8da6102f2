// A chain that compares many calls with a model in one transaction: fast enough for a hundred thousand of them in a test.
import { createHash } from "node:crypto";
import type { Hex } from "@skynet/protocol";
import { createWalletClient, decodeErrorResult, encodeFunctionData, http } from "viem";
import * as CallBatch from "../../generated/CallBatch.ts";
import * as Puppet from "../../generated/Puppet.ts";
import { startAnvil } from "../anvil.ts";
import { errorsAbi } from "../chain/abi.ts";
import { connect } from "../chain/connection.ts";
import { lower } from "../deployment/addresses.ts";
import { deploySkyNet } from "../deployment/deploy.ts";
import { testKey } from "../test-chain.ts";

/** Where EIP-2935 keeps old hashes; without it contracts see the last 256, which the model knows. */
const HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935";
const GENESIS = 1_800_000_000;
const BATCH_GAS = 2_000_000_000n;
/** Ether that puppets send along. */
const RUNNER_WEI = "0xffffffffffffffffffffff";
const BLOCK_GAS = 4_000_000_000n;

/** What the model says about a call. */
export interface ExpectedCall {
  readonly from: Hex;
  readonly to: Hex;
  readonly data: Hex;
  /** Wei that go with it. */
  readonly value?: bigint;
  readonly success: boolean;
  /** Compared when it is given: returned data of a success, reason of a refusal. */
  readonly answer?: Hex;
  /** Which cell of storage a question is about. */
  readonly about?: string;
}

/** A call ended otherwise than the model said, or a cell of storage has another value. */
export class UnexpectedResult extends Error {
  constructor(expected: ExpectedCall, index: number, success: boolean, answer: Hex) {
    const { about } = expected;
    const own = describeAnswer(expected.success, expected.answer ?? "0x");
    const difference =
      about === undefined
        ? `call ${index} of the block: the chain says ${describeAnswer(success, answer)}, the model ${own}`
        : `${about}: ${describeDifference(answer, expected.answer ?? "0x")}`;
    super(difference);
    this.name = "UnexpectedResult";
  }
}

/** The first words in which two answers differ. */
function describeDifference(actual: Hex, expected: Hex): string {
  const wordsOf = (hex: Hex) => hex.slice(2).match(/.{1,64}/g) ?? [];
  const [chain, model] = [wordsOf(actual), wordsOf(expected)];
  const differing = Array.from({ length: Math.max(chain.length, model.length) }, (_, i) => i)
    .filter((i) => chain[i] !== model[i])
    .slice(0, 4);
  const short = (word: string | undefined) => (word === undefined ? "nothing" : `0x${word.replace(/^0+(?=.)/, "")}`);
  return differing.map((i) => `word ${i} is ${short(chain[i])}, in the model ${short(model[i])}`).join("; ");
}

/** The name and the values of a contract's error, or the bytes. */
function describeAnswer(success: boolean, answer: Hex): string {
  if (success) return "yes";
  try {
    const { errorName, args = [] } = decodeErrorResult({ abi: errorsAbi, data: answer });
    return `${errorName}(${args.map(String).join(", ")})`;
  } catch {
    return answer;
  }
}

export interface BlockRef {
  readonly number: number;
  readonly hash: Hex;
}

export interface Evm {
  request(method: string, params: readonly unknown[]): Promise<unknown>;
  /** Puts a puppet at an address. */
  addPuppet(address: Hex): Promise<void>;
  latest(): Promise<BlockRef & { readonly time: number }>;
  create(initcode: Hex): Promise<Hex>;
  /**
   * All calls in one block with this time.
   * @throws UnexpectedResult at the first call that the model does not explain; the block then changes nothing
   */
  run(calls: readonly ExpectedCall[], time: number): Promise<BlockRef>;
  /** Returns a function that undoes everything that happens from here on; it works once. */
  snapshot(): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Native, and so faster than keccak256. */
const sha256 = (hex: Hex) =>
  createHash("sha256")
    .update(Buffer.from(hex.slice(2), "hex"))
    .digest("hex");
const hexOf = (value: number, bytes: number) => value.toString(16).padStart(2 * bytes, "0");

function pack(calls: readonly ExpectedCall[]): Hex {
  const parts = calls.map(({ from, to, data, value = 0n, success, answer }) => {
    const verdict = success ? (answer === undefined ? 0 : 1) : 2;
    const hash = answer === undefined ? "0".repeat(64) : sha256(answer);
    const wei = value.toString(16).padStart(24, "0");
    const size = hexOf(data.length / 2 - 1, 3);
    return from.slice(2) + to.slice(2) + hexOf(verdict, 1) + hash + wei + size + data.slice(2);
  });
  return `0x${parts.join("")}`;
}

/** Why a batch failed, by asking again: the state is as it was before. */
async function explain(
  request: Request,
  call: Record<string, unknown>,
  expected: readonly ExpectedCall[],
): Promise<unknown> {
  try {
    await request("eth_call", [call, "latest"]);
  } catch (error) {
    if (!(error instanceof RpcFailure) || typeof error.data !== "string") return error;
    const { args } = decodeErrorResult({ abi: CallBatch.abi, data: error.data as Hex });
    const index = Number(args[0]);
    return new UnexpectedResult(expected[index]!, index, args[1], args[2]);
  }
  return new Error("a batch of calls failed, and does not fail again");
}

type Receipt = Readonly<Record<"status" | "blockNumber" | "blockHash" | "contractAddress", Hex>>;

type Request = (method: string, params: readonly unknown[]) => Promise<unknown>;

/** An error that the chain answers with. `data` is what a contract reverted with. */
class RpcFailure extends Error {
  readonly data: unknown;

  constructor({ message, data }: { message: string; data?: unknown }) {
    super(message);
    this.name = "RpcFailure";
    this.data = data;
  }
}

/** Plain requests: a general client costs more than the calls. */
function requestsTo(url: string): Request {
  let id = 0;
  return async (method, params) => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params });
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const reply = (await response.json()) as { result?: unknown; error?: { message: string; data?: unknown } };
    if (reply.error !== undefined) throw new RpcFailure(reply.error);
    return reply.result;
  };
}

const gasSettings = ["--gas-limit", String(BLOCK_GAS), "--block-base-fee-per-gas", "0", "--gas-price", "0"];
/** Only the state counts: what happened in old blocks is forgotten. */
const memorySettings = ["--prune-history", "1", "--transaction-block-keeper", "64"];
const settings = ["--timestamp", String(GENESIS), "--no-request-size-limit", ...gasSettings, ...memorySettings];

/** A fresh chain in memory with the contracts of SkyNet; its blocks are the same every time. */
export async function startEvm(): Promise<Evm> {
  const anvil = await startAnvil({ blockTimeSeconds: 0, extraArguments: settings });
  const request = requestsTo(anvil.rpcUrl);
  const [sender] = (await request("eth_accounts", [])) as [Hex];
  const { publicClient } = await connect(anvil.rpcUrl, testKey(0));
  const transport = http(anvil.rpcUrl);
  const walletClient = createWalletClient({ chain: publicClient.chain, transport, account: sender });
  await request("anvil_setCode", [HISTORY, "0x"]);
  await deploySkyNet({ publicClient, walletClient });

  const gas = `0x${BATCH_GAS.toString(16)}`;
  await request("evm_setAutomine", [false]);
  const transact = async (params: Record<string, unknown>, time?: number) => {
    const hash = await request("eth_sendTransaction", [{ from: sender, gas, gasPrice: "0x0", ...params }]);
    await request("evm_mine", time === undefined ? [] : [time]);
    return (await request("eth_getTransactionReceipt", [hash])) as Receipt;
  };
  const create = async (data: Hex) => lower((await transact({ data })).contractAddress);
  const latest = async () => {
    const block = (await request("eth_getBlockByNumber", ["latest", false])) as Record<string, Hex>;
    return { number: Number(block["number"]), hash: block["hash"]!, time: Number(block["timestamp"]) };
  };
  const runner = await create(CallBatch.bytecode);
  const model = await create(Puppet.bytecode);
  await request("anvil_setBalance", [runner, RUNNER_WEI]);
  const puppetCode = await request("eth_getCode", [model, "latest"]);

  return {
    request,
    create,
    addPuppet: async (address) => {
      await request("anvil_setCode", [address, puppetCode]);
    },
    latest,
    run: async (calls, time) => {
      const data = encodeFunctionData({ abi: CallBatch.abi, functionName: "run", args: [pack(calls)] });
      const { status, blockNumber, blockHash } = await transact({ to: runner, data }, time);
      if (status !== "0x1") throw await explain(request, { from: sender, to: runner, data, gas }, calls);
      return { number: Number(blockNumber), hash: blockHash };
    },
    snapshot: async () => {
      const id = await request("evm_snapshot", []);
      return async () => {
        await request("evm_revert", [id]);
      };
    },
    close: () => anvil.stop(),
  };
}
