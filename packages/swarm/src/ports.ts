import type { Hex } from "@skynet/protocol";

/** Lower-case 0x address of a node: the same key gives its PeerId. */
export type Address = Hex;

/** Exact integer weights, one tensor per layer. */
export type Weights = readonly Int32Array[];

export type JobPhase = "OPEN" | "READY" | "COMMIT" | "PROVE" | "MERGE" | "DELIVER" | "SETTLED";
export type JobOutcome = "NONE" | "CANCELLED" | "EXPIRED" | "ABORTED" | "COMPLETED" | "HALTED" | "STOPPED";

/** What the contract says about one job at one block. Bitmaps have bit i for seat i. */
export interface JobSnapshot {
  readonly phase: JobPhase;
  readonly outcome: JobOutcome;
  readonly requester: Address;
  readonly round: number;
  readonly rounds: number;
  /** Local steps per round. */
  readonly steps: number;
  /** Steps between two interior ids. */
  readonly segment: number;
  /** Divisor of the average: a power of two, fixed for the whole job. */
  readonly averaging: number;
  readonly minSeats: number;
  /** In the order of the seats. */
  readonly workers: readonly Address[];
  readonly active: bigint;
  readonly ready: bigint;
  readonly committed: bigint;
  readonly attested: bigint;
  readonly delivered: bigint;
  /** Seats whose updates the merge of this round averages (known from MERGE on). */
  readonly included: bigint;
  /** Per finished round: the seats that are paid for their work, and those paid for a merged and attested update. */
  readonly paidCompute: readonly bigint[];
  readonly paidDelivery: readonly bigint[];
  /** Rounds that ended with a merge. */
  readonly merged: number;
  readonly released: bigint;
  readonly holdClaimed: bigint;
  /** Rounds of each seat that were claimed already. */
  readonly claimedTo: readonly number[];
  /** Whether there is a hold-back that was released to the workers. */
  readonly holdReleased: boolean;
  /** Ids that the seats committed to in this round. */
  readonly commits: ReadonlyMap<number, Hex>;
  readonly jobSeed: Hex;
  readonly modelId: Hex;
  readonly dataRoot: Hex;
  readonly nBatches: number;
  /** Latest published group key: its epoch and the CID of the wrapped keys. */
  readonly keys: { readonly epoch: number; readonly cid: string } | undefined;
  /** Start and end of the phase and the chain's time, milliseconds since the epoch. */
  readonly phaseAtMs: number;
  readonly phaseEndMs: number;
  readonly nowMs: number;
}

/** One job on chain, seen by one node. Writes wait for their receipt; a refusal is an error with the contract's code. */
export interface JobChain {
  readonly self: Address;
  readonly jobId: Hex;
  snapshot(signal?: AbortSignal): Promise<JobSnapshot>;
  /** 64-byte public key that the worker registered. */
  publicKeyOf(worker: Address): Promise<Uint8Array>;
  /** `keyRef` names the published keys that the worker opened. */
  signReady(keyRef: Hex): Promise<Hex>;
  signAttest(round: number, received: bigint, idNext: Hex): Promise<Hex>;
  isReadySignature(worker: Address, keyRef: Hex, signature: Hex): Promise<boolean>;
  isAttestSignature(worker: Address, round: number, received: bigint, idNext: Hex, signature: Hex): Promise<boolean>;
  publishKeys(epoch: number, cid: string): Promise<void>;
  ready(keyRef: Hex, seats: readonly number[], signatures: readonly Hex[]): Promise<void>;
  /** Bound to the round: refused when the job is in another one by then. */
  commit(round: number, seat: number, idEnd: Hex, stepsRoot: Hex): Promise<void>;
  abstain(round: number): Promise<void>;
  attest(seats: readonly number[], received: readonly bigint[], signatures: readonly Hex[]): Promise<void>;
  merge(idNext: Hex, seats: readonly number[], signatures: readonly Hex[]): Promise<void>;
  tick(): Promise<void>;
  stop(): Promise<void>;
  accept(): Promise<void>;
  complain(): Promise<void>;
  claim(seat: number, toRound: number): Promise<void>;
  claimHold(seat: number): Promise<void>;
  release(seat: number): Promise<void>;
}

