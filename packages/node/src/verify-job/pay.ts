import { hasSeat, type JobSpec, listSeats, type SeatSet } from "@skynet/protocol";
import { fail, type RoundEvents } from "./audit.ts";
import { goodSeats, provenSlots } from "./rounds.ts";

/**
 * Whoever committed is paid, and whoever was drawn only with every slot proven; exactly the delivered updates of these
 * seats enter the average, so that no drawn update does without its proofs.
 */
export function checkPay(spec: JobSpec, round: RoundEvents, selected: SeatSet): void {
  const { paidCompute, paidDelivery } = round.ended!;
  const good = round.drawn === undefined ? 0n : goodSeats(spec, round, selected);
  const refuse = (seats: SeatSet, does: string) => {
    for (const seat of listSeats(seats & ~good))
      fail(round.round, `${does} ${why(spec, round, selected, seat)}`, "Unproven");
  };
  refuse(paidCompute, "pays");
  if (paidCompute !== good) fail(round.round, "does not pay every seat that has committed and proven");
  const delivered = (round.delivered?.delivered ?? 0n) & good;
  const included = round.merged?.args.included ?? 0n;
  refuse(included, "merges the update of");
  if (round.merged !== undefined && included !== delivered)
    fail(round.round, "the merge does not include exactly the delivered updates");
  if (paidDelivery !== (included & (round.delivered?.attesters ?? 0n)))
    fail(round.round, "other deliveries are paid than were merged");
}

function why({ auditSteps }: JobSpec, round: RoundEvents, selected: SeatSet, seat: number): string {
  if (!round.commits.has(seat)) return `seat ${seat}, which did not commit`;
  if (!hasSeat(selected, seat)) return `seat ${seat} without a draw`;
  return `seat ${seat} with ${provenSlots(round, seat)} of ${auditSteps} proofs`;
}
