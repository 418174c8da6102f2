import type { Chain } from "@skynet/contracts";
import { JobMode, JobOutcome, JobPhase, nameOf, type Hex } from "@skynet/protocol";
import { decodeMetadata, type Requirements } from "@skynet/swarm";
import { zeroAddress } from "viem";
import { formatAmount } from "../cli/format.ts";
import { tokenInfo } from "./token.ts";

/** What the chain says about one job, in words. */
export async function describeJob(chain: Chain, jobId: Hex) {
  const { spec, state, modelId } = await chain.job(jobId);
  const token = await tokenInfo(chain.rpcUrl, spec.token);
  const money = await chain.money(jobId);
  const { name, zk } = readMetadata(await chain.meta(jobId));
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

/** Whom a job takes, in words. */
export function describeAccess(admitter: string, meta: Uint8Array): { requirements: string; admission: string } {
  const { requirements } = readMetadata(meta);
  return {
    requirements: requirements === undefined ? "none" : requirementsText(requirements),
    admission: admitter === zeroAddress ? "open" : `by ${admitter}`,
  };
}

/** Metadata comes from strangers: a malformed one must not hide the job. */
function readMetadata(meta: Uint8Array) {
  try {
    const { name, circuit, requirements } = decodeMetadata(meta);
    return { name, zk: circuit?.hiding !== false, requirements };
  } catch {
    return { name: "(metadata not readable)", zk: false, requirements: undefined };
  }
}

/** For example "8 GiB, 4 cores, a GPU, in eu or us, 20 paid rounds". */
function requirementsText({ memoryGiB, cores, gpu, regions, reputation }: Requirements): string {
  const { rounds, slashes } = reputation ?? {};
  return [
    ...(memoryGiB === undefined ? [] : [`${memoryGiB} GiB`]),
    ...(cores === undefined ? [] : [`${cores} cores`]),
    ...(gpu ? ["a GPU"] : []),
    ...(regions === undefined ? [] : [`in ${regions.join(" or ")}`]),
    ...(rounds === undefined ? [] : [`${rounds} paid rounds`]),
    ...(slashes === undefined ? [] : [`at most ${slashes} slashes`]),
  ].join(", ");
}
