import { concatBytes, fromHex, keccak256, toHex, word } from "../bytes.ts";
import type { Hex } from "../bytes.ts";
import { assertRule } from "./errors.ts";

/** How the results of a round are checked: by a quorum of the workers, or by proofs. */
export const JobMode = { QUORUM: 0, PROOF: 1 } as const;

/**
 * Terms of a job, as stored on chain: the fields and their order are those of `Spec` in Solidity.
 * Windows and the deadline are seconds, amounts are units of `token`, bps are ten-thousandths.
 */
export interface JobSpec {
  readonly requester: Hex;
  /** Seats to fill, 1 to 256. */
  readonly seats: number;
  /** Fewer working seats than this end the job. */
  readonly minSeats: number;
  /** 1 to 1024. */
  readonly rounds: number;
  /** Failed rounds that end the job, 1 to 16. */
  readonly maxFails: number;
  /** See {@link JobMode}. */
  readonly mode: number;
  /** Audited segments per selected seat and round (proof mode). */
  readonly auditSteps: number;
  /** Training steps per round. */
  readonly steps: number;
  readonly token: Hex;
  /** Probability that a seat is audited in a round (proof mode). */
  readonly auditBps: number;
  /** Part of the price that is paid for a delivered update. */
  readonly deliveryBps: number;
  /** Part of the price that is held until the requester accepts the result. */
  readonly holdBps: number;
  /** Unix seconds after which no further round starts; 0 for none. */
  readonly deadline: number;
  readonly joinWindow: number;
  readonly readyWindow: number;
  readonly commitWindow: number;
  readonly drawWindow: number;
  readonly proveWindow: number;
  readonly mergeWindow: number;
  readonly deliverWindow: number;
  /** Chained steps per proven segment (proof mode). */
  readonly segment: number;
  /** Constant N of the average: a power of two, at least `seats`. */
  readonly averaging: number;
  /** Price per worker and round: rises from priceMin to priceMax during the join window. */
  readonly priceMin: bigint;
  readonly priceMax: bigint;
  /** Stake per seat. */
  readonly stake: bigint;
  /** Burned from the stake for a missed commit. */
  readonly missPenalty: bigint;
  /** Paid per round to whoever sends the merge. */
  readonly mergeFee: bigint;
  readonly nBatches: bigint;
  /** Multiply-adds per round, for workers that compare the windows with their speed. */
  readonly workUnits: bigint;
  readonly stepVerifier: Hex;
  /** id(W_0). */
  readonly modelId: Hex;
  readonly dataRoot: Hex;
  /** Signer of admissions; the zero address lets everybody join. */
  readonly admitter: Hex;
  readonly beacon: Hex;
  /** keccak256 of the metadata that is published with the job. */
  readonly metaHash: Hex;
}

/** Solidity types of the fields in their order: the EIP-712 type of the specification. */
export const jobSpecFields = [
  ["requester", "address"],
  ["seats", "uint16"],
  ["minSeats", "uint16"],
  ["rounds", "uint16"],
  ["maxFails", "uint8"],
  ["mode", "uint8"],
  ["auditSteps", "uint8"],
  ["steps", "uint16"],
  ["token", "address"],
  ["auditBps", "uint16"],
  ["deliveryBps", "uint16"],
  ["holdBps", "uint16"],
  ["deadline", "uint40"],
  ["joinWindow", "uint32"],
  ["readyWindow", "uint32"],
  ["commitWindow", "uint32"],
  ["drawWindow", "uint32"],
  ["proveWindow", "uint32"],
  ["mergeWindow", "uint32"],
  ["deliverWindow", "uint32"],
  ["segment", "uint16"],
  ["averaging", "uint16"],
  ["priceMin", "uint128"],
  ["priceMax", "uint128"],
  ["stake", "uint128"],
  ["missPenalty", "uint128"],
  ["mergeFee", "uint128"],
  ["nBatches", "uint64"],
  ["workUnits", "uint64"],
  ["stepVerifier", "bytes32"],
  ["modelId", "bytes32"],
  ["dataRoot", "bytes32"],
  ["admitter", "address"],
  ["beacon", "address"],
  ["metaHash", "bytes32"],
] as const satisfies readonly (readonly [keyof JobSpec, string])[];

