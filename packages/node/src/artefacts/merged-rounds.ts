import type { Chain } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";

/** Ids of the models after the merged rounds of a job, in their order; 1 is the first round. */
export async function mergedRounds(chain: Pick<Chain, "events">, jobId: Hex): Promise<ReadonlyMap<number, Hex>> {
  const merged = new Map<number, Hex>();
  for (const event of await chain.events({ jobId }))
    if (event.name === "Merged") merged.set(Number(event.args.round) + 1, event.args.idNext as Hex);
  return merged;
}
