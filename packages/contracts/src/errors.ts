import { SkyNetError } from "@skynet/protocol";
import { explainError } from "./explanations.ts";

/** A contract refused a call. `code` is the name of the Solidity error, `details` its arguments. */
export class ChainError extends SkyNetError {
  readonly details: readonly unknown[];
  /** Gas that the refusal cost: none, unless the transaction was in a block by then. */
  gasUsed = 0n;

  constructor(code: string, details: readonly unknown[] = [], cause?: unknown) {
    const known = explainError(code);
    const values = details.length > 0 ? ` (${details.map(String).join(", ")})` : "";
    const message = known?.message ?? `the chain refused the transaction: ${code}`;
    super(code, `${message}${values}`, {
      ...(known?.hint === undefined ? {} : { hint: known.hint }),
      ...(cause === undefined ? {} : { cause }),
    });
    this.details = details;
  }
}

/** A Ledger balance or wallet holds less than an action needs; amounts are in the token's smallest units. */
export class InsufficientBalance extends ChainError {
  readonly available: bigint;
  readonly needed: bigint;

  constructor(available: bigint, needed: bigint, cause?: unknown) {
    super("InsufficientBalance", [available, needed], cause);
    this.message = `the balance is ${available} of the token's smallest units, but ${needed} are needed`;
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
