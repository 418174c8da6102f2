import path from "node:path";
import { type Command, Option } from "commander";
import { startIndexer } from "@skynet/indexer";
import { deploymentBlock } from "../../runtime/address-book.ts";
import { lockFolder } from "../../runtime/lock.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { addChainOptions, homeDir, integer, resolveRpc, withUi, type JsonOption } from "../options.ts";

interface IndexOptions extends JsonOption {
  readonly rpc?: string;
  readonly data: string;
  readonly listen: string;
  readonly port: number;
  readonly rate: number;
  readonly firstBlock?: number;
  readonly rebuild?: true;
}

const DEFAULT_PORT = 8650;
const CATCHING_UP = "Reading the chain";

/** `skynet index`: follows the contracts and answers searches. */
export function addIndex(program: Command): void {
  addChainOptions(
    program.command("index").description("follow the contracts on a chain, and answer lists and searches over HTTP"),
  )
    .option("--data <folder>", "folder of the index", path.join(homeDir(), "index"))
    .option("--listen <address>", "address to listen on; others than 127.0.0.1 serve other machines", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 takes a free one", integer(0, 65_535), DEFAULT_PORT)
    .option("--rate <n>", "requests per second that one address may send", integer(1, 10_000), 50)
    .addOption(
      new Option(
        "--first-block <n>",
        "block of the contracts' deployment: saves time on old chains (default: as skynet deploy has noted it)",
      ).argParser(integer(0, Number.MAX_SAFE_INTEGER)),
    )
    .option("--rebuild", "begin with an empty index; everything in it comes from the chain")
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet index --rpc http://127.0.0.1:8545\n  $ curl 'http://127.0.0.1:8650/v1/jobs?q=mnist&active=true'   # in another terminal",
    )
    .action((options: IndexOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        const rpcUrl = resolveRpc(options);
        const dataDir = path.resolve(options.data);
        const unlock = lockFolder(dataDir);
        try {
          const { listen, port, rate: perSecond, rebuild = false } = options;
          const named = options.firstBlock;
          const firstBlock = named === undefined ? deploymentBlock : () => Promise.resolve(BigInt(named));
          const settings = { rpcUrl, dataDir, listen, port, perSecond, firstBlock, rebuild, signal };
          const indexer = await startIndexer({
            ...settings,
            onProgress: (done, total) => ui.progress(CATCHING_UP, done, total),
            onNotice: (text) => {
              ui.event("notice", { text });
              ui.line(text);
            },
          });
          ui.event("listening", { url: indexer.url });
          ui.line(`index ready; other commands use it with --index ${indexer.url}, or SKYNET_INDEX`);
          void indexer.caughtUp.then(
            () => ui.event("ready", { url: indexer.url }),
            () => undefined,
          );
          await indexer.done;
          ui.line("index stopped");
        } finally {
          unlock();
        }
      }),
    );
}
