import {
  budgetOf,
  fromHex,
  JobMode,
  keccak256,
  minStakeOf,
  SkyNetError,
  toHex,
  type Hex,
  type JobSpec,
} from "@skynet/protocol";
import {
  checkAnswerCost,
  circuitOf,
  ZERO_32,
  type AnswerTerms,
  type MadeChoices,
  type ModelShape,
  type Weights,
} from "@skynet/swarm";
import { zeroAddress } from "viem";
import { formatAmount } from "../cli/format.ts";
import type { JobFile } from "../job-file.ts";
import type { LocalNode } from "./local-node.ts";
import type { PostedJob } from "./posted-job.ts";
import { parseAmount, tokenInfo, tokenOrDefault, type TokenInfo } from "./token.ts";
import { beaconOf, type OwnVerifier } from "./verifier.ts";

/** A job's model, checked and loaded into the trainer. */
export interface PreparedModel {
  readonly shape: ModelShape;
  readonly initialSeed: Uint8Array;
  readonly initialWeights: Weights;
  readonly averaging: number;
  readonly model: Uint8Array;
  /** id(W_0). */
  readonly modelId: Hex;
  /** Of jobs that are proven. */
  readonly verifier: OwnVerifier | undefined;
}

/** @throws InvalidInputError `NoToken` */
export const tokenOf = ({ chain }: LocalNode, { payment }: JobFile): Hex => tokenOrDefault(chain, payment.token);

export async function amountText(node: LocalNode, token: Hex, value: bigint): Promise<string> {
  return formatAmount(value, await tokenInfo(node.chain.rpcUrl, token));
}

/** Amounts of a job file in units of its token. @throws InvalidInputError `BadAmount` naming the key */
export function amountsOf({ payment }: Pick<JobFile, "payment">, info: TokenInfo) {
  const amount = (key: string, text: string) => parseAmount(text, info, `payment.${key}`);
  return {
    priceMin: amount("pricePerRound", payment.pricePerRound.from),
    priceMax: amount("pricePerRound", payment.pricePerRound.to),
    stake: amount("stake", payment.stake),
    missPenalty: amount("missPenalty", payment.missPenalty),
    mergeFee: amount("mergeFee", payment.mergeFee),
  };
}

/**
 * The job's terms as the contract takes them.
 * @throws InvalidInputError `BadAmount`; SkyNetError `AnswerTooLarge`, `AnswerTooDear` when no worker could answer its audits on chain
 */
export async function specOf(
  node: LocalNode,
  prepared: PreparedModel,
  job: JobFile,
  data: Pick<PostedJob, "metadata" | "dataRoot" | "nBatches">,
): Promise<JobSpec> {
  const { payment, training, windows, workers } = job;
  const token = tokenOf(node, job);
  const amounts = amountsOf(job, await tokenInfo(node.chain.rpcUrl, token));
  if (prepared.shape.proof) checkAnswerCost(prepared.shape.proof, answerTerms(job, data.nBatches));
  const parameters = prepared.initialWeights.reduce((sum, { length }) => sum + length, 0);
  return {
    requester: node.chain.address,
    seats: workers.count,
    minSeats: workers.minimum ?? workers.count,
    rounds: training.rounds,
    maxFails: job.maxFailedRounds,
    ...auditTerms(node, job, prepared.verifier),
    steps: training.localSteps,
    token,
    deliveryBps: Math.round(payment.deliveryPercent * 100),
    holdBps: Math.round(payment.holdPercent * 100),
    deadline: 0,
    joinWindow: windows.join,
    readyWindow: windows.ready,
    commitWindow: windows.commit,
    proveWindow: windows.prove,
    mergeWindow: windows.merge,
    deliverWindow: windows.deliver,
    averaging: prepared.averaging,
    ...amounts,
    nBatches: BigInt(data.nBatches),
    workUnits: 3n * BigInt(parameters) * BigInt(training.batchSize) * BigInt(training.localSteps),
    modelId: prepared.modelId,
    dataRoot: data.dataRoot,
    admitter: workers.admission === "requester" ? node.chain.address : zeroAddress,
    metaHash: toHex(keccak256(fromHex(data.metadata))),
  };
}

