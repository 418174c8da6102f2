import type { Chain, ChainJobEvent } from "@skynet/contracts";
import { countSeats, JobMode, type Hex } from "@skynet/protocol";
import { decodeMetadata } from "@skynet/swarm";
import type { GasFigures, ProofFigures } from "../report/summary.ts";

/** What the chain says about the verification of a finished job. */
export async function proofFigures(chain: Chain, jobId: Hex): Promise<ProofFigures> {
  const { spec, state } = await chain.job(jobId);
  const events = await chain.events({ jobId });
  const gasOf = async (name: ChainJobEvent["name"]): Promise<GasFigures> => {
    const hashes = events.filter((event) => event.name === name).map(({ transactionHash }) => transactionHash);
    const all = await Promise.all([...new Set(hashes)].map((hash) => chain.gasUsed(hash)));
    const total = Number(all.reduce((sum, gas) => sum + gas, 0n));
    return { count: all.length, mean: all.length === 0 ? 0 : Math.round(total / all.length), total };
  };
  const proven = events.filter((event) => event.name === "Proven");
  const slots = Map.groupBy(proven, ({ args }) => `${args.round}/${args.seat}`);
  const isProof = spec.mode === JobMode.PROOF;
  const [prove, commit, draw, merge] = await Promise.all([
    gasOf("Proven"),
    gasOf("Committed"),
    gasOf("Drawn"),
    gasOf("Merged"),
  ]);
  return {
    mode: isProof ? "proof" : "quorum",
    zk: isProof && decodeMetadata(await chain.meta(jobId)).circuit?.hiding !== false,
    proofs: proven.length * spec.segment,
    provenWorkerRounds: [...slots.values()].filter((answers) => answers.length === spec.auditSteps).length,
    segment: isProof ? spec.segment : 0,
    steps: spec.steps,
    gas: { prove, commit, draw, merge },
    slashed: countSeats(state.slashed),
    workerIds: state.workers,
  };
}
