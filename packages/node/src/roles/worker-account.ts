import type { Chain } from "@skynet/contracts";
import { SkyNetError, type Hex } from "@skynet/protocol";
import { formatAmount } from "../cli/format.ts";
import { fundLedger, type TokenInfo } from "./token.ts";

export interface StakeToken extends TokenInfo {
  readonly address: Hex;
}

/** @throws SkyNetError `NotRegistered` */
export async function checkRegistered(chain: Chain, worker: Hex): Promise<{ payout: Hex }> {
  const { registered, payout } = await chain.worker(worker);
  if (registered && payout !== undefined) return { payout };
  throw new SkyNetError("NotRegistered", `${worker} is not registered as a worker`, {
    hint: "npx skynet worker register, with the worker's wallet, does it",
  });
}

/**
 * Adds to a worker's free stake, from the Ledger first and then from the wallet.
 * @throws SkyNetError `NotRegistered`, `InsufficientBalance` with both sums
 */
export async function addStake(chain: Chain, token: StakeToken, worker: Hex, amount: bigint): Promise<void> {
  await checkRegistered(chain, worker);
  await fundLedger(chain, token.address, amount);
  await chain.addStake(token.address, amount, worker);
}

/** What a call of `unstake` did. */
export type Unstaked =
  | { readonly step: "begun" | "waiting"; readonly amount: bigint; readonly due: number }
  | { readonly step: "finished"; readonly amount: bigint; readonly payout: Hex };

/**
 * The next step of taking stake back. Nothing leaves yet: begins with `amount`, or with all free stake. Something
 * leaves: fetches it when its time has come. A second begin would restart the wait of the first, so it is not made.
 * @throws SkyNetError `NotRegistered`, `NotPayout`, `NoFreeStake`, `UnstakePending`
 */
export async function unstake(chain: Chain, token: StakeToken, worker: Hex, amount?: bigint): Promise<Unstaked> {
  const { payout } = await checkRegistered(chain, worker);
  const text = (value: bigint) => formatAmount(value, token);
  const leaving = await chain.leaving(token.address, worker);
  if (leaving.amount > 0n) {
    if ((await chain.now()) >= leaving.due) {
      await chain.finishUnstake(token.address, worker);
      return { step: "finished", amount: leaving.amount, payout };
    }
    if (amount === undefined) return { step: "waiting", ...leaving };
    throw new SkyNetError(
      "UnstakePending",
      `${text(leaving.amount)} are leaving already and can be fetched from ${dateText(leaving.due)} on; adding to them would restart that wait`,
      { hint: "run npx skynet worker unstake without an amount then, and unstake more afterwards" },
    );
  }
  if (chain.address !== worker && chain.address !== payout)
    throw new SkyNetError("NotPayout", `only ${worker} or its payout address ${payout} may take its stake back`, {
      hint: "use --keystore with one of these wallets",
    });
  const { freeStake, lockedStake } = await chain.balances(token.address, worker);
  const wanted = amount ?? freeStake;
  if (wanted === 0n || wanted > freeStake)
    throw new SkyNetError(
      "NoFreeStake",
      `the free stake is ${text(freeStake)}${amount === undefined ? "" : `, less than ${text(amount)}`}; ${text(lockedStake)} are locked in jobs`,
      { hint: "npx skynet earnings claim frees the stakes of jobs that are over" },
    );
  await chain.beginUnstake(token.address, wanted, worker);
  return { step: "begun", ...(await chain.leaving(token.address, worker)) };
}

/** @throws SkyNetError `NotRegistered`, `NotPayout` */
export async function changePayout(chain: Chain, worker: Hex, payout: Hex): Promise<void> {
  const present = await checkRegistered(chain, worker);
  if (present.payout !== chain.address)
    throw new SkyNetError(
      "NotPayout",
      `only the present payout address ${present.payout} may name another one; this wallet is ${chain.address}`,
      { hint: "use --keystore with the payout wallet; a stolen worker key cannot redirect the money" },
    );
  await chain.setPayout(worker, payout);
}

/** A time on chain, for people. */
export const dateText = (seconds: number): string =>
  `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
