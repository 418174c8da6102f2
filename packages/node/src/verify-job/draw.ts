import { drawSeed, fromHex, keccak256, seatBit, selectedSeats, toHex } from "@skynet/protocol";
import type { Audit, RoundEvents } from "./audit.ts";

/** Blocks between the close of the commits and the block whose hash decides, by the kind of beacon. */
const DELAY_BLOCKS: Readonly<Record<string, bigint>> = { blockhash: 8n, test: 1n };

/**
 * The draw of a round follows from the hash of a block that did not exist when the commits closed.
 * @returns the audited seats
 */
export async function checkDraw(audit: Audit, round: RoundEvents): Promise<bigint> {
  const { chain, spec, jobId } = audit;
  const kind = await chain.beaconKind(spec.beacon);
  const delay = DELAY_BLOCKS[kind];
  if (delay === undefined) return audit.fail(round.round, `the beacon "${kind}" is unknown here`);
  if (round.closedAt === undefined)
    return audit.fail(round.round, "there is a draw, but the commits were never closed");
  const value = toHex(keccak256(fromHex(await chain.blockHash(round.closedAt + delay))));
  const seed = drawSeed(value, jobId, round.round);
  if (seed !== round.drawn!.seed) return audit.fail(round.round, "the draw does not follow from the block's hash");
  const committed = [...round.commits.keys()].reduce((set, seat) => set | seatBit(seat), 0n);
  const selected = selectedSeats(seed, committed, spec.auditBps);
  if (selected !== round.drawn!.selected) return audit.fail(round.round, "the wrong seats were drawn");
  return selected;
}
