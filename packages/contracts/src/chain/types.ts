import type { Hex, JobSpec, JobView } from "@skynet/protocol";
import type { TransactionReceipt } from "viem";
import type { SkyNetAddresses } from "../deployment/addresses.ts";
import type { ChainJobEvent, JobMoney } from "./events.ts";
import type { JobMessages } from "./signatures.ts";
import type { WriteOptions } from "./transactions.ts";

/** A job as the chain shows it. Addresses are lower-case; `state.workers` lists the seats in order. */
export interface ChainJob {
  readonly jobId: Hex;
  readonly spec: JobSpec;
  readonly state: JobView;
  /** id(W_round): the model that the present round starts from, and the result at the end. */
  readonly modelId: Hex;
  /** Decides which batch a worker trains on; zero until the seats are assigned. */
  readonly batchSeed: Hex;
}

export interface ChainWorker {
  readonly address: Hex;
  readonly registered: boolean;
  /** Uncompressed secp256k1 key without the leading 04, 64 bytes; undefined when not registered. */
  readonly publicKey: Hex | undefined;
  readonly payout: Hex | undefined;
  /** Counter that outstanding Accept signatures must name. */
  readonly epoch: number;
}

/** Units of one token that an account has in each place. */
export interface ChainBalances {
  /** In its own wallet. */
  readonly wallet: bigint;
  /** In the Ledger, ready to withdraw or to spend. */
  readonly ledger: bigint;
  readonly freeStake: bigint;
  /** In jobs. */
  readonly lockedStake: bigint;
  /** Stake that waits for the end of its unbonding. */
  readonly leavingStake: bigint;
}

export interface Admission {
  /** Unix seconds. */
  readonly expiry: bigint;
  readonly signature: Hex;
}

export interface SignedAcceptance {
  readonly acceptance: JobMessages["Accept"];
  readonly signature: Hex;
  readonly admission?: Admission | undefined;
}

export interface SignedCommitment {
  readonly seat: number;
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
  readonly signature: Hex;
}

export interface SignedSeat {
  readonly seat: number;
  readonly signature: Hex;
}

export interface SignedBitmap extends SignedSeat {
  readonly received: bigint;
}

export interface WatchOptions {
  /** Only this job. */
  readonly jobId?: Hex | undefined;
  /** First block to read; default: the next one. */
  readonly fromBlock?: bigint | undefined;
  /** `nextBlock` is where to resume after a restart. Awaited before the next poll. */
  readonly onEvents: (events: readonly ChainJobEvent[], nextBlock: bigint) => void | Promise<void>;
  /** Told about requests that failed; the watch goes on by itself. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Milliseconds between polls, default 500. */
  readonly intervalMs?: number | undefined;
  /** Blocks that must lie above an event before it is shown, default 0. */
  readonly confirmations?: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * One account's access to SkyNet on a chain. Amounts are units of a token, times unix seconds.
 *
 * Every write simulates first and waits for its receipt. Writes reject with `ChainError` (`code` is the name of the
 * Solidity error), `InsufficientBalance` or `ChainUnreachable`; reads with `ChainUnreachable`. Writes of one Chain may
 * run concurrently.
 */
export interface Chain {
  readonly chainId: number;
  /** Lower-case address of the account. */
  readonly address: Hex;
  readonly addresses: SkyNetAddresses;
  readonly rpcUrl: string;

  /** Puts the contracts on the chain if they are not there; anybody may. */
  deploy(): Promise<void>;
  /** @throws NotDeployedError `NotDeployed` */
  assertDeployed(): Promise<void>;

  /** Timestamp of the latest block. */
  now(): Promise<number>;
  blockNumber(): Promise<bigint>;
  /** Gas money of an account, in wei. */
  gasBalance(address?: Hex): Promise<bigint>;
  /** @throws ChainError `UnknownJob` */
  job(jobId: Hex): Promise<ChainJob>;
  /** Jobs in the order of posting. */
  jobIds(range?: { fromBlock?: bigint; requester?: Hex }): Promise<Hex[]>;
  /** Metadata that was published with a job. @throws ChainError `UnknownJob` */
  meta(jobId: Hex): Promise<Uint8Array>;
  /** Price of the rising clock, at `at` or now. */
  priceAt(jobId: Hex, at?: number): Promise<bigint>;
  /** keccak256(abi.encode(round, idEnd, stepsRoot)) of the seat's latest commit. */
  commitHash(jobId: Hex, seat: number): Promise<Hex>;
  worker(address: Hex): Promise<ChainWorker>;
  /** Of this account, or of another one. */
  balances(token: Hex, address?: Hex): Promise<ChainBalances>;
  /** Id that the next post of this account with these terms will get. */
  nextJobId(spec: JobSpec): Promise<Hex>;
  events(range?: { jobId?: Hex; fromBlock?: bigint; toBlock?: bigint }): Promise<ChainJobEvent[]>;
  /** Polls for events until the signal aborts; resolves then. Survives an unreachable endpoint. */
  watch(options: WatchOptions): Promise<void>;
  money(jobId: Hex): Promise<JobMoney>;

