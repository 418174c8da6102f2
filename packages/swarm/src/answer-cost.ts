import { segmentsOf, SkyNetError } from "@skynet/protocol";
import type { ProofShape } from "./ports.ts";

/** Nodes of public chains relay no larger transaction than 128 KiB; some of it is the envelope's. */
const MAX_CALLDATA_BYTES = 120_000;
/** A block must have room for several answers. */
const MAX_GAS = 8_000_000;
const WORD = 32;
/** Of an answer: selector, job, seat, slot, ids, and where its parts lie; of a step the same. */
const ANSWER_WORDS = 14;
const STEP_WORDS = 8;
/** Price of a byte that is not 0. */
const BYTE_GAS = 16;

/** Terms that decide how large an answer to an audit is. */
export interface AnswerTerms {
  readonly steps: number;
  readonly segment: number;
  readonly auditSteps: number;
  readonly nBatches: bigint | number;
}

/** Size of the transaction that answers one audit slot, and its gas (an estimate). */
export function costOfAnswer(proof: ProofShape, terms: AnswerTerms): { bytes: number; gas: number } {
  const depthOf = (leaves: number) => Math.ceil(Math.log2(Math.max(leaves, 1)));
  const ends = WORD * (ANSWER_WORDS + 2 * depthOf(segmentsOf(terms) - 1));
  const path = WORD * (STEP_WORDS + depthOf(Number(terms.nBatches)));
  const padded = WORD * Math.ceil(proof.proofBytes / WORD);
  return {
    bytes: ends + terms.segment * (path + padded),
    gas: terms.segment * (proof.stepGas + BYTE_GAS * path) + BYTE_GAS * ends,
  };
}

/**
 * A worker whose answer no chain takes would lose its stake, so such a job is neither posted nor joined.
 * @throws SkyNetError `AnswerTooLarge`, `AnswerTooDear`
 */
export function checkAnswerCost(proof: ProofShape, terms: AnswerTerms): void {
  const { bytes, gas } = costOfAnswer(proof, terms);
  const hint =
    terms.segment > 1
      ? "use a shorter verification.segment, or a smaller batch or model"
      : "use a smaller batch or model, or larger blocks: verification.circuit.blockBits";
  const each = `the ${terms.segment} proofs of a drawn segment`;
  if (bytes > MAX_CALLDATA_BYTES)
    throw new SkyNetError(
      "AnswerTooLarge",
      `${each} need a transaction of ${bytes} bytes; at most ${MAX_CALLDATA_BYTES} fit`,
      { hint },
    );
  if (gas > MAX_GAS)
    throw new SkyNetError("AnswerTooDear", `${each} cost about ${gas} gas on chain; at most ${MAX_GAS} are allowed`, {
      hint,
    });
}
