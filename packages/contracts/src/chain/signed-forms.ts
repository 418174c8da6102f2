import type { Hex } from "@skynet/protocol";
import { keccak256, zeroHash } from "viem";
import { ChainError } from "../errors.ts";
import { signAccountMessage, type AccountMessageKind } from "./account-signatures.ts";
import { jobBoardAbi, ledgerAbi, workerRegistryAbi } from "./abi.ts";
import type { ReadContext } from "./reads.ts";
import { signJobMessage } from "./signatures.ts";
import type { Call } from "./transactions.ts";
import type { Chain } from "./types.ts";

/**
 * Functions that anybody may send, because their arguments carry the signature or the proof of whom they concern, or
 * because they do good to everybody. By contract.
 */
export const forwardable = {
  jobBoard: [
    "joinFor",
    "ready",
    "commitFor",
    "abstainFor",
    "leaveFor",
    "attest",
    "draw",
    "prove",
    "merge",
    "mergeProven",
    "tick",
    "claim",
    "claimHold",
    "release",
  ],
  workerRegistry: [
    "registerFor",
    "setCapabilitiesFor",
    "setPayoutFor",
    "addStakeFor",
    "beginUnstakeFor",
    "finishUnstake",
    "bumpEpochFor",
  ],
  ledger: ["depositFor", "withdrawFor"],
} as const;

/** Seconds for which a signed action of an account is valid: whoever does not send it soon shall not send it at all. */
const VALID_SECONDS = 600n;
/** A join that comes late can find a worker that has gone on to another job. */
const JOIN_VALID_SECONDS = 120n;

interface Permit {
  readonly deadline: bigint;
  readonly v: number;
  readonly r: Hex;
  readonly s: Hex;
}

const NO_PERMIT: Permit = { deadline: 0n, v: 0, r: zeroHash, s: zeroHash };

type Args = readonly unknown[];
/** Takes the arguments of the function that the account would call. */
type Form = (...args: never[]) => Promise<Call | undefined>;