  /** Development chains only. */
  mint(amount: bigint, to?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Wallet to Ledger balance of this account or of `to`; by permit where the token has it. */
  deposit(token: Hex, amount: bigint, to?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Ledger balance to a wallet. */
  withdraw(token: Hex, amount: bigint, to?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Sends `owner` all of its Ledger balance. */
  withdrawFor(token: Hex, owner: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Registers this account as a worker; `payout` (default: the account) gets its money. */
  register(
    parameters?: { payout?: Hex; capabilities?: Uint8Array },
    options?: WriteOptions,
  ): Promise<TransactionReceipt>;
  setPayout(worker: Hex, payout: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Ledger balance to free stake of `worker`, default this account. */
  addStake(token: Hex, amount: bigint, worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  beginUnstake(token: Hex, amount: bigint, worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** To the Ledger balance of the payout address. */
  finishUnstake(token: Hex, worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Cancels all Accept signatures of the worker. */
  bumpEpoch(worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;

  /**
   * Escrows the budget from the Ledger balance and opens the job.
   * @throws InsufficientBalance with both numbers
   */
  post(spec: JobSpec, meta: Uint8Array, options?: WriteOptions): Promise<{ jobId: Hex; receipt: TransactionReceipt }>;
  cancel(jobId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  stop(jobId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  accept(jobId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  complain(jobId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  publishKeys(jobId: Hex, epoch: bigint, cid: Uint8Array, options?: WriteOptions): Promise<TransactionReceipt>;

  join(
    jobId: Hex,
    parameters?: { minPrice?: bigint; admission?: Admission },
    options?: WriteOptions,
  ): Promise<TransactionReceipt>;
  joinFor(jobId: Hex, acceptances: readonly SignedAcceptance[], options?: WriteOptions): Promise<TransactionReceipt>;
  ready(jobId: Hex, keyRef: Hex, seats: readonly SignedSeat[], options?: WriteOptions): Promise<TransactionReceipt>;
  commit(jobId: Hex, idEnd: Hex, stepsRoot: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  commitFor(jobId: Hex, commitments: readonly SignedCommitment[], options?: WriteOptions): Promise<TransactionReceipt>;
  abstain(jobId: Hex, round: number, options?: WriteOptions): Promise<TransactionReceipt>;
  abstainFor(jobId: Hex, round: number, seat: SignedSeat, options?: WriteOptions): Promise<TransactionReceipt>;
  leave(jobId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  leaveFor(jobId: Hex, seat: SignedSeat, options?: WriteOptions): Promise<TransactionReceipt>;
  attest(jobId: Hex, rows: readonly SignedBitmap[], options?: WriteOptions): Promise<TransactionReceipt>;
  merge(jobId: Hex, idNext: Hex, seats: readonly SignedSeat[], options?: WriteOptions): Promise<TransactionReceipt>;
  /** The timeout exit of the present phase. */
  tick(jobId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  claim(jobId: Hex, seat: number, toRound: number, options?: WriteOptions): Promise<TransactionReceipt>;
  claimHold(jobId: Hex, seat: number, options?: WriteOptions): Promise<TransactionReceipt>;
  release(jobId: Hex, seat: number, options?: WriteOptions): Promise<TransactionReceipt>;

  signAccept(message: Omit<JobMessages["Accept"], "worker">): Promise<Hex>;
  signAdmit(message: JobMessages["Admit"]): Promise<Hex>;
  signReady(message: JobMessages["Ready"]): Promise<Hex>;
  signCommit(message: JobMessages["Commit"]): Promise<Hex>;
  signAttest(message: JobMessages["Attest"]): Promise<Hex>;
  signAbstain(message: JobMessages["Abstain"]): Promise<Hex>;
  signLeave(message: JobMessages["Leave"]): Promise<Hex>;
  recoverAccept(message: JobMessages["Accept"], signature: Hex): Promise<Hex>;
  recoverAdmit(message: JobMessages["Admit"], signature: Hex): Promise<Hex>;
  recoverReady(message: JobMessages["Ready"], signature: Hex): Promise<Hex>;
  recoverCommit(message: JobMessages["Commit"], signature: Hex): Promise<Hex>;
  recoverAttest(message: JobMessages["Attest"], signature: Hex): Promise<Hex>;
  recoverAbstain(message: JobMessages["Abstain"], signature: Hex): Promise<Hex>;
  recoverLeave(message: JobMessages["Leave"], signature: Hex): Promise<Hex>;
}
