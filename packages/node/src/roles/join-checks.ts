import type { Chain } from "@skynet/contracts";
import { segmentsOf, SkyNetError, timeOfPrice, type Hex, type JobSpec } from "@skynet/protocol";
import {
  assertProofsFit,
  proofsFit,
  unmetRequirements,
  ZERO_32,
  type Capabilities,
  type JobMetadata,
  type MeasuredStep,
  type ModelShape,
  type Trainer,
} from "@skynet/swarm";
import { zeroAddress } from "viem";
import { formatAmount, formatSeconds } from "../cli/format.ts";
import { parseAmount, tokenInfo } from "./token.ts";

/** What a worker takes, in decimal tokens. */
export interface JoinLimits {
  /** Least pay for one round. */
  readonly minPrice: string;
  /** Jobs that ask for more stake are left alone. */
  readonly maxStake: string;
}

type JobReads = Pick<Chain, "job" | "now" | "rpcUrl">;

/** The job may be joined later. */
export class NotYet extends SkyNetError {
  readonly waitMs: number;

  constructor(message: string, waitMs: number) {
    super("PriceTooLow", message);
    this.waitMs = waitMs;
  }
}

/** A job whose price will do within this time is looked at closely already. */
const PREPARE_MS = 10_000;

/**
 * Whether stake and price suit the worker. The price of a job may rise until its seats are full.
 * @returns the least price, and how long it takes until the job pays it
 * @throws SkyNetError `StakeTooHigh`, `PriceTooLow` when the price never gets there; {@link NotYet}
 */
export async function checkMoney(chain: JobReads, jobId: Hex, limits: JoinLimits) {
  const { spec, state } = await chain.job(jobId);
  const token = await tokenInfo(chain.rpcUrl, spec.token);
  const text = (value: bigint) => formatAmount(value, token);
  if (spec.stake > parseAmount(limits.maxStake, token))
    throw new SkyNetError("StakeTooHigh", `the job asks for a stake of ${text(spec.stake)}, more than --max-stake`);
  const minPrice = parseAmount(limits.minPrice, token);
  const at = timeOfPrice(spec, state.openedAt, minPrice);
  if (at === undefined)
    throw new SkyNetError("PriceTooLow", `the job pays at most ${text(spec.priceMax)} a round, less than --min-price`);
  const waitMs = Math.max(0, at - (await chain.now())) * 1000;
  if (waitMs > PREPARE_MS)
    throw new NotYet(
      `the job will pay --min-price in ${formatSeconds(waitMs / 1000)}, on the way from ${text(spec.priceMin)} to ${text(spec.priceMax)}`,
      waitMs - PREPARE_MS,
    );
  return { minPrice, waitMs };
}

/** @throws SkyNetError `RequirementsNotMet` with every reason */
export async function checkRequirements(
  chain: Pick<Chain, "address" | "reputation">,
  { requirements }: JobMetadata,
  capabilities: Capabilities,
): Promise<void> {
  if (requirements === undefined) return;
  const unmet = unmetRequirements(requirements, capabilities, await chain.reputation(chain.address));
  if (unmet.length > 0) throw new SkyNetError("RequirementsNotMet", unmet.join("; "));
}

/** Measurements of which the shortest counts: other programs disturb all but the luckiest. */
const MEASUREMENTS = 3;
/** A round must fit into the commit window this many times: other programs and the fetching of data need theirs. */
const HEADROOM = 2;

export interface Measured {
  readonly stepMs: number;
  /** One commitment to the result of a step. */
  readonly checkpointMs: number;
  /** One proof of a step, in proof mode. */
  readonly proveMs: number | undefined;
}

/**
 * Times real steps of the loaded model, from the weights that the job begins with.
 * @throws SkyNetError `Overflow`, `OutOfMemory`, as a proof fails
 */
export async function measureSteps(
  trainer: Trainer,
  shape: ModelShape,
  { batchSize, initialSeed }: JobMetadata,
  spec: JobSpec,
): Promise<Measured> {
  const weights = await trainer.initialWeights(initialSeed);
  const start = { weights, ...(await trainer.identify(weights)), secret: new Uint8Array(32) };
  await trainer.setWeights(start);
  const batch = { x: new Int8Array(batchSize * shape.features).fill(1), y: new Uint8Array(batchSize) };
  const timeOf = async (action: () => Promise<unknown>) => {
    const startedMs = performance.now();
    await action();
    return performance.now() - startedMs;
  };
  let [stepMs, checkpointMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < MEASUREMENTS; i++) {
    stepMs = Math.min(stepMs, await timeOf(() => trainer.step(batch)));
    checkpointMs = Math.min(checkpointMs, await timeOf(() => trainer.checkpoint()));
  }
  if (shape.proof === undefined) return { stepMs, checkpointMs, proveMs: undefined };
  // A proof for nobody: neither it nor its commitments leave this machine.
  const header = { chainId: 0, verifier: zeroAddress, context: ZERO_32 };
  const prove = async () => {
    await trainer.setWeights(start);
    return timeOf(() => trainer.proveStep(header, { ...batch, index: 0, secret: new Uint8Array(32) }));
  };
  let proveMs = await prove();
  // The first proof of a process is slower than those after it.
  if (!proofsFit(proofTerms(spec), { stepMs, proveMs })) proveMs = Math.min(proveMs, await prove());
  return { stepMs, checkpointMs, proveMs };
}

const proofTerms = ({ steps, auditSteps, segment, proveWindow }: JobSpec) => ({
  steps,
  auditSteps,
  segment,
  proveWindowMs: proveWindow * 1000,
});

/** @throws SkyNetError `TooSlow` unless twice a round's work fits the commit window, and twice its proofs the prove window */
export function checkSpeed(spec: JobSpec, { stepMs, checkpointMs, proveMs }: Measured): void {
  const checkpoints = proveMs === undefined ? 1 : segmentsOf(spec);
  const needSeconds = (stepMs * spec.steps + checkpointMs * checkpoints) / 1000;
  if (HEADROOM * needSeconds > spec.commitWindow)
    throw new SkyNetError(
      "TooSlow",
      `a round of ${spec.steps} steps takes this machine ${needSeconds.toFixed(1)} s; ` +
        `the job allows ${spec.commitWindow} s, and half of them are kept in reserve`,
    );
  if (proveMs !== undefined) assertProofsFit(proofTerms(spec), { stepMs, proveMs } satisfies MeasuredStep);
}
