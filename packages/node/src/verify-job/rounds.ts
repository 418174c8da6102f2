import type { ChainJob, ChainJobEvent } from "@skynet/contracts";
import { type JobSpec, JobPhase, listSeats, type SeatSet, seatBit } from "@skynet/protocol";
import { type RoundEvents, VerificationError } from "./audit.ts";

const inconsistent = (what: string) =>
  new VerificationError("Inconsistent", `the logs and the contract disagree about ${what}`);

/**
 * The rounds that ended, and whether they are all that the contract knows: as many, in a row, with the same ends, the
 * same pay and the same model. So an endpoint that leaves out logs is noticed.
 *
 * A job that runs may have ended a round after its state was read: what came later is left for the next time.
 */
export function endedRounds({ spec, state, modelId }: ChainJob, events: readonly ChainJobEvent[]): RoundEvents[] {
  const settled = state.phase === JobPhase.SETTLED;
  if (settled && !events.some((event) => event.name === "Settled" && event.args.outcome === state.outcome))
    throw inconsistent("the job's end");
  const rounds = groupRounds(events).filter(({ ended, round }) => ended && (settled || round < state.round));
  if (rounds.length !== state.round || rounds.some(({ round }, i) => round !== i))
    throw inconsistent(`the number of rounds: ${rounds.length} and ${state.round}`);
  const merged = rounds.filter((round) => round.merged !== undefined);
  if (merged.length !== state.merged || rounds.length - merged.length !== state.fails)
    throw inconsistent(`the number of merged rounds: ${merged.length} and ${state.merged}`);
  for (const { round, ended, commits } of rounds) {
    const { paidCompute, paidDelivery } = ended!;
    if (paidCompute !== state.paidCompute[round] || paidDelivery !== state.paidDelivery[round])
      throw inconsistent(`the pay of round ${round + 1}`);
    const ids = new Set([...commits.values()].map(({ idEnd }) => idEnd));
    if (ids.size !== commits.size)
      throw new VerificationError("DuplicateId", `round ${round + 1} has two equal commitments`);
  }
  if ((merged.at(-1)?.merged!.args.idNext ?? spec.modelId) !== modelId) throw inconsistent("the model");
  return rounds;
}

/** Events by round, in the order of the chain. */
function groupRounds(events: readonly ChainJobEvent[]): RoundEvents[] {
  const rounds = new Map<number, RoundEvents>();
  const of = (round: number): RoundEvents => {
    if (!rounds.has(round)) rounds.set(round, { round, commits: new Map(), proven: [] });
    return rounds.get(round)!;
  };
  for (const event of events) {
    if (event.name === "Committed") of(event.args.round).commits.set(Number(event.args.seat), event.args);
    else if (event.name === "PhaseChanged" && event.args.phase === JobPhase.DRAW)
      of(event.args.round).closedAt = event.blockNumber;
    else if (event.name === "Drawn") of(event.args.round).drawn = event.args;
    else if (event.name === "Proven") of(event.args.round).proven.push(event);
    else if (event.name === "Delivered") of(event.args.round).delivered = event.args;
    else if (event.name === "Merged") of(event.args.round).merged = event;
    else if (event.name === "RoundEnded") of(event.args.round).ended = event.args;
  }
  return [...rounds.values()].sort((a, b) => a.round - b.round);
}

export function committedSeats({ commits }: RoundEvents): SeatSet {
  return [...commits.keys()].reduce((set, seat) => set | seatBit(seat), 0n);
}

/** Slots that a seat has proven. */
export function provenSlots({ proven }: RoundEvents, seat: number): number {
  return new Set(proven.filter(({ args }) => Number(args.seat) === seat).map(({ args }) => args.slot)).size;
}

/** Committed seats, less those that were drawn and have not proven every slot. */
export function goodSeats(spec: JobSpec, round: RoundEvents, selected: SeatSet): SeatSet {
  return listSeats(selected)
    .filter((seat) => provenSlots(round, seat) !== spec.auditSteps)
    .reduce((set, seat) => set & ~seatBit(seat), committedSeats(round));
}
