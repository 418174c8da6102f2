import path from "node:path";
import type { Command } from "commander";
import { addWorkerAccount } from "./worker-account.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openConnection } from "../account.ts";
import {
  addConnectionOptions,
  addListenOptions,
  addProofOptions,
  homeDir,
  listening,
  tokens,
  withUi,
  type ConnectionOptions,
  type JsonOption,
  type ListenOptions,
  type ProofOptions,
} from "../options.ts";

interface WorkerOptions extends ConnectionOptions, JsonOption, ListenOptions, ProofOptions {
  readonly data: string;
  readonly minPrice: string;
  readonly maxStake: string;
  readonly gpu?: string;
  readonly region?: string;
  readonly once?: true;
  readonly sponsor?: boolean;
  readonly withdraw?: true;
}

/** `skynet worker`: lends this machine; takes the jobs that fit, trains, is paid. Its subcommands see to the account. */
export function addWorker(program: Command): void {
  const command = program
    .command("worker")
    .description(
      "lend this machine: join jobs that fit, train, and be paid for every round; or see to the worker's account",
    )
    .option("--data <folder>", "folder for blocks, weights and the log", path.join(homeDir(), "worker"))
    .option("--min-price <tokens>", "least pay for one round", tokens, "0")
    .option("--max-stake <tokens>", "most stake to lock in one job", tokens, "1000")
    .option("--gpu <name>", "graphics processor that jobs may count on; published, as memory and cores are")
    .option("--region <name>", "where this machine is, such as eu; published")
    .option("--once", "end after one job")
    .option(
      "--sponsor",
      "let sponsors pay the gas where one does (default: when the wallet is empty or the job says so)",
    )
    .option("--no-sponsor", "pay all gas from the own wallet")
    .option("--withdraw", "after each job, send the pay from the Ledger to the payout address");
  addListenOptions(command);
  addWorkerAccount(command);
  addProofOptions(command);
  addConnectionOptions(command)
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet worker --rpc http://127.0.0.1:8545 --relay /ip4/127.0.0.1/tcp/60000/p2p/16Uiu2... --keystore worker.json",
    )
    .action((options: WorkerOptions) =>
      withUi(options, async (ui) => {
        // Its modules are large; the subcommands do without them.
        const { measureCapabilities } = await import("../../roles/capabilities.ts");
        const { runWorker } = await import("../../roles/worker.ts");
        const capabilities = measureCapabilities(options);
        const signal = shutdownSignal();
        await runWorker({
          ...(await openConnection(options, "Passphrase of the worker's wallet")),
          dataDir: path.resolve(options.data),
          ...listening(options),
          threads: options.threads,
          referenceString: options.srs,
          capabilities,
          minPrice: options.minPrice,
          maxStake: options.maxStake,
          once: options.once ?? false,
          gas: options.sponsor === undefined ? "auto" : options.sponsor ? "sponsor" : "own",
          withdraw: options.withdraw ?? false,
          ui,
          signal,
        });
      }),
    );
}
