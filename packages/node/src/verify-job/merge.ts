import type { SeatUpdate } from "@skynet/contracts";
import { averageCommitments, decodePoint, type Point } from "@skynet/proof";
import { fromHex, type Hex, listSeats, seatBit } from "@skynet/protocol";
import type { Audit, EventOf, RoundEvents } from "./audit.ts";

const POINT_BYTES = 64;

/** C_next = (1/N) sum_w C_w + ((N - n)/N) C_r, added up again from the points in the transaction. */
export async function checkMerge(audit: Audit, round: RoundEvents, event: EventOf<"Merged">): Promise<void> {
  const { chain, spec, system } = audit;
  const call = await chain.transactionInput(event.transactionHash);
  if (call?.functionName !== "mergeProven") return audit.fail(round.round, "the merge came through another contract");
  const base = pointsOf(call.args[1]);
  const updates = call.args[2] as unknown as readonly SeatUpdate[];
  if (system.weightsId(base) !== audit.modelId) audit.fail(round.round, "the merge starts from another model");
  const seats = updates.reduce((set, { seat }) => set | seatBit(Number(seat)), 0n);
  if (seats !== event.args.included || listSeats(seats).length !== updates.length)
    audit.fail(round.round, "the merge averages other updates than it says");
  if ((seats & ~round.delivered) !== 0n) audit.fail(round.round, "the merge includes an update that was not delivered");
  const points = updates.map(({ seat, idEnd, points: bytes }) => {
    const own = pointsOf(bytes);
    if (round.commits.get(Number(seat))?.idEnd !== idEnd || system.weightsId(own) !== idEnd)
      audit.fail(round.round, `the merge uses another update than seat ${seat} committed to`);
    return own;
  });
  const next = averageCommitments(base, points, spec.averaging);
  if (system.weightsId(next) !== event.args.idNext) audit.fail(round.round, "the average is wrong");
  audit.modelId = event.args.idNext;
}

function pointsOf(bytes: Hex): Point[] {
  const all = fromHex(bytes);
  return Array.from({ length: all.length / POINT_BYTES }, (_, i) =>
    decodePoint(all.subarray(i * POINT_BYTES, (i + 1) * POINT_BYTES)),
  );
}
