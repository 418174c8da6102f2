import { describeJobRule, SkyNetError } from "@skynet/protocol";

interface Explanation {
  readonly message: string;
  readonly hint?: string;
}

/** Custom errors of the contracts that are not rules of the job machine. */
const explanations: Readonly<Record<string, Explanation>> = {
  WrongMode: {
    message: "the job checks its results in another way",
    hint: "merge signatures belong to quorum mode, points to proof mode",
  },
  BadVerifier: {
    message: "the verifier of the terms is not registered for training steps, or its code has changed",
    hint: "deploy the model's verifier first, and check its id",
  },
  BadBeacon: { message: "the beacon of the terms has no code", hint: "take a beacon of this chain" },
  TooManyPoints: {
    message: "seats times blocks of weights exceed 1024",
    hint: "lower the number of seats, or commit the model in larger blocks",
  },
  DuplicateId: {
    message: "another seat has committed this id in this round",
    hint: "the result was copied, or two workers trained on the same batches",
  },
  BadRoot: { message: "a round of one segment has no ids in between: its root must be zero" },
  BeaconNotReady: { message: "the beacon has no value for this draw yet", hint: "wait for a few blocks" },
  NotEnoughGas: { message: "the transaction has too little gas to close the commits", hint: "send it with more gas" },
  CommitMismatch: { message: "the answer does not belong to what the seat committed" },
  BadPath: { message: "a Merkle path does not lead to the committed root" },
  BadEnd: { message: "the first or last id of the round is not the one that the contract knows" },
  BrokenChain: { message: "the steps do not lead to the id at the end of the segment" },
  ProofRejected: {
    message: "the verifier rejected the proof of a step",
    hint: "nothing has changed: send a correct proof before the window ends",
  },
  WrongPoints: { message: "points do not hash to the committed id" },
  WrongSeats: { message: "the updates must be those of the included seats, each once, in ascending order" },
  WrongCommit: { message: "an update does not belong to what its seat committed" },
  BadPoint: { message: "a point is not on the curve, or the chain lacks the curve's precompiles" },
  BadKind: { message: "a verifier is for training steps (1) or for inference (2)" },
  BadBlocks: { message: "the weights of a verifier need at least one block" },
  BadCode: { message: "a verifier must be a plain contract of 24 to 24576 bytes" },
  CreationFailed: { message: "the verifier could not be created", hint: "check its initcode" },
  NoGasMoney: {
    message: "the account has too little ether for the gas",
    hint: "send some ether to it; a worker can let a sponsor pay: --sponsor",
  },
  UnknownBlock: { message: "the chain does not know this block" },
  UnknownTransaction: { message: "the chain does not know this transaction" },
  UnknownVerifier: { message: "no verifier has this id", hint: "deploy the model's verifier first" },
  NotToken: { message: "the address of the token has no code", hint: "check the token's address and the chain" },
  BadMeta: { message: "the metadata does not match metaHash in the terms" },
  BadLength: { message: "the lists of seats and signatures differ in length" },
  BadSignature: { message: "a signature was not made by the account that it names" },
  SignatureExpired: { message: "the signature has expired", hint: "ask the worker for a new one" },
  BadNonce: {
    message: "the signature names another nonce than the signer's next one: it was used, or another one came first",
    hint: "look whether it has taken effect; if not, sign again",
  },
  WrongEpoch: { message: "the worker has cancelled its outstanding signatures", hint: "ask the worker for a new one" },
  WrongRound: { message: "the round has changed in the meantime" },
  BadAdmission: { message: "the admission has expired or is missing", hint: "ask the job's admitter for an admission" },
  ZeroId: { message: "the id of the next model is zero" },
  NotRegistered: { message: "the worker is not registered", hint: "register the node key first" },
  AlreadyRegistered: { message: "the worker is registered" },
  BadPubkey: { message: "the public key does not belong to the worker's address" },
  BadPayout: { message: "the payout address is zero" },
  CapabilitiesTooLong: { message: "the description of capabilities exceeds 1 KiB" },
  NotPayout: { message: "only the worker's payout address may do this" },
  InsufficientStake: { message: "the free stake is too small", hint: "add stake in the token of the job" },
  StillBonded: { message: "the stake is still in its unbonding time" },
  InsufficientBalance: { message: "the balance is too small", hint: "deposit more tokens into the Ledger" },
  FeeOnTransfer: { message: "the token keeps a part of each transfer; such tokens are not supported" },
  ZeroAmount: { message: "there is nothing to move" },
  NotModule: { message: "only contracts of SkyNet may move escrows" },
  OnlyDevelopmentChain: { message: "test tokens and test beacons exist on development chains only" },
};

/** A contract refused a call. `code` is the name of the Solidity error, `details` its arguments. */
export class ChainError extends SkyNetError {
  readonly details: readonly unknown[];
  /** Gas that the refusal cost: none, unless the transaction was in a block by then. */
  gasUsed = 0n;

  constructor(code: string, details: readonly unknown[] = [], cause?: unknown) {
    const known = explanations[code];
    const rule = describeJobRule(code);
    const values = details.length > 0 ? ` (${details.map(String).join(", ")})` : "";
    const message = known === undefined ? (rule ?? `the chain refused the transaction: ${code}`) : known.message;
    super(code, `${message}${values}`, {
      ...(known?.hint === undefined ? {} : { hint: known.hint }),
      ...(cause === undefined ? {} : { cause }),
    });
    this.details = details;
  }
}

/** A Ledger balance or wallet holds less than an action needs; amounts are units of `token`. */
export class InsufficientBalance extends ChainError {
  readonly available: bigint;
  readonly needed: bigint;

  constructor(available: bigint, needed: bigint, cause?: unknown) {
    super("InsufficientBalance", [available, needed], cause);
    this.message = `the balance is ${available} units, but ${needed} are needed`;
    this.available = available;
    this.needed = needed;
  }
}

/** The RPC endpoint does not answer. */
export class ChainUnreachable extends SkyNetError {
  constructor(rpcUrl: string, cause?: unknown) {
    super("ChainUnreachable", `no chain answers at ${rpcUrl}`, {
      hint: "check that the chain runs and that the RPC URL is right",
      cause,
    });
  }
}

/** The contracts of this version are not on the chain, or the chain cannot have them. */
export class NotDeployedError extends SkyNetError {}

/** The local chain could not be started. */
export class AnvilError extends SkyNetError {}
