// A seller's node: serves what it lists, delivers keys, answers requests, collects pay. All it needs to know is on the
// chain and in its folder, so a restart is the normal case.
import { SkyNetError } from "@skynet/protocol";
import { shortId } from "../cli/format.ts";
import type { Ui } from "../cli/ui.ts";
import { publicFiles } from "../runtime/blocks.ts";
import { systemClock } from "../runtime/clock.ts";
import { openContent } from "./content.ts";
import { createAnswerDesk } from "./host-answers.ts";
import { createSalesDesk } from "./host-sales.ts";
import { openNode, type LocalNode, type NodeOptions } from "./local-node.ts";

export interface HostOptions extends NodeOptions {
  /** Deliver keys even when the buyer may cancel: it could take key and money. */
  readonly deliverLate: boolean;
  readonly ui: Ui;
}

const PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;

/** Runs until the signal aborts. @throws ChainError `NotDeployed`, NetworkError, FileError `FolderInUse` */
export async function runHost(options: HostOptions): Promise<void> {
  const { ui, signal } = options;
  const node = await openNode(options, "host");
  const answers = createAnswerDesk(node, options);
  const sales = createSalesDesk(node, options);
  try {
    const [listings, offers] = [await sales.open(), await answers.open()];
    ui.line(`serving ${listings} listings and ${offers} offers as ${node.chain.address}`);
    ui.event("ready", { address: node.chain.address, listings, offers });
    await Promise.all([
      repeat(node, "sales", sales.step, signal),
      repeat(node, "answers", answers.step, signal),
      repeat(node, "files", createFileDesk(node), signal),
    ]);
  } finally {
    await answers.close();
    await node.close();
  }
}

/** Opens what a user makes public while the node runs: npx skynet storage add --public. */
function createFileDesk(node: LocalNode): () => Promise<void> {
  const open = new Set<string>();
  return async () => {
    for (const cid of publicFiles(node.blocks)) {
      if (open.has(cid)) continue;
      await openContent(node, cid);
      open.add(cid);
      node.log.info({ cid }, "a public file is served");
    }
  };
}

/** A failure must not end the node: the chain may be away for a while. */
async function repeat({ log }: LocalNode, name: string, step: () => Promise<void>, signal: AbortSignal): Promise<void> {
  let pause = PAUSE_MS;
  while (!signal.aborted) {
    try {
      await step();
      pause = PAUSE_MS;
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ name, error: (error as Error).message }, "a step failed; it is repeated");
      pause = Math.min(2 * pause, MAX_PAUSE_MS);
    }
    await systemClock.sleep(pause, signal).catch(() => undefined);
  }
}

const OVERLAP = 32n;

/** Where to begin looking again after the blocks before `next` were looked at. */
export const back = (next: bigint): bigint => (next > OVERLAP ? next - OVERLAP : 0n);

/** What to tell about a failure that concerns one order. */
export function failureText(orderId: string, error: unknown): string {
  const hint = error instanceof SkyNetError && error.hint ? ` (${error.hint})` : "";
  return `order ${shortId(orderId)}: ${(error as Error).message}${hint}`;
}
