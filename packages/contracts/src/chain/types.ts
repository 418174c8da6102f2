import type { Hex, JobSpec, VerifierDescription } from "@skynet/protocol";
import type { TransactionReceipt } from "viem";
import type { SkyNetAddresses } from "../deployment/addresses.ts";
import type { ChainJobEvent, JobMoney } from "./events.ts";
import type { Catalog, InferenceBoard } from "./market-types.ts";
import type { BoardCall } from "./proofs.ts";
import type {
  ChainJob,
  ChainVerifier,
  ProofStatement,
  SlotAnswer,
  SeatUpdate,
  ChainWorker,
  ChainReputation,
  LeavingStake,
  ChainBalances,
  Admission,
  SignedAcceptance,
  SignedCommitment,
  SignedSeat,
  SignedBitmap,
} from "./records.ts";
import type { RelayRegistry } from "./relay-types.ts";
import type { JobMessages } from "./signatures.ts";
import type { Call, RawCall, WriteOptions } from "./transactions.ts";

export interface PollOptions<Event> {
  /** First block to read; default: the next one. */
  readonly fromBlock?: bigint | undefined;
  /** `nextBlock` is where to resume after a restart. Awaited before the next poll. */
  readonly onEvents: (events: readonly Event[], nextBlock: bigint) => void | Promise<void>;
  /** Told about requests that failed; the watch goes on by itself. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Milliseconds between polls, default 500. */
  readonly intervalMs?: number | undefined;
  /** Blocks that must lie above an event before it is shown, default 0. */
  readonly confirmations?: number | undefined;
  readonly signal: AbortSignal;
}

export interface WatchOptions extends PollOptions<ChainJobEvent> {
  /** Only this job. */
  readonly jobId?: Hex | undefined;
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
  /** First block that can hold events of SkyNet. */
  readonly firstBlock: bigint;

  /** Listings and purchases of data and models. */
  readonly catalog: Catalog;
  /** Offers and orders of proven answers. */
  readonly inference: InferenceBoard;
  /** Relays that anybody may use. */
  readonly relays: RelayRegistry;

  /** Puts the contracts on the chain if they are not there; anybody may. */
  deploy(): Promise<void>;
  /** @throws NotDeployedError `NotDeployed` */
  assertDeployed(): Promise<void>;

  /** Timestamp of the latest block. */
  now(): Promise<number>;
  blockNumber(): Promise<bigint>;
  /** Hash of a block. @throws ChainError `UnknownBlock` */
  blockHash(number: bigint): Promise<Hex>;
  /** Gas money of an account, in wei. */
  gasBalance(address?: Hex): Promise<bigint>;
  /** What a unit of gas costs now, in wei; on rollups without the price of data. */
  gasPrice(): Promise<bigint>;
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
  /** Counters of a worker; zeros when it is unknown. */
  reputation(worker: Hex): Promise<ChainReputation>;
  /** Of this account, or of another one. */
  balances(token: Hex, address?: Hex): Promise<ChainBalances>;
  /** What a worker last declared about itself, unparsed; undefined when it is not registered. */
  capabilities(worker?: Hex): Promise<Uint8Array | undefined>;
  /** keccak256 of what a worker last declared; zero when it is not registered. */
  capabilitiesHash(worker?: Hex): Promise<Hex>;
  leaving(token: Hex, worker?: Hex): Promise<LeavingStake>;
  /** Seconds between `beginUnstake` and `finishUnstake`. */
  unbonding(): Promise<number>;
  /** Jobs in which a worker has a seat, in the order of joining. */
  jobsOf(worker?: Hex): Promise<{ jobId: Hex; seat: number }[]>;
  /** Id that the next post of this account with these terms will get. */
  nextJobId(spec: JobSpec): Promise<Hex>;
  events(range?: { jobId?: Hex; fromBlock?: bigint; toBlock?: bigint }): Promise<ChainJobEvent[]>;
  /** Polls for events until the signal aborts; resolves then. Survives an unreachable endpoint. */
  watch(options: WatchOptions): Promise<void>;
  money(jobId: Hex): Promise<JobMoney>;
  /** @throws ChainError `UnknownVerifier` */
  verifierEntry(verifierId: Hex): Promise<ChainVerifier>;
  /** Asks a verifier, without a transaction; false for whatever is not a clear yes. */
  verify(verifierId: Hex, statement: ProofStatement, proof: Hex): Promise<boolean>;
  /** What a proof of a seat's step in the present round must be made for, and the batch of the step. */
  statementFor(jobId: Hex, seat: number, step: number): Promise<{ context: Hex; batchIndex: bigint }>;
  /** Segments that a seat has to prove in the present round, by slot; empty when it is not selected. */
  drawnSegments(jobId: Hex, seat: number): Promise<number[]>;
  /** "blockhash" or "test", or what another beacon says of itself. */
  beaconKind(beacon: Hex): Promise<string>;
  /** Value of a ticket; undefined when it is not there yet, or gone. */
  beaconValue(beacon: Hex, ticket: bigint): Promise<Hex | undefined>;
  /**
   * What a transaction (of an event) asked of the JobBoard, to verify proofs and merges again; undefined when it called
   * another contract, which called the JobBoard. @throws ChainError `UnknownTransaction`
   */
  transactionInput(hash: Hex): Promise<BoardCall | undefined>;
  /** Gas of a transaction, for example of the one that proved a slot. @throws ChainError `UnknownTransaction` */
  gasUsed(hash: Hex): Promise<bigint>;

