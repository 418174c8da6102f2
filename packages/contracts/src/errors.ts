import { describeJobRule, SkyNetError } from "@skynet/protocol";

interface Explanation {
  readonly message: string;
  readonly hint?: string;
}

/** Custom errors of the contracts that are not rules of the job machine. */
const explanations: Readonly<Record<string, Explanation>> = {
  ProofModeUnavailable: { message: "this version runs jobs in quorum mode only", hint: "post the job with mode 0" },
  NotToken: { message: "the address of the token has no code", hint: "check the token's address and the chain" },
  BadMeta: { message: "the metadata does not match metaHash in the terms" },
  BadLength: { message: "the lists of seats and signatures differ in length" },
  BadSignature: { message: "a signature was not made by the account that it names" },
  SignatureExpired: { message: "the signature has expired", hint: "ask the worker for a new one" },
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
  OnlyDevelopmentChain: { message: "test tokens exist on development chains only" },
};

/** A contract refused a call. `code` is the name of the Solidity error, `details` its arguments. */
export class ChainError extends SkyNetError {
  readonly details: readonly unknown[];

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
