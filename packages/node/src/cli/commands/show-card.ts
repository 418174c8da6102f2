import path from "node:path";
import { Option, type Command } from "commander";
import type { Chain } from "@skynet/contracts";
import { SkyNetError } from "@skynet/protocol";
import { checkOutput, writeOutput } from "@skynet/storage";
import type { MarketListing } from "../../market/listings.ts";
import { cardOf, readCard } from "../../roles/data-card.ts";
import { registryRelays } from "../../runtime/discovery.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { cardText } from "../card-text.ts";
import { forceOption, relayOption, relaysOf, type ConnectionOptions, type ForceOption } from "../options.ts";
import type { Ui } from "../ui.ts";

export interface CardChoice extends ForceOption, Pick<ConnectionOptions, "rpc" | "relay"> {
  readonly card?: boolean | string;
}

export const addCardOptions = (command: Command): Command =>
  command
    .addOption(relayOption())
    .addOption(new Option("--card <file>", "write the data card to this file"))
    .addOption(forceOption())
    .option("--no-card", "only what the chain says");

/** Fetches, shows and saves the card of a listing; what keeps it away is said, and is an error if a file was asked for. */
export async function showCard(
  chain: Chain,
  listing: MarketListing,
  { card: choice, relay, force: overwrite }: CardChoice,
  ui: Ui,
): Promise<{ card?: string; cardFile?: string; cardProblem?: string }> {
  if (choice === false) return {};
  const file = typeof choice === "string" ? path.resolve(choice) : undefined;
  if (file !== undefined) await checkOutput(file, { overwrite });
  if (cardOf(listing) === undefined) {
    if (file !== undefined)
      throw new SkyNetError("NoCard", "this listing has no data card", { hint: "its seller has published none" });
    return {};
  }
  ui.note("asking the seller for the data card");
  try {
    const visitor = { relays: relaysOf(chain.rpcUrl, relay), relaySources: [registryRelays(chain)] };
    const card = (await readCard(listing, { ...visitor, signal: shutdownSignal() }))!;
    if (file === undefined) ui.line(`\n${cardText(card)}`);
    else {
      await writeOutput(file, card, { overwrite });
      ui.line(`data card     ${file}`);
    }
    return { card, ...(file === undefined ? {} : { cardFile: file }) };
  } catch (error) {
    if (file !== undefined || !(error instanceof SkyNetError)) throw error;
    ui.line(`data card     not available now: ${error.message}${error.hint ? ` (${error.hint})` : ""}`);
    return { cardProblem: error.message };
  }
}
