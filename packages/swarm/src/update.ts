// An update as it travels, and the average of several: weights with the blinders of their commitment.
import {
  average,
  averageBlinders,
  decodeBlinders,
  decodeDelta,
  deltaBytes,
  encodeBlinders,
  encodeDelta,
  type IntegerProgram,
} from "@skynet/proof";
import { concatBytes } from "@skynet/protocol";
import type { BlindedWeights, Weights } from "./ports.ts";

/**
 * The change as (W' - W) / N, then the blinders of W'. One update has one encoding.
 * @throws DataError `BadDelta`, `BadWeights`
 */
export function encodeUpdate(program: IntegerProgram, base: Weights, updated: BlindedWeights): Uint8Array {
  return concatBytes(encodeDelta(program, base, updated.weights), updated.blinders);
}

/**
 * The reverse of {@link encodeUpdate}, for commitments of `blocks` blocks (0 in quorum mode).
 * @throws DataError `BadDelta`, `BadBlinders` for another length, a weight out of range, or a blinder that is not below p
 */
export function decodeUpdate(
  program: IntegerProgram,
  blocks: number,
  base: Weights,
  update: Uint8Array,
): BlindedWeights {
  const size = deltaBytes(program);
  const weights = decodeDelta(program, base, update.subarray(0, size));
  const blinders = encodeBlinders(decodeBlinders(update.subarray(size), blocks));
  return { weights, blinders };
}

/**
 * The average of a round: blinders add up like weights, so those of the average open the commitment that the contract
 * makes of the updates' commitments.
 * @throws DataError `BadDelta`, `BadWeights`, `BadBlinders`
 */
export function averageUpdates(
  program: IntegerProgram,
  blocks: number,
  base: BlindedWeights,
  updates: readonly BlindedWeights[],
): BlindedWeights {
  const decoded = ({ blinders }: BlindedWeights) => decodeBlinders(blinders, blocks);
  return {
    weights: average(
      program,
      base.weights,
      updates.map(({ weights }) => weights),
    ),
    blinders: encodeBlinders(averageBlinders(decoded(base), updates.map(decoded), program.workers)),
  };
}
