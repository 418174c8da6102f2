import path from "node:path";
import type { Command } from "commander";
import { startRelay } from "../../roles/relay.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { homeDir, jsonOption, withUi, type JsonOption } from "../options.ts";

interface RelayOptions extends JsonOption {
  readonly keystore: string;
  readonly passphraseFile?: string;
  readonly listen: string;
  readonly data: string;
}

/** `skynet relay`: a node that carries the others' messages; it cannot read those of a job. */
export function addRelay(program: Command): void {
  program
    .command("relay")
    .description("run a relay node: it carries messages between nodes and reads none of a job's")
    .option("--listen <multiaddr>", "address to listen on", "/ip4/127.0.0.1/tcp/0")
    .option("--keystore <file>", "wallet of the relay", path.join(homeDir(), "wallet.json"))
    .option(
      "--passphrase-file <file>",
      "file with the wallet's passphrase (default: SKYNET_PASSPHRASE, else asked for)",
    )
    .option("--data <folder>", "folder for the log", path.join(homeDir(), "relay"))
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  $ npx skynet relay --listen /ip4/127.0.0.1/tcp/60000 --keystore relay.json")
    .action((options: RelayOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        const privateKey = await openKeystore(
          options.keystore,
          await readPassphrase(options, "Passphrase of the relay's wallet"),
        );
        const relay = await startRelay({ privateKey, listen: [options.listen], dataDir: path.resolve(options.data) });
        ui.event("listening", { multiaddrs: relay.multiaddrs() });
        ui.line(`relay ready; connect other nodes with\n  --relay ${relay.multiaddrs()[0]}`);
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await relay.stop();
        ui.line("relay stopped");
      }),
    );
}