const text = new TextEncoder();

/** Type string of EIP-712. */
export const jobSpecType = `Spec(${jobSpecFields.map(([name, type]) => `${type} ${name}`).join(",")})`;

function abiWord(value: Hex | number | bigint): Uint8Array {
  return word(BigInt(value));
}

/** EIP-712 struct hash of the specification, 32 bytes. */
export function jobSpecHash(spec: JobSpec): Hex {
  const words = jobSpecFields.map(([name]) => abiWord(spec[name]));
  return toHex(keccak256(keccak256(text.encode(jobSpecType)), concatBytes(...words)));
}

/** keccak256("skynet/1/job"): tag of job ids. */
export const JOB_TAG: Hex = toHex(keccak256(text.encode("skynet/1/job")));

export interface JobIdParameters {
  readonly chainId: number | bigint;
  readonly jobBoard: Hex;
  readonly requester: Hex;
  /** Jobs that the requester posted before on this board. */
  readonly nonce: bigint;
  readonly specHash: Hex;
}

/** Id that the JobBoard gives to a job: it binds chain, contract, requester and terms. */
export function jobIdOf({ chainId, jobBoard, requester, nonce, specHash }: JobIdParameters): Hex {
  return toHex(
    keccak256(fromHex(JOB_TAG), word(chainId), abiWord(jobBoard), abiWord(requester), word(nonce), fromHex(specHash)),
  );
}

/** Units that `post` escrows: every seat and round at the highest price, and the merge fees. */
export function budgetOf(spec: Pick<JobSpec, "seats" | "rounds" | "priceMax" | "mergeFee">): bigint {
  return BigInt(spec.seats) * BigInt(spec.rounds) * spec.priceMax + BigInt(spec.rounds) * spec.mergeFee;
}

/** How the pay of one worker and round is split; the parts add up to the price exactly. */
export function payParts(spec: JobSpec, price: bigint): { compute: bigint; delivery: bigint; hold: bigint } {
  const delivery = (price * BigInt(spec.deliveryBps)) / 10_000n;
  const hold = (price * BigInt(spec.holdBps)) / 10_000n;
  return { compute: price - delivery - hold, delivery, hold };
}

/** Price of the rising clock at `at` seconds, for a job opened at `openedAt`. */
export function priceAt(spec: JobSpec, openedAt: number, at: number): bigint {
  const elapsed = Math.min(Math.max(at - openedAt, 0), spec.joinWindow);
  return spec.priceMin + ((spec.priceMax - spec.priceMin) * BigInt(elapsed)) / BigInt(spec.joinWindow);
}

/** First second at which the rising clock shows `price` or more, within the join window; undefined if it never does. */
export function timeOfPrice(spec: JobSpec, openedAt: number, price: bigint): number | undefined {
  if (price <= spec.priceMin) return openedAt;
  if (price > spec.priceMax) return undefined;
  const elapsed = divideUp((price - spec.priceMin) * BigInt(spec.joinWindow), spec.priceMax - spec.priceMin);
  return elapsed < BigInt(spec.joinWindow) ? openedAt + Number(elapsed) : undefined;
}

const divideUp = (a: bigint, b: bigint) => (a + b - 1n) / b;
const max = (a: bigint, b: bigint) => (a > b ? a : b);

/**
 * Stake below which a seat ends. Proof mode: the stake rule, so that faking one step, or all of them, costs more on
 * average than the round pays. Quorum mode has no audits, the rule cannot apply: a seat must cover its next miss.
 */
