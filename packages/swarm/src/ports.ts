import type { Hex } from "@skynet/protocol";

/** Lower-case 0x address of a node: the same key gives its PeerId. */
export type Address = Hex;

/** Exact integer weights, one tensor per layer. */
export type Weights = readonly Int32Array[];

export type JobPhase = "OPEN" | "READY" | "COMMIT" | "DRAW" | "PROVE" | "MERGE" | "DELIVER" | "SETTLED";
export type JobOutcome = "NONE" | "CANCELLED" | "EXPIRED" | "ABORTED" | "COMPLETED" | "HALTED" | "STOPPED";

/** How the steps of a job are checked: by the signatures of a quorum, or by proofs. */
export type Verification = "quorum" | "proof";

/** What a seat committed to: the id of its weights at the end of the round, and the root over those in between. */
export interface Commitment {
  readonly idEnd: Hex;
  readonly stepsRoot: Hex;
}

/** What the contract says about one job at one block. Bitmaps have bit i for seat i. */
export interface JobSnapshot {
  readonly verification: Verification;
  readonly phase: JobPhase;
  readonly outcome: JobOutcome;
  readonly requester: Address;
  readonly round: number;
  readonly rounds: number;
  /** Local steps per round. */
  readonly steps: number;
  /** Steps between two interior ids; what one audit asks for. */
  readonly segment: number;
  /** Audited segments of a selected seat. */
  readonly auditSteps: number;
  /** Divisor of the average: a power of two, fixed for the whole job. */
  readonly averaging: number;
  readonly minSeats: number;
  /** In the order of the seats. */
  readonly workers: readonly Address[];
  readonly active: bigint;
  readonly ready: bigint;
  readonly committed: bigint;
  /** Seats that are audited in this round, those that have answered every slot, and the answered slots of each. */
  readonly selected: bigint;
  readonly proven: bigint;
  readonly proofMasks: readonly number[];
  readonly slashed: bigint;
  /** Of the latest draw. */
  readonly seed: Hex;
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
  /** What the seats committed to in this round. */
  readonly commits: ReadonlyMap<number, Commitment>;
  readonly jobSeed: Hex;
  readonly modelId: Hex;
  readonly dataRoot: Hex;
  readonly nBatches: number;
  /** Latest published group key: its epoch and the CID of the wrapped keys. */
  readonly keys: { readonly epoch: number; readonly cid: string } | undefined;
  readonly proveWindowMs: number;
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
  /** Proof mode: whether the beacon has the value that decides this round's audits. */
  isDrawReady(): Promise<boolean>;
  draw(): Promise<void>;
  /** What the proof of a step of this node must be made for; `batchIndex` follows from the job's seed. */
  stepHeader(round: number, step: number, batchIndex: number): Promise<StepHeader>;
  /** A refusal costs nothing: the call is simulated first. */
  prove(answer: SlotAnswer): Promise<void>;
  /** Proof mode: what the workers proved in a round, for people. */
  proofsOf(round: number): Promise<RoundProofs[]>;
  /** Proof mode: the contract adds the points and computes the next id itself. */
  mergeProven(basePoints: Uint8Array, updates: readonly MergedUpdate[]): Promise<void>;
  /** Quorum mode. */
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

/** The members of a job, its active workers and its requester, and the latest keys that were published for them. */
export interface Membership {
  readonly members: readonly Address[];
  readonly keys: JobSnapshot["keys"];
  /** Workers that have opened the job: they serve the batches that they have. */
  readonly ready: readonly Address[];
}

export interface SendOptions {
  /** When to give up, milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** Withdraws the message. */
  readonly signal: AbortSignal;
}

/** The network, seen from one job. */
export interface JobNetwork {
  /**
   * Delivers a message to members of the job, signed and encrypted with the newest group key: each handles it once, in
   * the order of its sender, also when it was offline or restarted meanwhile. Whoever leaves the job ends the wait for it.
   * @returns the members that confirmed it before the deadline
   */
  send(to: readonly Address[], kind: string, body: unknown, options: SendOptions): Promise<readonly Address[]>;
  /** The sender gets its receipt when the handler is done; an error refuses the message. */
  onMessage(handler: (message: ChannelMessage) => Promise<void>): void;
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
  /**
   * Fetches a block over direct streams from whichever of these members gives it, and checks its hash. What came of a
   * block before it failed is kept: the next call goes on from there, also after a restart.
   */
  fetchBlock(from: readonly Address[], cid: string, signal?: AbortSignal): Promise<Uint8Array>;
  /** Who belongs to the job from now on: nobody else is heard, served, or spoken to. */
  follow(membership: Membership): void;
  /** Total bytes of this node so far. */
  traffic(): { readonly sentBytes: number; readonly receivedBytes: number };
}

/** Blocks by content; those of the job are served to its members. */
export interface BlockPort {
  /** @param round the round that needs the block, and the one after it; by default it is kept as long as the job */
  put(bytes: Uint8Array, round?: number): Promise<string>;
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
  /** Of jobs that are proven. */
  readonly proof?: ProofSettings | undefined;
}

export interface ProofSettings {
  /** The chain that the proofs are for: a development reference string is refused on any other. */
  readonly chainId: number;
  readonly circuit: CircuitChoices;
}

/** Choices of the circuit that a job makes; what is absent the compiler chooses. */
export interface CircuitChoices {
  /** log2 of the length of a block of a commitment. */
  readonly blockBits?: number | undefined;
  /** log2 of the table of range checks. */
  readonly tableBits?: number | undefined;
  /** Whether proofs and commitments are zero-knowledge; `false` is for development chains only. */
  readonly hiding?: boolean | undefined;
}

/** What the contracts and the data of a proven job must agree on with this model. */
export interface ProofShape {
  readonly circuitHash: Hex;
  readonly srsHash: Hex;
  /** Tags under which points of weights and of batches are hashed. */
  readonly weightsTag: Hex;
  readonly batchTag: Hex;
  /** Points of a commitment to weights, and to a batch. */
  readonly weightBlocks: number;
  readonly batchBlocks: number;
  /** Size of a step's proof, and the gas of its verification (an estimate). */
  readonly proofBytes: number;
  readonly stepGas: number;
}

export interface ModelShape {
  /** Of jobs that are proven. */
  readonly proof?: ProofShape | undefined;
  /** Shape and scale (fraction bits) of each weight tensor. */
  readonly tensors: readonly { readonly shape: readonly number[]; readonly scale: number }[];
  readonly features: number;
  readonly classes: number;
  /** How the model says that bytes become inputs: (byte - offset) / divisor. */
  readonly normalisation?: { readonly offset: number; readonly divisor: number } | undefined;
}

export interface Evaluation {
  /** Share of correctly classified samples, 0 to 1. */
  readonly accuracy: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
}

/** A batch as the executor takes it. */
export interface TrainingBatch {
  readonly x: Int8Array;
  readonly y: Uint8Array;
}

/** A batch of the dataset, with its secret of 32 bytes, from which the blinders of its commitment follow. */
export interface DatasetBatch extends TrainingBatch {
  readonly index: number;
  readonly secret: Uint8Array;
}

/** A batch of the dataset with the points that it is committed to, 64 bytes each. */
export interface CommittedBatch extends DatasetBatch {
  readonly points: Uint8Array;
}

/** Weights with the blinders of their commitment, 32 bytes a block; no blinders in quorum mode. */
export interface BlindedWeights {
  readonly weights: Weights;
  readonly blinders: Uint8Array;
}

/** Id of weights as the contract holds it, and in proof mode the points behind it, 64 bytes each, with their blinders. */
export interface WeightsIdentity {
  readonly id: Hex;
  readonly points: Uint8Array;
  readonly blinders: Uint8Array;
}

/** Weights with the points of their commitment; no points in quorum mode. */
export interface CommittedWeights extends BlindedWeights {
  readonly points: Uint8Array;
}

/** W_r, and the secret, 32 bytes, from which the blinders of this worker's weights after each step follow. */
export interface RoundStart extends CommittedWeights {
  readonly secret: Uint8Array;
}

/** What a proof of a step is made for: chain, verifier contract, and the context that binds job, worker and step. */
export interface StepHeader {
  readonly chainId: number;
  readonly verifier: Address;
  readonly context: Hex;
}

/** One proven step. */
export interface ProvenStep {
  /** Id of the weights after the step. */
  readonly idEnd: Hex;
  /** Id of the batch: its leaf in the dataset. */
  readonly batchLeaf: Hex;
  readonly proof: Uint8Array;
}

/** The answer to one audit slot: the proofs of all steps of the drawn segment, as the contract takes them. */
export interface SlotAnswer extends Commitment {
  readonly seat: number;
  readonly slot: number;
  /** Ids at the ends of the segment; the paths are empty at the ends of the round. */
  readonly idFrom: Hex;
  readonly pathFrom: readonly Hex[];
  readonly idTo: Hex;
  readonly pathTo: readonly Hex[];
  readonly steps: readonly (ProvenStep & { readonly batchPath: readonly Hex[] })[];
}

/** Steps that a worker proved on chain in one round, and the gas of its transactions. */
export interface RoundProofs {
  readonly worker: Address;
  readonly steps: number;
  readonly gas: number;
}

/** An update that enters a merge. */
export interface MergedUpdate extends Commitment {
  readonly seat: number;
  readonly points: Uint8Array;
}

/** The contract that verifies the steps of a model, as this node has generated and compiled it. */
export interface VerifierCode {
  readonly source: string;
  readonly initcode: Hex;
  readonly runtime: Hex;
}

/** Executes a model's training; weights live in the trainer between the steps. */
export interface Trainer {
  load(model: Uint8Array, settings: TrainingSettings): Promise<ModelShape>;
  initialWeights(seed: Uint8Array): Promise<Weights>;
  /** Bytes of samples as the integers that the model takes. */
  quantise(bytes: Uint8Array): Promise<Int8Array>;
  /** Begins a round: steps are counted from here. */
  setWeights(start: RoundStart): Promise<void>;
  /** One local step; returns the mean loss of the batch before the step. */
  step(batch: TrainingBatch): Promise<number>;
  weights(): Promise<Weights>;
  /** Identity of the weights in training; in proof mode made from the changes since the last call. */
  checkpoint(): Promise<WeightsIdentity>;
  /**
   * Proof mode: one step of the weights in training, with a proof that was verified here.
   * @throws SkyNetError `Overflow` when a value leaves its width: such a step cannot be proven
   */
  proveStep(header: StepHeader, batch: DatasetBatch): Promise<ProvenStep>;
  /** Proof mode: whether the proof shows the step from `idIn`; a simulation may look at less. */
  verifyStep(header: StepHeader, idIn: Hex, step: ProvenStep): Promise<boolean>;
  /**
   * Identity of weights with these blinders, or with none: weights that everybody knows, such as those that follow from
   * the job's seed. In proof mode faster when they are a few local steps from `near`.
   * @throws SkyNetError `BadBlinders` for a wrong length, or a number that no blinder of this job can be
   */
  identify(weights: Weights, blinders?: Uint8Array, near?: CommittedWeights): Promise<WeightsIdentity>;
  /** Proof mode: points of each batch without blinders, 64 bytes each, for whoever owns the data: they hide nothing. */
  commitBatches(batches: readonly TrainingBatch[]): Promise<Uint8Array[]>;
  /** Proof mode: the points that are published, made of those without blinders. */
  blindBatches(batches: readonly CommittedBatch[]): Promise<Uint8Array[]>;
  /** Proof mode. @throws SkyNetError `BadBatch` when a batch or its blinders are not those behind its points */
  checkBatches(batches: readonly CommittedBatch[]): Promise<void>;
  /** Proof mode: generates and compiles the model's verifier; takes seconds. */
  verifier(): Promise<VerifierCode>;
  /** What `updated` changed in `base`, and its blinders, as they travel: one encoding for one update. */
  encodeUpdate(base: Weights, updated: BlindedWeights): Promise<Uint8Array>;
  /**
   * The weights that an update makes of `base`, and the blinders that came with it.
   * @throws SkyNetError `BadDelta`, `BadBlinders` for wrong lengths and ranges
   */
  applyUpdate(base: Weights, update: Uint8Array): Promise<BlindedWeights>;
  /**
   * Exact average W + (1/N) sum(W'_w - W), and in the same way of the blinders; N is the setting `averaging`, also when
   * fewer updates came.
   */
  average(base: BlindedWeights, updates: readonly BlindedWeights[]): Promise<BlindedWeights>;
  evaluate(weights: Weights, x: Int8Array, y: Uint8Array): Promise<Evaluation>;
  exportModel(weights: Weights, metadata?: Readonly<Record<string, string>>): Promise<Uint8Array>;
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
