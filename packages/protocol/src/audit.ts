// What is drawn in proof mode, and what a proof states; the Solidity side is `Audit.sol`. Pure functions, so that nodes
// know which proofs they owe, and anybody can check a round from the chain's events alone.
import { concatBytes, fromHex, keccak256, toHex, word } from "./bytes.ts";
import type { Hex } from "./bytes.ts";
import { InvalidInputError } from "./errors.ts";
import { hasSeat, listSeats, seatBit } from "./job/bitmap.ts";
import type { SeatSet } from "./job/bitmap.ts";
import type { JobSpec } from "./job/spec.ts";

const text = new TextEncoder();
const BPS = 10_000n;
const POINT_BYTES = 64;

/** keccak256("skynet/1/step"): tag of the statement of a training step. */
export const STEP_TAG: Hex = toHex(keccak256(text.encode("skynet/1/step")));

/** What a verifier contract checks: a training step, or an answer of a trained model. */
export const VerifierKind = { STEP: 1, INFER: 2 } as const;

/** One 32-byte word: a hash, an address or a number as Solidity's `abi.encode` writes it. */
type Word = Hex | number | bigint;

const encode = (...values: readonly Word[]) => concatBytes(...values.map((value) => word(BigInt(value))));
const hashOf = (...values: readonly Word[]): Hex => toHex(keccak256(encode(...values)));

/** The terms that decide what is audited. */
export type AuditTerms = Pick<JobSpec, "steps" | "segment" | "auditSteps">;

/** Segments of a round: `segment` chained steps each. */
export function segmentsOf({ steps, segment }: Pick<JobSpec, "steps" | "segment">): number {
  return Math.floor(steps / segment);
}

/** Seed of a round's audits, from the value that the beacon gave to the round's ticket. */
export function drawSeed(value: Hex, jobId: Hex, round: number): Hex {
  return hashOf(value, jobId, round);
}

/** Whether a committed seat is audited: with probability auditBps / 10000. */
export function isSelected(seed: Hex, seat: number, auditBps: number): boolean {
  return BigInt(hashOf(seed, seat)) % BPS < BigInt(auditBps);
}

/** The committed seats that are audited. */
export function selectedSeats(seed: Hex, committed: SeatSet, auditBps: number): SeatSet {
  return listSeats(committed)
    .filter((seat) => isSelected(seed, seat, auditBps))
    .reduce((set, seat) => set | seatBit(seat), 0n);
}

/** Segment that an audit slot of a seat asks for: one of each of `auditSteps` equal strata of the round. */
export function segmentOfSlot(seed: Hex, terms: AuditTerms, seat: number, slot: number): number {
  const stratum = Math.floor(segmentsOf(terms) / terms.auditSteps);
  return slot * stratum + Number(BigInt(hashOf(seed, seat, slot)) % BigInt(stratum));
}

/** Segments that a seat has to prove, by slot; empty when it is not selected. */
export function drawnSegments(seed: Hex, selected: SeatSet, terms: AuditTerms, seat: number): number[] {
  if (!hasSeat(selected, seat)) return [];
  return Array.from({ length: terms.auditSteps }, (_, slot) => segmentOfSlot(seed, terms, seat, slot));
}

/** What binds the proof of a step to one place: chain, board, verifier, job, worker, round, step and batch. */
export interface StepStatement {
  readonly chainId: number | bigint;
  readonly jobBoard: Hex;
  /** `stepVerifier` of the terms. */
  readonly verifierId: Hex;
  readonly jobId: Hex;
  readonly worker: Hex;
  readonly round: number;
  /** Counts within the round, from 0. */
  readonly step: number;
  readonly dataRoot: Hex;
  /** See `batchIndex`. */
  readonly batchIndex: bigint;
}

/** The context that a step's proof is made for. */
export function stepContext(statement: StepStatement): Hex {
  const { chainId, jobBoard, verifierId, jobId, worker, round, step, dataRoot, batchIndex } = statement;
  return hashOf(STEP_TAG, chainId, jobBoard, verifierId, jobId, worker, round, step, dataRoot, batchIndex);
}

/** keccak256("skynet/1/infer"): tag of the statement of an answer. */
export const INFER_TAG: Hex = toHex(keccak256(text.encode("skynet/1/infer")));

/** What binds the proof of an answer to one place: chain, board, order, verifier, model, input, answer and host. */
export interface AnswerStatement {
  readonly chainId: number | bigint;
  readonly inferenceBoard: Hex;
  readonly orderId: Hex;
  readonly verifierId: Hex;
  readonly modelId: Hex;
  /** Id of the input. */
  readonly xId: Hex;
  /** The answer: logits, 32 bytes each. */
  readonly z: Uint8Array;
  readonly host: Hex;
}

/** The context that an answer's proof is made for. */
export function answerContext(statement: AnswerStatement): Hex {
  const { chainId, inferenceBoard, orderId, verifierId, modelId, xId, z, host } = statement;
  return hashOf(INFER_TAG, chainId, inferenceBoard, orderId, verifierId, modelId, xId, toHex(keccak256(z)), host);
}

/** What a verifier contract is for. */
export interface VerifierDescription {
  /** See {@link VerifierKind}. */
  readonly kind: number;
  /** Hash of the integer program, the circuit's settings and the version. */
  readonly circuitHash: Hex;
  /** Hash of the reference string. */
  readonly srsHash: Hex;
  /** Hash of the layout of the weights: the prefix under which their points are hashed. */
  readonly weightsTag: Hex;
  /** Points of the commitment to the weights. */
  readonly weightBlocks: number;
}

/** Id of a verifier with this runtime code (keccak256 of it). */
export function verifierIdOf(description: VerifierDescription, codehash: Hex): Hex {
  const { kind, circuitHash, srsHash, weightsTag, weightBlocks } = description;
  return hashOf(kind, circuitHash, srsHash, weightsTag, weightBlocks, codehash);
}

/** What the JobBoard stores of a commitment. `stepsRoot`: Merkle root over the ids between the segments. */
export function commitHashOf(round: number, idEnd: Hex, stepsRoot: Hex): Hex {
  return hashOf(round, idEnd, stepsRoot);
}

/**
 * Id of a committed tensor: keccak256(tag, points), the points 64 bytes each.
 * @throws InvalidInputError `BadPoints` when the bytes are not whole points
 */
export function committedId(tag: Hex, points: Uint8Array): Hex {
  if (points.length % POINT_BYTES !== 0)
    throw new InvalidInputError("BadPoints", `${points.length} bytes are not points of ${POINT_BYTES} bytes`);
  return toHex(keccak256(fromHex(tag), points));
}
