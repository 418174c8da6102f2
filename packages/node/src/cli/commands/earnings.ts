import type { Command } from "commander";
import type { Chain } from "@skynet/contracts";
import type { Hex } from "@skynet/protocol";
import { collectEarnings, readEarnings } from "../../roles/earnings.ts";
import { tokenInfo, type TokenInfo } from "../../roles/token.ts";
import { keystoreAddress } from "../../wallet/keystore.ts";
import { addressArgument, openAccount, openReader } from "../account.ts";
import { formatAmount, shortId } from "../format.ts";
import {
  addChainOptions,
  addWalletOptions,
  resolveWallet,
  withUi,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";
import { tableText } from "../table.ts";

interface EarningsOptions extends ConnectionOptions, JsonOption {
  readonly worker?: Hex;
}

/** `skynet earnings [claim]`: what a worker has earned, job by job. */
export function addEarnings(program: Command): void {
  const earnings = addWalletOptions(
    addChainOptions(program.command("earnings").description("what a worker has earned, job by job; claim it")),
  )
    .option("--worker <address>", "the worker (default: the wallet that --keystore names)", addressArgument)
    .addHelpText("after", "\nExample:\n  $ npx skynet earnings --keystore worker.json")
    .action((options: EarningsOptions) => show(options));
  addWalletOptions(
    addChainOptions(
      earnings
        .command("claim")
        .description(
          "claim the pay and free the stakes of every job where it is possible; anybody may, for any worker",
        ),
    ),
  )
    .option("--worker <address>", "the worker (default: this wallet)", addressArgument)
    .addHelpText("after", "\nExample:\n  $ npx skynet earnings claim --keystore worker.json")
    .action((options: EarningsOptions) => claim(options));
}

const show = (options: EarningsOptions): Promise<void> =>
  withUi(options, async (ui) => {
    const worker = options.worker ?? (await keystoreAddress(resolveWallet(options).keystore));
    const chain = await openReader(options);
    const jobs = await readEarnings(chain, worker);
    const amount = await amounts(chain, jobs);
    if (jobs.length === 0) ui.line(`worker ${worker} has no seat in any job on this chain`);
    else
      ui.line(
        tableText(
          ["job", "phase", ">claimable", ">claimed", ">held", ">stake locked"],
          jobs.map((job) => [
            shortId(job.jobId),
            job.phase,
            ...[job.claimable + job.claimableHold, job.claimed, job.held, job.stake].map((value) =>
              amount(job.token, value),
            ),
          ]),
        ),
      );
    if (jobs.some(({ claimable, claimableHold, releasable }) => claimable + claimableHold > 0n || releasable))
      ui.line("npx skynet earnings claim collects what can be claimed");
    return { worker, jobs };
  });

const claim = (options: EarningsOptions): Promise<void> =>
  withUi(options, async (ui) => {
    const chain = await openAccount(options);
    const worker = options.worker ?? chain.address;
    const collected = await collectEarnings(chain, worker);
    const amount = await amounts(chain, collected);
    for (const { jobId, token, paid, stake } of collected)
      ui.line(`job ${shortId(jobId)}: ${amount(token, paid)} paid, stake of ${amount(token, stake)} free`);
    const { payout } = await chain.worker(worker);
    if (collected.length === 0) ui.line("there is nothing to claim now (npx skynet earnings shows what is held)");
    else ui.line(`the pay is in the Ledger balance of ${payout} (npx skynet wallet withdraw fetches it)`);
    return { worker, payout, collected };
  });

/** Texts of amounts in the tokens of these jobs. */
async function amounts(chain: Chain, jobs: readonly { readonly token: Hex }[]) {
  const known = new Map<Hex, TokenInfo>();
  for (const { token } of jobs) if (!known.has(token)) known.set(token, await tokenInfo(chain.rpcUrl, token));
  return (token: Hex, value: bigint): string => formatAmount(value, known.get(token)!);
}
