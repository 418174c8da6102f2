import type { SeatUpdate } from "@skynet/contracts";
import { averageCommitments, type Point, ProofError } from "@skynet/proof";
import { fromHex, type Hex, listSeats, seatBit } from "@skynet/protocol";
import { decodePoints } from "../trainer/points.ts";
import { type Audit, type EventOf, fail, type RoundEvents, VerificationError } from "./audit.ts";

/**
 * C_next = (1/N) sum_w C_w + ((N - n)/N) C_r, added up again from the points in the transaction. `checkPay` has shown
 * that the included seats are those that were delivered and, if they were drawn, fully proven.
 */
export async function checkMerge(audit: Audit, round: RoundEvents, event: EventOf<"Merged">): Promise<void> {
  const { chain, spec, system } = audit;
  const call = await chain.transactionInput(event.transactionHash);
  if (call === undefined) fail(round.round, "the merge came through another contract", "Unverifiable");
  if (call.functionName !== "mergeProven") return fail(round.round, "the transaction of the merge does not merge");
  const base = pointsOf(round, call.args[1]);
  const updates = call.args[2] as unknown as readonly SeatUpdate[];
  if (system.weightsId(base) !== audit.modelId) fail(round.round, "the merge starts from another model");
  const seats = updates.reduce((set, { seat }) => set | seatBit(Number(seat)), 0n);
  if (seats !== event.args.included || listSeats(seats).length !== updates.length)
    fail(round.round, "the merge averages other updates than it says");
  const points = updates.map(({ seat, idEnd, points: bytes }) => {
    const own = pointsOf(round, bytes);
    if (round.commits.get(Number(seat))?.idEnd !== idEnd || system.weightsId(own) !== idEnd)
      fail(round.round, `the merge uses another update than seat ${seat} committed to`);
    return own;
  });
  const next = averageCommitments(base, points, spec.averaging);
  if (system.weightsId(next) !== event.args.idNext) fail(round.round, "the average is wrong");
  audit.modelId = event.args.idNext;
}

function pointsOf({ round }: RoundEvents, bytes: Hex): Point[] {
  try {
    return decodePoints(fromHex(bytes));
  } catch (cause) {
    if (!(cause instanceof ProofError)) throw cause;
    throw new VerificationError("NotVerified", `round ${round + 1}: ${cause.message}`, { cause });
  }
}
