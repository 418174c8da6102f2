// A worker that stays away is waited for until a phase ends. These let the rest of that window pass at once, when the
// others have done what they can: a slow machine has all the time that it needs, a fast one waits for nobody.
import type { Chain } from "@skynet/contracts";
import { countSeats, JobPhase, type Hex, type JobView } from "@skynet/protocol";
import { expect } from "vitest";
import type { TestNetwork } from "./network.ts";

export interface AbsenceScene {
  readonly network: TestNetwork;
  readonly chain: Chain;
  readonly jobId: Hex;
}

const LONGEST_WAIT = { timeout: 200_000 };

/** Waits until `count` workers have committed in a round, and ends the commits. */
export async function endCommits(scene: AbsenceScene, round: number, count: number): Promise<void> {
  const { network, chain, jobId } = scene;
  const { spec } = await chain.job(jobId);
  const { phaseAt } = await stateWith(scene, round, (state) =>
    state.phase === JobPhase.COMMIT ? countSeats(state.committed) >= count : false,
  );
  await network.passUntil(phaseAt + spec.commitWindow);
}

/** Waits until `count` workers have proven their steps of a round and vouched for what they have, and ends the proofs. */
export async function endProofs(scene: AbsenceScene, round: number, count: number): Promise<void> {
  const { network, chain, jobId } = scene;
  const { spec } = await chain.job(jobId);
  const { phaseAt } = await stateWith(scene, round, (state) => countSeats(state.proven) >= count);
  // From half of the window on they vouch for less than everything, and late in it send fewer signatures than all.
  await network.passUntil(phaseAt + Math.ceil(0.8 * spec.proveWindow));
  await stateWith(scene, round, (state) => countSeats(state.attested) >= count);
  await network.passUntil(phaseAt + spec.proveWindow);
}

async function stateWith(scene: AbsenceScene, round: number, holds: (state: JobView) => boolean): Promise<JobView> {
  let state: JobView;
  const look = async () => {
    ({ state } = await scene.chain.job(scene.jobId));
    if (state.round > round || state.phase === JobPhase.SETTLED) throw new Error(`round ${round} is over`);
    return state.round === round && holds(state);
  };
  await expect.poll(look, LONGEST_WAIT).toBe(true);
  return state!;
}
