import path from "node:path";
import type { Command } from "commander";
import { runHost } from "../../roles/host.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openConnection } from "../account.ts";
import {
  addConnectionOptions,
  addProofOptions,
  withUi,
  type ConnectionOptions,
  type JsonOption,
  type ProofOptions,
} from "../options.ts";
import { hostFolder } from "../shop.ts";

interface HostCommandOptions extends ConnectionOptions, JsonOption, ProofOptions {
  readonly data: string;
  readonly listen: string;
  readonly deliverLate?: true;
}

/** `skynet host`: serves what this wallet sells, delivers keys, answers requests and collects the pay. */
export function addHost(program: Command): void {
  const command = program
    .command("host")
    .description("serve what this wallet sells: deliver keys, answer with proofs, collect the pay")
    .option("--data <folder>", "folder of skynet data add, model add and model offer", hostFolder())
    .option("--listen <multiaddr>", "address to listen on", "/ip4/127.0.0.1/tcp/0")
    .option("--deliver-late", "deliver keys although the buyer may cancel, and could then have key and money");
  addProofOptions(command);
  addConnectionOptions(command)
    .addHelpText("after", "\nExample:\n  $ npx skynet host --keystore seller.json")
    .action((options: HostCommandOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        await runHost({
          ...(await openConnection(options, "Passphrase of the seller's wallet")),
          dataDir: path.resolve(options.data),
          listen: [options.listen],
          threads: options.threads,
          referenceString: options.srs,
          deliverLate: options.deliverLate ?? false,
          ui,
          signal,
        });
      }),
    );
}