/** The account's own actions, by the name of the function that it would call itself. */
export function createSignedForms(
  context: ReadContext,
  chain: Pick<Chain, "job" | "now" | "worker" | "balances">,
): (call: Call) => Promise<Call | undefined> {
  const { connection, addresses, chainId, address } = context;
  const domain = { chainId, jobBoard: addresses.jobBoard };
  const board = (functionName: string, args: Args): Call => ({
    address: addresses.jobBoard,
    abi: jobBoardAbi,
    functionName,
    args,
  });
  const registry = (functionName: string, args: Args): Call => ({
    address: addresses.workerRegistry,
    abi: workerRegistryAbi,
    functionName,
    args,
  });
  const ledger = (functionName: string, args: Args): Call => ({
    address: addresses.ledger,
    abi: ledgerAbi,
    functionName,
    args,
  });
  const expiryIn = async (seconds: bigint) => BigInt(await chain.now()) + seconds;
  const authorize = async (contract: Hex, kind: AccountMessageKind, message: Record<string, unknown>) => {
    const nonce = await connection.reach(() =>
      connection.publicClient.readContract({
        address: contract,
        abi: workerRegistryAbi,
        functionName: "nonces",
        args: [address],
      }),
    );
    const expiry = await expiryIn(VALID_SECONDS);
    const signed = { signer: address, ...message, nonce, expiry };
    const signature = await signAccountMessage(connection.account, { chainId, contract }, kind, signed);
    return { signer: address, nonce, expiry, signature };
  };
  const byRegistry = (kind: AccountMessageKind, message: Record<string, unknown>) =>
    authorize(addresses.workerRegistry, kind, message);
  const depositFor = async (token: Hex, to: Hex, amount: bigint, permit: Permit) =>
    ledger("depositFor", [
      token,
      to,
      amount,
      permit,
      await authorize(addresses.ledger, "Deposit", { token, to, amount }),
    ]);
  const seatOf = async (jobId: Hex) => {
    const { state } = await chain.job(jobId);
    const seat = state.workers.indexOf(address);
    if (seat < 0) throw new ChainError("NotSeat");
    return { seat, round: state.round };
  };

  const forms: Readonly<Record<string, Form>> = {
    register: async (publicKey: Hex, payout: Hex, capabilities: Hex) => {
      const message = { worker: address, payout, capsHash: keccak256(capabilities) };
      const at = { chainId, contract: addresses.workerRegistry };
      const signature = await signAccountMessage(connection.account, at, "Register", message);
      return registry("registerFor", [publicKey, payout, capabilities, signature]);
    },
    setCapabilities: async (capabilities: Hex) => {
      const by = await byRegistry("Capabilities", { worker: address, capsHash: keccak256(capabilities) });
      return registry("setCapabilitiesFor", [capabilities, by]);
    },
    setPayout: async (worker: Hex, payout: Hex) =>
      registry("setPayoutFor", [worker, payout, await byRegistry("Payout", { worker, payout })]),
    addStake: async (token: Hex, worker: Hex, amount: bigint) =>
      registry("addStakeFor", [token, worker, amount, await byRegistry("Stake", { token, worker, amount })]),
    beginUnstake: async (token: Hex, worker: Hex, amount: bigint) =>
      registry("beginUnstakeFor", [token, worker, amount, await byRegistry("Unstake", { token, worker, amount })]),
    bumpEpoch: async (worker: Hex) => registry("bumpEpochFor", [worker, await byRegistry("Epoch", { worker })]),
    deposit: (token: Hex, to: Hex, amount: bigint) => depositFor(token, to, amount, NO_PERMIT),
    depositWithPermit: (token: Hex, to: Hex, amount: bigint, deadline: bigint, v: number, r: Hex, s: Hex) =>
      depositFor(token, to, amount, { deadline, v, r, s }),
    withdraw: async (token: Hex, to: Hex, amount: bigint) => {
      // only everything to its owner needs no signature
      const all = to.toLowerCase() === address && (await chain.balances(token)).ledger === amount;
      return all ? ledger("withdrawFor", [token, address]) : undefined;
    },
    join: async (jobId: Hex, minPrice: bigint, admission: unknown) => {
      const { epoch } = await chain.worker(address);
      const acceptance = { jobId, worker: address, minPrice, expiry: await expiryIn(JOIN_VALID_SECONDS), epoch };
      const signature = await signJobMessage(connection.account, domain, "Accept", acceptance);
      return board("joinFor", [jobId, [acceptance], [signature], [admission]]);
    },
    commit: async (jobId: Hex, idEnd: Hex, stepsRoot: Hex) => {
      const { seat, round } = await seatOf(jobId);
      const message = { jobId, round, idEnd, stepsRoot };
      const signature = await signJobMessage(connection.account, domain, "Commit", message);
      return board("commitFor", [jobId, [{ seat, idEnd, stepsRoot }], [signature]]);
    },
    abstain: async (jobId: Hex, round: number) => {
      const { seat } = await seatOf(jobId);
      const signature = await signJobMessage(connection.account, domain, "Abstain", { jobId, round });
      return board("abstainFor", [jobId, round, seat, signature]);
    },
    leave: async (jobId: Hex) => {
      const { seat, round } = await seatOf(jobId);
      const signature = await signJobMessage(connection.account, domain, "Leave", { jobId, round });
      return board("leaveFor", [jobId, seat, signature]);
    },
  };
  return async (call) => {
    if (isForwardable(addresses, call)) return call;
    const own = [addresses.jobBoard, addresses.workerRegistry, addresses.ledger].includes(call.address);
    return own ? forms[call.functionName]?.(...(call.args as never[])) : undefined;
  };
}

function isForwardable(addresses: ReadContext["addresses"], { address, functionName }: Call): boolean {
  return Object.entries(forwardable).some(
    ([contract, names]) =>
      addresses[contract as keyof typeof forwardable] === address &&
      (names as readonly string[]).includes(functionName),
  );
}