export function minStakeOf(
  spec: Pick<JobSpec, "mode" | "steps" | "segment" | "auditBps" | "auditSteps" | "priceMax" | "missPenalty">,
): bigint {
  if (spec.mode !== JobMode.PROOF) return spec.missPenalty;
  const segments = BigInt(Math.floor(spec.steps / spec.segment));
  const [bps, audited] = [BigInt(spec.auditBps), BigInt(spec.auditSteps)];
  const oneFake = divideUp(spec.priceMax * (10_000n * segments - bps * audited), segments * bps * audited);
  const allFake = divideUp(spec.priceMax * (10_000n - bps), bps);
  return max(oneFake, allFake);
}

const MAX_AMOUNT = 1n << 120n;
const WEEK_SECONDS = 7 * 86_400;
const HOUR_SECONDS = 3_600;

function checkAudit(spec: JobSpec): void {
  assertRule(spec.segment >= 1 && spec.segment <= 4 && spec.steps % spec.segment === 0, "BadAudit");
  assertRule(spec.auditSteps >= 1 && spec.auditSteps <= 16, "BadAudit");
  assertRule((spec.steps / spec.segment) % spec.auditSteps === 0, "BadAudit");
  assertRule(spec.auditBps >= 1 && spec.auditBps <= 10_000, "BadAudit");
}

function checkWindows(spec: JobSpec, minWindow: number): void {
  const windows = [spec.joinWindow, spec.readyWindow, spec.commitWindow, spec.proveWindow, spec.mergeWindow];
  for (const seconds of [...windows, spec.deliverWindow])
    assertRule(seconds >= minWindow && seconds <= WEEK_SECONDS, "BadWindow");
  if (spec.mode === JobMode.PROOF)
    assertRule(spec.drawWindow >= minWindow && spec.drawWindow <= HOUR_SECONDS, "BadWindow");
}

function checkMoney(spec: JobSpec): void {
  for (const amount of [spec.priceMin, spec.priceMax, spec.stake, spec.missPenalty, spec.mergeFee])
    assertRule(amount <= MAX_AMOUNT, "BadAmount");
  assertRule(spec.deliveryBps + spec.holdBps <= 10_000 && spec.priceMin <= spec.priceMax, "BadPrice");
  assertRule(spec.missPenalty * 8n <= spec.stake, "StakeTooLow");
  assertRule(spec.stake >= minStakeOf(spec) + spec.missPenalty, "StakeTooLow");
  assertRule(budgetOf(spec) < 1n << 128n, "BudgetTooLarge");
}

/**
 * The checks of `post` that need nothing but the terms themselves, the time and the chain's shortest window.
 * Quorum mode has no audits and no draw: auditSteps, auditBps, segment and drawWindow are not looked at.
 * @throws JobRuleError with the first rule that is broken
 */
export function checkSpec(spec: JobSpec, at: number, minWindow: number): void {
  assertRule(spec.mode === JobMode.QUORUM || spec.mode === JobMode.PROOF, "BadMode");
  assertRule(spec.minSeats >= 1 && spec.minSeats <= spec.seats && spec.seats <= 256, "BadSeats");
  assertRule(spec.averaging >= spec.seats && (spec.averaging & (spec.averaging - 1)) === 0, "BadAveraging");
  assertRule(spec.rounds >= 1 && spec.rounds <= 1024, "BadRounds");
  assertRule(spec.maxFails >= 1 && spec.maxFails <= 16, "BadFails");
  assertRule(spec.steps >= 1, "BadSteps");
  assertRule(spec.nBatches >= 1n, "BadBatches");
  if (spec.mode === JobMode.PROOF) checkAudit(spec);
  checkWindows(spec, minWindow);
  checkMoney(spec);
  assertRule(spec.deadline === 0 || spec.deadline > at + spec.joinWindow + spec.readyWindow, "BadDeadline");
}

/**
 * Index of the batch that `worker` trains on in `step` of `round`. `batchSeed` is fixed when the seats are assigned.
 */
export function batchIndex(batchSeed: Hex, worker: Hex, round: number, step: number, nBatches: bigint): bigint {
  const hash = keccak256(fromHex(batchSeed), abiWord(worker), word(round), word(step));
  return BigInt(toHex(hash)) % nBatches;
}
