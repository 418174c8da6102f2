import path from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import type { Hex } from "@skynet/protocol";
import { startRelay, type RelaySponsoring } from "../../roles/relay.ts";
import { parseBootstrap } from "../../runtime/bootstrap.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { bootstrapOption, homeDir, integer, jsonOption, resolveRpc, withUi, type JsonOption } from "../options.ts";

interface RelayOptions extends JsonOption {
  readonly keystore: string;
  readonly passphraseFile?: string;
  readonly listen: string;
  readonly data: string;
  readonly sponsor?: true;
  readonly relay?: string[];
  readonly bootstrap?: string;
  readonly register?: true;
  readonly rpc?: string;
  readonly sponsorJob: Hex[];
  readonly sponsorBudget: number;
  readonly sponsorWorkerBudget: number;
}

const MILLION = 1_000_000n;

function jobId(text: string, before: Hex[] = []): Hex[] {
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) throw new InvalidArgumentError("the id of a job is needed: 0x and 64 digits");
  return [...before, text.toLowerCase() as Hex];
}

/** @throws SkyNetError `NoConnection` */
function sponsoringOf(options: RelayOptions): RelaySponsoring | undefined {
  if (!options.sponsor) return undefined;
  const dayGas = BigInt(options.sponsorBudget) * MILLION;
  const limits = { dayGas, jobGas: dayGas, workerGas: BigInt(options.sponsorWorkerBudget) * MILLION };
  return { rpcUrl: resolveRpc(options), jobs: options.sponsorJob, limits };
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
    .addOption(
      new Option("--relay <multiaddr>", "another relay to stay connected to, may be repeated").argParser(
        (text: string, before: string[] = []) => [...before, text],
      ),
    )
    .addOption(bootstrapOption())
    .option(
      "--register",
      "be on the chain's list of relays while this one runs, so that nodes find it; locks 0.01 ether; needs --rpc",
    )
    .option("--sponsor", "pay the gas of workers without ether, from this relay's wallet; needs --rpc")
    .addOption(
      new Option("--rpc <url>", "chain to pay and to register on (default: the devnet that runs here)").env(
        "SKYNET_RPC",
      ),
    )
    .addOption(
      new Option("--sponsor-job <id>", "pay only for this job, may be repeated (default: all)")
        .argParser(jobId)
        .default([], "all"),
    )
    .option("--sponsor-budget <Mgas>", "most gas to pay in a day, in millions", integer(1, 1_000_000), 200)
    .option(
      "--sponsor-worker-budget <Mgas>",
      "most gas to pay for one worker in one job and day",
      integer(1, 1_000_000),
      40,
    )
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  $ npx skynet relay --listen /ip4/127.0.0.1/tcp/60000 --keystore relay.json")
    .action((options: RelayOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        const privateKey = await openKeystore(
          options.keystore,
          await readPassphrase(options, "Passphrase of the relay's wallet"),
        );
        const relay = await startRelay({
          privateKey,
          listen: [options.listen],
          dataDir: path.resolve(options.data),
          sponsor: sponsoringOf(options),
          relays: options.relay,
          bootstrap: options.bootstrap === undefined ? undefined : parseBootstrap(options.bootstrap),
          register: options.register ? resolveRpc(options) : undefined,
        });
        const multiaddrs = relay.host.multiaddrs();
        ui.event("listening", { multiaddrs });
        ui.line(`relay ready; connect other nodes with\n  --relay ${multiaddrs[0]}`);
        if (options.register) ui.line("it is on the chain's list of relays until it stops");
        if (relay.sponsor) ui.line(`it pays gas for workers, from ${relay.host.identity.address}`);
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await relay.stop();
        ui.line("relay stopped");
      }),
    );
}
