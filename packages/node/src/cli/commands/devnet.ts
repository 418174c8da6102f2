import type { Command } from "commander";
import { startDevnet } from "../../devnet/devnet.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { devnetDir, integer, jsonOption, withUi, type JsonOption } from "../options.ts";

interface DevnetOptions extends JsonOption {
  readonly workers: number;
  readonly data: string;
  readonly port?: number;
  readonly index: boolean;
}

/** `skynet devnet`: chain, contracts, relay and workers on this machine. */
export function addDevnet(program: Command): void {
  program
    .command("devnet")
    .description("run a network on this machine: a local chain with the contracts, a relay and workers")
    .option("--workers <n>", "number of workers", integer(0, 32), 4)
    .option("--data <folder>", "folder of the chain and the nodes; an existing one is continued", devnetDir())
    .option("--no-index", "do without the index that answers lists and searches")
    .option("--port <n>", "port of the chain's RPC (default: a free one)", integer(1, 65_535))
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet devnet --workers 4\n  $ npx skynet train examples/fashion-mnist/job.yaml   # in another terminal",
    )
    .action((options: DevnetOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        const devnet = await startDevnet({
          dataDir: options.data,
          workers: options.workers,
          index: options.index,
          port: options.port,
          ui,
          signal,
        });
        const { rpcUrl, relay, metrics, index, requester } = devnet;
        ui.event("ready", { rpcUrl, relay, metrics, index, requester });
        ui.line(
          `\ndevnet ready: chain ${rpcUrl}, relay ${relay} (metrics ${metrics}/metrics)${index === undefined ? "" : `, index ${index}`}\nrun a job in another terminal: npx skynet train examples/fashion-mnist/job.yaml\nstop with Ctrl-C; the chain and the wallets stay in ${options.data}`,
        );
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        ui.line("stopping ...");
        await devnet.stop();
      }),
    );
}
