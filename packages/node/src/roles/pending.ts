import type { Chain } from "@skynet/contracts";
import type { Ui } from "../cli/ui.ts";
import { systemClock } from "../runtime/clock.ts";

const POLL_MS = 500;

/**
 * Waits until no transaction of this account is on its way. A run that was killed may have sent one that does what this
 * run is about to do: what it did must be seen before it is looked for.
 */
export async function awaitPending(chain: Chain, ui: Ui, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const pending = await chain.pendingTransactions();
    if (pending === 0) return;
    ui.status(`waiting for ${pending} earlier transactions of this wallet to get into a block`);
    await systemClock.sleep(POLL_MS, signal);
  }
}