/** What the job chooses for its circuit; zero knowledge is what it has unless it says otherwise. */
export const circuitOfJob = ({ verification: { circuit, zeroKnowledge } }: JobFile): MadeChoices =>
  circuitOf({ ...circuit, hiding: zeroKnowledge ? undefined : false });

const answerTerms = ({ training, verification }: JobFile, nBatches: number): AnswerTerms => ({
  steps: training.localSteps,
  segment: verification.segment,
  auditSteps: verification.auditSegments,
  nBatches,
});

type AuditTerms = Pick<
  JobSpec,
  "mode" | "auditSteps" | "auditBps" | "drawWindow" | "segment" | "stepVerifier" | "beacon"
>;

function auditTerms(node: LocalNode, job: JobFile, verifier: OwnVerifier | undefined): AuditTerms {
  const { verification, windows, training } = job;
  if (verifier === undefined)
    return {
      mode: JobMode.QUORUM,
      auditSteps: 0,
      auditBps: 0,
      drawWindow: 0,
      segment: training.localSteps,
      stepVerifier: ZERO_32,
      beacon: zeroAddress,
    };
  return {
    mode: JobMode.PROOF,
    auditSteps: verification.auditSegments,
    auditBps: Math.round(verification.auditPercent * 100),
    drawWindow: windows.draw,
    segment: verification.segment,
    stepVerifier: verifier.verifierId,
    beacon: beaconOf(node.chain, verification.beacon),
  };
}

/**
 * The stake rule, before anything is done for the job: a worker that fakes steps must lose more on average than the
 * round pays.
 * @throws InvalidInputError `BadAmount`; SkyNetError `StakeTooLow` naming the stake that is needed
 */
export async function checkStake(node: LocalNode, job: JobFile): Promise<void> {
  const { training, verification } = job;
  const info = await tokenInfo(node.chain.rpcUrl, tokenOf(node, job));
  const { priceMax, stake, missPenalty } = amountsOf(job, info);
  const least = minStakeOf({
    mode: verification.mode === "proof" ? JobMode.PROOF : JobMode.QUORUM,
    steps: training.localSteps,
    segment: verification.segment,
    auditBps: Math.round(verification.auditPercent * 100),
    auditSteps: verification.auditSegments,
    priceMax,
    missPenalty,
  });
  const needed = [least + missPenalty, 8n * missPenalty].reduce((a, b) => (a > b ? a : b));
  if (stake >= needed) return;
  throw new SkyNetError(
    "StakeTooLow",
    `payment.stake is ${formatAmount(stake, info)}, but ${formatAmount(needed, info)} are needed: less would make it pay to fake steps`,
    { hint: "raise payment.stake, or audit more: verification.auditSegments, verification.auditPercent" },
  );
}

export type MoneyTerms = Pick<JobSpec, "token" | "seats" | "rounds" | "priceMin" | "priceMax" | "mergeFee">;

/** What a job costs, as far as its terms say. */
export async function moneyTerms(node: LocalNode, job: JobFile, token: Hex) {
  const info = await tokenInfo(node.chain.rpcUrl, token);
  const { priceMin, priceMax, mergeFee } = amountsOf(job, info);
  const seats = job.workers.count;
  const terms: MoneyTerms = { token, seats, rounds: job.training.rounds, priceMin, priceMax, mergeFee };
  return { terms, info };
}

/** @throws SkyNetError `InsufficientBalance` naming both sums; returns the budget */
export async function checkBalance(node: LocalNode, job: JobFile): Promise<bigint> {
  const token = tokenOf(node, job);
  const { terms, info } = await moneyTerms(node, job, token);
  const budget = budgetOf(terms);
  const self = node.chain.address;
  const { wallet, ledger } = await node.chain.balances(token);
  const balance = wallet + ledger;
  if (balance < budget)
    throw new SkyNetError(
      "InsufficientBalance",
      `the budget is ${formatAmount(budget, info)}, the wallet ${self} has ${formatAmount(balance, info)}`,
      { hint: "lower payment.pricePerRound, workers.count or training.rounds, or send tokens to the wallet" },
    );
  return budget;
}
