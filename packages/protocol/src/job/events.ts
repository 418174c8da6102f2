import type { Hex } from "../bytes.ts";
import type { SeatSet } from "./bitmap.ts";

/** One signed bitmap: `seat` says which updates it received and checked. */
export interface AttestationRow {
  readonly seat: number;
  readonly received: SeatSet;
}

/**
 * What can happen to a job. Signatures, proofs and the beacon are checked before: the machine receives verified facts.
 * `at` is the block time in seconds, `by` the sender where authority matters.
 */
export type JobEvent = { readonly at: number } & (
  | { readonly type: "join"; readonly worker: Hex; readonly minPrice: bigint }
  | { readonly type: "cancel" | "stop" | "accept" | "complain"; readonly by: Hex }
  | { readonly type: "ready"; readonly seats: SeatSet }
  | { readonly type: "commit" | "abstain" | "leave"; readonly seat: number }
  | { readonly type: "draw"; readonly selected: SeatSet }
  | { readonly type: "prove"; readonly seat: number; readonly slot: number }
  | { readonly type: "attest"; readonly rows: readonly AttestationRow[] }
  | { readonly type: "merge" }
  | { readonly type: "tick" }
  | { readonly type: "claim"; readonly seat: number; readonly toRound: number }
  | { readonly type: "claimHold" | "release"; readonly seat: number }
);

export type JobEventType = JobEvent["type"];
