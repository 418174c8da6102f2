import { InvalidInputError } from "@skynet/protocol";

/** Names of the checks of a verifier, in the order of their numbers on chain (`Rejected(uint256)`), from 1. */
export const CHECKS = [
  "chain",
  "length",
  "weights id",
  "next id",
  "batch id",
  "output id",
  "input padding",
  "scalar range",
  "precompile",
  "contractions",
  "opening fold",
  "opening interpolation",
  "pairing",
] as const;

/** The only chain id for which proofs without zero knowledge are accepted. */
export const DEVELOPMENT_CHAIN = 31337;

/** A proof that is not valid. `check` says where it was refused; "precompile" stands for a point that is none. */
export class Rejection extends InvalidInputError {
  readonly check: string;

  constructor(check: string) {
    super("ProofRejected", `the proof is refused: ${check}`);
    this.check = check;
  }
}