  /**
   * The form of a call of this account that anybody can send for it, signed if it needs to be; undefined when there is
   * none. Nothing is sent. @throws ChainError `NotSeat` when the account has no seat in the job that the call names
   */
  signedForm(call: Call): Promise<Call | undefined>;
  /** Whether a call would succeed if `from` (default: this account) sent it now. @throws ChainError as a write */
  simulate(call: RawCall, from?: Hex): Promise<void>;
  /** Gas that a call would take if this account sent it now. @throws ChainError as a write */
  estimateGas(call: RawCall): Promise<bigint>;
  /** Sends a call that somebody else has made, in the order of this account's own writes. */
  forward(call: RawCall, options?: WriteOptions): Promise<TransactionReceipt>;
  /** A mined transaction; undefined while it is not. */
  minedTransaction(hash: Hex): Promise<MinedTransaction | undefined>;
  /** Transactions of this account that the endpoint knows and no block has. */
  pendingTransactions(): Promise<number>;
  /** The same access with another way to send what a worker writes. */
  routed(send: RoutedSend): RoutedChain;

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
  /** What this worker says about its machine, at most 1 KiB; anybody can read it. */
  setCapabilities(capabilities: Uint8Array, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Ledger balance to free stake of `worker`, default this account. */
  addStake(token: Hex, amount: bigint, worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  beginUnstake(token: Hex, amount: bigint, worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** To the Ledger balance of the payout address. */
  finishUnstake(token: Hex, worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Cancels all Accept signatures of the worker. */
  bumpEpoch(worker?: Hex, options?: WriteOptions): Promise<TransactionReceipt>;

  /**
   * Creates a verifier contract at an address that follows from its code, and registers it. Nothing is sent when it is
   * there. `source` says where the model can be fetched; it is only published.
   * @throws ChainError `CreationFailed`, `BadCode`
   */
  deployVerifier(
    description: VerifierDescription,
    initcode: Hex,
    parameters?: { source?: string },
    options?: WriteOptions,
  ): Promise<{ verifierId: Hex; at: Hex; receipt: TransactionReceipt | undefined }>;
  /** Registers a verifier contract that exists. @throws ChainError `BadCode` */
  registerVerifier(
    description: VerifierDescription,
    at: Hex,
    parameters?: { source?: string },
    options?: WriteOptions,
  ): Promise<{ verifierId: Hex; receipt: TransactionReceipt }>;

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
  /** Proof mode: decides which seats are audited. @throws ChainError `BeaconNotReady` */
  draw(jobId: Hex, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Proof mode: answers one audit slot, of any seat. @throws ChainError `ProofRejected`; nothing has changed then */
  prove(jobId: Hex, answer: SlotAnswer, options?: WriteOptions): Promise<TransactionReceipt>;
  /** Proof mode: averages the included updates. `basePoints` are those of the round's model. */
  mergeProven(
    jobId: Hex,
    basePoints: Hex,
    updates: readonly SeatUpdate[],
    options?: WriteOptions,
  ): Promise<TransactionReceipt>;
  /** Quorum mode. */
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

export interface MinedTransaction extends RawCall {
  readonly success: boolean;
}

/** Brings a call onto the chain in some way; resolves when it has taken effect. */
export type RoutedSend = (call: Call, options?: WriteOptions) => Promise<unknown>;

/** A {@link Chain} whose writes may travel in somebody else's transaction, so that they have no receipt of their own. */
export type RoutedChain = {
  readonly [Name in keyof Chain]: Chain[Name] extends (...args: infer Args) => Promise<TransactionReceipt>
    ? (...args: Args) => Promise<unknown>
    : Chain[Name];
};
