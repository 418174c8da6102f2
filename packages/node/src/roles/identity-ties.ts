import type { Chain } from "@skynet/contracts";
import { JobPhase, type Hex } from "@skynet/protocol";
import { formatEther } from "viem";
import { formatAmount, shortId } from "../cli/format.ts";
import { readEarnings, type JobEarnings } from "./earnings.ts";
import { tokenInfo, type TokenInfo } from "./token.ts";

/** Something that a key has on the chain. */
export interface Tie {
  readonly kind: "seat" | "earnings" | "stake" | "job" | "listing" | "offer" | "relay" | "registration" | "money";
  readonly text: string;
  /** What to do about it before the key is given up. */
  readonly remedy: string;
  /** Whether a node that uses another key from now on would lose it or break a promise. */
  readonly holds: boolean;
}

/**
 * What depends on a key on this chain: seats and pay of jobs, stakes, own jobs, listings, offers, its registration and
 * its money. Tokens that only the key's wallet knows are not seen; `tokens` names them.
 * @throws ChainError `ChainUnreachable`
 */
export async function tiesOf(chain: Chain, address: Hex, tokens: readonly Hex[] = []): Promise<Tie[]> {
  const earnings = await readEarnings(chain, address);
  const all = [...new Set([...tokens, chain.addresses.testToken, ...earnings.map(({ token }) => token)])];
  const infos = new Map<Hex, TokenInfo>();
  for (const token of all) {
    const info = await tokenInfo(chain.rpcUrl, token).catch(() => undefined);
    if (info !== undefined) infos.set(token, info);
  }
  const parts = await Promise.all([
    Promise.resolve(earnings.flatMap((job) => seatTies(job, infos))),
    Promise.all([...infos].map(([token, info]) => moneyTies(chain, address, token, info))).then((ties) => ties.flat()),
    ownJobTies(chain, address),
    marketTies(chain, address),
    relayTies(chain, address),
    registrationTies(chain, address),
  ]);
  return parts.flat();
}

function seatTies(job: JobEarnings, infos: ReadonlyMap<Hex, TokenInfo>): Tie[] {
  const { jobId, token, phase, claimable, claimableHold, held } = job;
  const info = infos.get(token);
  const amount = (value: bigint) => (info ? formatAmount(value, info) : `${value} units of ${token}`);
  const ties: Tie[] = [];
  if (phase !== "SETTLED")
    ties.push({
      kind: "seat",
      text: `a seat in job ${shortId(jobId)} (${phase})`,
      remedy: "let the worker finish the job; silence costs its stake",
      holds: true,
    });
  const open = claimable + claimableHold + held;
  if (open > 0n)
    ties.push({
      kind: "earnings",
      text: `${amount(open)} earned in job ${shortId(jobId)} and not claimed`,
      remedy: "npx skynet earnings claim",
      holds: true,
    });
  return ties;
}

async function moneyTies(chain: Chain, address: Hex, token: Hex, info: TokenInfo): Promise<Tie[]> {
  const { wallet, ledger, freeStake, lockedStake, leavingStake } = await chain.balances(token, address);
  const amount = (value: bigint) => formatAmount(value, info);
  const stake = freeStake + lockedStake + leavingStake;
  const ties: Tie[] = [];
  if (stake > 0n)
    ties.push({
      kind: "stake",
      text: `${amount(stake)} of stake (${amount(freeStake)} free, ${amount(lockedStake)} locked in jobs, ${amount(leavingStake)} leaving)`,
      remedy: "npx skynet worker unstake, when its jobs are over",
      holds: true,
    });
  if (wallet + ledger > 0n)
    ties.push({
      kind: "money",
      text: `${amount(wallet)} in its wallet and ${amount(ledger)} in the Ledger`,
      remedy: "npx skynet wallet withdraw with the old key, then send it to the new address",
      holds: false,
    });
  return ties;
}

async function ownJobTies(chain: Chain, requester: Hex): Promise<Tie[]> {
  const ids = await chain.jobIds({ requester });
  const jobs = await Promise.all(ids.map((jobId) => chain.job(jobId)));
  return jobs
    .filter(({ state }) => state.phase !== JobPhase.SETTLED)
    .map(({ jobId }) => ({
      kind: "job",
      text: `job ${shortId(jobId)}, which it posted, is not over`,
      remedy: "lead it to its end with the old key: npx skynet train JOB.yaml",
      holds: true,
    }));
}

/** The keys of listings follow from the seller's key: with another one nothing can be delivered. */
async function marketTies(chain: Chain, address: Hex): Promise<Tie[]> {
  const [listings, offers] = await Promise.all([
    chain.catalog.listings({ seller: address }),
    chain.inference.offers({ host: address }),
  ]);
  const active = await Promise.all(listings.map(({ listingId }) => chain.catalog.listing(listingId)));
  const open = await Promise.all(offers.map(({ offerId }) => chain.inference.offerOf(offerId)));
  return [
    ...active
      .filter((listing) => listing.active)
      .map(({ listingId }): Tie => ({
        kind: "listing",
        text: `listing ${shortId(listingId)} is for sale`,
        remedy: "end the sale first (npx skynet data remove, npx skynet model remove)",
        holds: true,
      })),
    ...open
      .filter((offer) => offer.active)
      .map(({ offerId }): Tie => ({
        kind: "offer",
        text: `offer ${shortId(offerId)} takes requests`,
        remedy: "npx skynet model remove",
        holds: true,
      })),
  ];
}

async function relayTies({ relays }: Chain, address: Hex): Promise<Tie[]> {
  const deposit = await relays.deposit(address);
  if (deposit === 0n) return [];
  return [
    {
      kind: "relay",
      text: `a place on the chain's list of relays, with ${formatEther(deposit)} ether locked`,
      remedy: "stop the relay (npx skynet relay --register): it takes itself off the list and fetches the deposit",
      holds: true,
    },
  ];
}

async function registrationTies(chain: Chain, address: Hex): Promise<Tie[]> {
  const [{ registered, payout }, { roundsPaid, slashes }, wei] = await Promise.all([
    chain.worker(address),
    chain.reputation(address),
    chain.gasBalance(address),
  ]);
  const ties: Tie[] = [];
  if (registered)
    ties.push({
      kind: "registration",
      text: `it is registered as a worker (payout ${payout}; ${roundsPaid} rounds paid, ${slashes} slashes)`,
      remedy:
        "the new key registers anew, with its first job or by npx skynet worker register, and starts without a record",
      holds: false,
    });
  if (wei > 0n)
    ties.push({
      kind: "money",
      text: `${formatEther(wei)} ether for gas`,
      remedy: "send it to the new address with any Ethereum wallet and the old key",
      holds: false,
    });
  return ties;
}