/** A signed and decrypted message of the job's channel. */
export interface ChannelMessage {
  readonly kind: string;
  readonly from: Address;
  readonly body: unknown;
}

/** The network, seen from one job. */
export interface JobNetwork {
  /** Publishes on the job's topic, signed and encrypted with the newest group key. */
  publish(kind: string, body: unknown): Promise<void>;
  onMessage(handler: (message: ChannelMessage) => void): void;
  /**
   * Sends an update over a direct stream and retries until the receiver has confirmed it with a signed receipt.
   * @returns the receipt
   */
  sendUpdate(
    to: Address,
    round: number,
    bytes: Uint8Array,
    options: { deadlineMs: number; signal?: AbortSignal },
  ): Promise<Uint8Array>;
  /**
   * `admit` says who may send an update now, before anything is received. The handler returns when the update was
   * checked and kept; an error refuses it, and no receipt is given.
   */
  onUpdate(
    admit: (from: Address, round: number) => boolean,
    handler: (from: Address, round: number, bytes: Uint8Array) => Promise<void>,
  ): void;
  /** Fetches a block over a direct stream and checks its hash. */
  fetchBlock(from: Address, cid: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** Total bytes of this node so far. */
  traffic(): { readonly sentBytes: number; readonly receivedBytes: number };
}

/** Blocks by content; those of the job are served to its members. */
export interface BlockPort {
  put(bytes: Uint8Array): Promise<string>;
  get(cid: string): Promise<Uint8Array | undefined>;
}

/** Small files of one job that survive a restart. A write is complete or absent. */
export interface JobFiles {
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, bytes: Uint8Array): Promise<void>;
}

export interface TrainingSettings {
  readonly batchSize: number;
  readonly learningRate: number;
  /** Divisor of the average (see {@link JobSnapshot.averaging}). */
  readonly averaging: number;
}

export interface ModelShape {
  /** Shape and scale (fraction bits) of each weight tensor. */
  readonly tensors: readonly { readonly shape: readonly number[]; readonly scale: number }[];
  readonly features: number;
  readonly classes: number;
}

export interface Evaluation {
  /** Share of correctly classified samples, 0 to 1. */
  readonly accuracy: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
}

/** Executes a model's training; weights live in the trainer between the steps. */
export interface Trainer {
  load(model: Uint8Array, settings: TrainingSettings): Promise<ModelShape>;
  initialWeights(seed: Uint8Array): Promise<Weights>;
  /** Bytes of samples as the integers that the model takes. */
  quantise(bytes: Uint8Array): Promise<Int8Array>;
  setWeights(weights: Weights): Promise<void>;
  /** One local step; returns the mean loss of the batch before the step. */
  step(batch: { x: Int8Array; y: Uint8Array }): Promise<number>;
  weights(): Promise<Weights>;
  /** Id of weights as the contract holds it. */
  id(weights: Weights): Promise<Hex>;
  /** What `updated` changed in `base`, as it travels: one encoding for one change. */
  encodeUpdate(base: Weights, updated: Weights): Promise<Uint8Array>;
  /** The weights that an update makes of `base`; wrong lengths and ranges are refused. */
  applyUpdate(base: Weights, update: Uint8Array): Promise<Weights>;
  /** Exact average W + (1/N) sum(W'_w - W); N is the setting `averaging`, also when fewer updates came. */
  average(base: Weights, updates: readonly Weights[]): Promise<Weights>;
  evaluate(weights: Weights, x: Int8Array, y: Uint8Array): Promise<Evaluation>;
  exportModel(weights: Weights): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface Clock {
  nowMs(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Log {
  debug(details: Record<string, unknown>, message: string): void;
  info(details: Record<string, unknown>, message: string): void;
  warn(details: Record<string, unknown>, message: string): void;
}
