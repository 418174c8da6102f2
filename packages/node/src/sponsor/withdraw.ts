import type { Hex } from "@skynet/protocol";
import type { Log } from "@skynet/swarm";
import { formatAmount } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { tokenInfo } from "../roles/token.ts";
import type { GasPayment } from "./gas.ts";

/**
 * Sends everything that a worker's payout address has in the Ledger to its wallet. Failing costs nothing: the money
 * stays in the Ledger, and after the next job it is tried again.
 */
export async function withdrawPay(
  node: GasPayment & { readonly log: Log },
  jobId: Hex,
  token: Hex,
  { ui, rpcUrl }: { readonly ui: Ui; readonly rpcUrl: string },
): Promise<void> {
  const { chain, log } = node;
  try {
    const { payout = chain.address } = await chain.worker(chain.address);
    const { ledger } = await chain.balances(token, payout);
    if (ledger === 0n) return;
    await node.chainFor(jobId).withdrawFor(token, payout);
    ui.event("withdrawn", { jobId, token, amount: ledger, payout });
    ui.line(`withdrew ${formatAmount(ledger, await tokenInfo(rpcUrl, token))} to ${payout}`);
  } catch (error) {
    log.warn({ error: String(error) }, "the pay could not be withdrawn; it stays in the Ledger");
    ui.line("the pay stays in the Ledger for now: it could not be withdrawn");
  }
}
