import type { Chain } from "@skynet/contracts";
import { budgetOf } from "@skynet/protocol";
import { formatAmount } from "../cli/format.ts";
import type { MoneyTerms } from "./job-terms.ts";
import type { TokenInfo } from "./token.ts";

export interface BudgetPreview {
  /** What is escrowed: every seat and round at the highest price, and the merge fees. */
  readonly most: bigint;
  /** What it will cost if everything goes well, and the price at which the seats fill is as in `basis`. */
  readonly about: bigint;
  readonly basis: string;
}

/** Jobs whose prices are looked at, and blocks in which they are looked for. */
const LATEST_JOBS = 10;
const LATEST_BLOCKS = 50_000n;
/** Steps of the clock, from the lowest price to the highest. */
const SCALE = 1_000n;

/**
 * What a job will cost. A rising price is expected to stop where it stopped in the latest jobs of this chain, as a part
 * of the way up; without any, half-way.
 */
export async function previewBudget(chain: Chain, terms: MoneyTerms, token: TokenInfo): Promise<BudgetPreview> {
  const most = budgetOf(terms);
  const { priceMin, priceMax } = terms;
  if (priceMin === priceMax)
    return { most, about: most, basis: `the price is fixed at ${formatAmount(priceMax, token)} a round` };
  const earlier = await latestStops(chain);
  const stop =
    earlier.length === 0 ? SCALE / 2n : earlier.reduce((sum, part) => sum + part, 0n) / BigInt(earlier.length);
  const price = priceMin + ((priceMax - priceMin) * stop) / SCALE;
  const where = earlier.length === 0 ? "half-way up" : `where it stopped in the latest ${earlier.length} jobs`;
  const basis = `if the rising price stops ${where}, at ${formatAmount(price, token)} a round`;
  return { most, about: budgetOf({ ...terms, priceMax: price }), basis };
}

/** How far up the rising price was when the seats of the latest jobs were full, in thousandths. */
async function latestStops(chain: Chain): Promise<bigint[]> {
  const head = await chain.blockNumber();
  const recent = head > LATEST_BLOCKS ? head - LATEST_BLOCKS : 0n;
  const events = await chain.events({ fromBlock: recent > chain.firstBlock ? recent : chain.firstBlock });
  const stops: bigint[] = [];
  for (const event of events.filter(({ name }) => name === "Assigned").slice(-LATEST_JOBS)) {
    const { spec, state } = await chain.job(event.jobId);
    const range = spec.priceMax - spec.priceMin;
    if (range > 0n) stops.push(((state.price - spec.priceMin) * SCALE) / range);
  }
  return stops;
}
