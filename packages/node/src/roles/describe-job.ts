import type { Chain } from "@skynet/contracts";
import { JobMode, JobOutcome, JobPhase, nameOf, type Hex } from "@skynet/protocol";
import { decodeMetadata } from "@skynet/swarm";
import { formatAmount } from "../cli/format.ts";
import { tokenInfo } from "./token.ts";

/** What the chain says about one job, in words. */
export async function describeJob(chain: Chain, jobId: Hex) {
  const { spec, state, modelId } = await chain.job(jobId);
  const token = await tokenInfo(chain.rpcUrl, spec.token);
  const money = await chain.money(jobId);
  const { name, zk } = await readMetadata(chain, jobId);
  const [from, to] = [formatAmount(spec.priceMin, token), formatAmount(spec.priceMax, token)];
  return {
    jobId,
    name,
    requester: spec.requester,
    phase: nameOf(JobPhase, state.phase),
    outcome: nameOf(JobOutcome, state.outcome),
    round: state.round,
    rounds: spec.rounds,
    seats: spec.seats,
    workers: state.workers,
    offers: spec.priceMin === spec.priceMax ? to : `${from} rising to ${to}`,
    price: formatAmount(state.price, token),
    stake: formatAmount(spec.stake, token),
    budget: formatAmount(money.budget, token),
    paid: formatAmount(money.paid, token),
    refunded: formatAmount(money.refunded, token),
    burned: formatAmount(money.burned, token),
    modelId,
    verification: spec.mode === JobMode.PROOF ? `proof, ${zk ? "" : "not "}zero-knowledge` : "quorum of signatures",
  };
}

/** Metadata comes from strangers: a malformed one must not hide the job. */
async function readMetadata(chain: Chain, jobId: Hex): Promise<{ name: string; zk: boolean }> {
  try {
    const { name, circuit } = decodeMetadata(await chain.meta(jobId));
    return { name, zk: circuit?.hiding !== false };
  } catch {
    return { name: "(metadata not readable)", zk: false };
  }
}
