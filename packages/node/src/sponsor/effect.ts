import { ChainError, type Call, type Chain } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";

/** What a contract says of a call that has had its effect, by function. */
const DONE: Readonly<Record<string, readonly string[]>> = {
  registerFor: ["AlreadyRegistered"],
  joinFor: ["AlreadyJoined"],
  commitFor: ["AlreadyCommitted"],
  abstainFor: ["AlreadyAbstained"],
  prove: ["AlreadyProven"],
  claim: ["NothingToClaim"],
  claimHold: ["AlreadyClaimed"],
  release: ["AlreadyReleased"],
};

/**
 * Whether a call that the contract refuses now has had its effect before: somebody sent it although we heard nothing.
 */
export async function hasTakenEffect(chain: Pick<Chain, "job" | "address">, form: Call, error: ChainError) {
  if (DONE[form.functionName]?.includes(error.code)) return true;
  // the nonce in the call is below the next one of its signer, which signs nothing else meanwhile
  if (error.code === "BadNonce") {
    const { nonce } = form.args.at(-1) as { readonly nonce: bigint };
    return BigInt(error.details[0] as bigint) > nonce;
  }
  // after the last seat was taken the contract refuses all joins in the same way
  if (form.functionName !== "joinFor") return false;
  return (await chain.job(form.args[0] as Hex)).state.workers.includes(chain.address);
}
