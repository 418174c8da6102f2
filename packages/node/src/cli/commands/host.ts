import path from "node:path";
import type { Command } from "commander";
import { runHost } from "../../roles/host.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openConnection } from "../account.ts";
import {
  addConnectionOptions,
  addListenOptions,
  addProofOptions,
  listening,
  withUi,
  type ConnectionOptions,
  type JsonOption,
  type ListenOptions,
  type ProofOptions,
} from "../options.ts";
import { hostFolder } from "../shop.ts";

interface HostCommandOptions extends ConnectionOptions, JsonOption, ListenOptions, ProofOptions {
  readonly data: string;
  readonly deliverLate?: true;
}

/** `skynet host`: serves what this wallet sells, delivers keys, answers requests and collects the pay. */
export function addHost(program: Command): void {
  const command = program
    .command("host")
    .description("serve what this wallet sells: deliver keys, answer with proofs, collect the pay")
    .option("--data <folder>", "folder of skynet data add, model add and model offer", hostFolder())
    .option("--deliver-late", "deliver keys although the buyer may cancel, and could then have key and money");
  addListenOptions(command);
  addProofOptions(command);
  addConnectionOptions(command)
    .addHelpText("after", "\nExample:\n  $ npx skynet host --keystore seller.json")
    .action((options: HostCommandOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        await runHost({
          ...(await openConnection(options, "Passphrase of the seller's wallet")),
          dataDir: path.resolve(options.data),
          ...listening(options),
          threads: options.threads,
          referenceString: options.srs,
          deliverLate: options.deliverLate ?? false,
          ui,
          signal,
        });
      }),
    );
}
