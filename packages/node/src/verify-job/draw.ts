import type { Chain, ChainJob } from "@skynet/contracts";
import { drawSeed, fromHex, keccak256, type SeatSet, selectedSeats, toHex } from "@skynet/protocol";
import { fail, type RoundEvents } from "./audit.ts";
import { committedSeats } from "./rounds.ts";

/** Blocks between the close of the commits and the block whose hash decides. */
const BLOCKHASH_DELAY = 8n;
const TEST_DELAY = 1n;

/**
 * The draw of a round follows from the hash of a block that did not exist when the commits closed. The job's beacon is
 * one that `checkBeacon` lets through.
 * @returns the audited seats
 */
export async function checkDraw(chain: Chain, { jobId, spec }: ChainJob, round: RoundEvents): Promise<SeatSet> {
  const { drawn, closedAt, proven } = round;
  if (drawn === undefined) {
    if (proven.length > 0) fail(round.round, "there are proofs without a draw");
    return 0n;
  }
  if (closedAt === undefined) return fail(round.round, "there is a draw, but the commits were never closed");
  const delay = spec.beacon === chain.addresses.blockhashBeacon ? BLOCKHASH_DELAY : TEST_DELAY;
  const value = toHex(keccak256(fromHex(await chain.blockHash(closedAt + delay))));
  const seed = drawSeed(value, jobId, round.round);
  if (seed !== drawn.seed) return fail(round.round, "the draw does not follow from the block's hash");
  const selected = selectedSeats(seed, committedSeats(round), spec.auditBps);
  if (selected !== drawn.selected) return fail(round.round, "the wrong seats were drawn");
  return selected;
}
