import fs from "node:fs/promises";
import path from "node:path";
import { Option, type Command } from "commander";
import { startDevnet } from "../../devnet/devnet.ts";
import { readJobFile, type JobFile } from "../../job-file.ts";
import { runRequester } from "../../roles/requester.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { homeDir, integer, jsonOption, noZkOption, showEnd, withUi, withZk, type JsonOption } from "../options.ts";

interface StartOptions extends JsonOption {
  readonly workers?: number;
  readonly rounds?: number;
  readonly prove?: string;
  readonly stay?: true;
  readonly zk: boolean;
  readonly job: string;
}

/** The copies of the data, 250 MB, are of no use once the job is over; report, model, chain and logs stay. */
async function removeBlocks(runDir: string): Promise<void> {
  for (const entry of await fs.readdir(runDir, { withFileTypes: true }))
    if (entry.isDirectory()) await fs.rm(path.join(runDir, entry.name, "blocks"), { recursive: true, force: true });
}

/** Every step of two short rounds is drawn and proven: as many audited segments as there are steps. */
function provingAll(job: JobFile): JobFile {
  const localSteps = 8;
  return {
    ...job,
    training: { ...job.training, localSteps, rounds: 2 },
    verification: { ...job.verification, mode: "proof", segment: 1, auditSegments: localSteps, auditPercent: 100 },
  };
}

const exampleJob = path.join(
  import.meta.dirname,
  "..",
  "..",
  "..",
  "..",
  "..",
  "examples",
  "fashion-mnist",
  "job.yaml",
);

/** `skynet start` (`npm start`): the whole path once, on this machine, with its own network in a new folder. */
export function addStart(program: Command): void {
  program
    .command("start")
    .description("train the example on this machine from start to end: chain, relay, workers, payment (npm start)")
    .option("--workers <n>", "number of workers (default: as in the job file)", integer(1, 32))
    .option("--rounds <n>", "number of rounds (default: as in the job file)", integer(1, 1024))
    .addOption(
      new Option("--prove <which>", "all: a shorter run (2 rounds of 8 steps) in which every step is proven").choices([
        "all",
      ]),
    )
    .option("--stay", "keep the network running afterwards, until Ctrl-C")
    .addOption(noZkOption())
    .option("--job <file>", "job file", exampleJob)
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  $ npm start -- --workers 4 --rounds 4 --json summary.json")
    .action((options: StartOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        const file = withZk(await readJobFile(options.job), options.zk);
        const count = options.workers ?? file.workers.count;
        const minimum = Math.min(file.workers.minimum ?? count, count);
        const chosen = options.prove === "all" ? provingAll(file) : file;
        const job = {
          ...chosen,
          workers: { ...file.workers, count, minimum },
          training: { ...chosen.training, rounds: options.rounds ?? chosen.training.rounds },
        };
        const runDir = path.join(homeDir(), "runs", new Date().toISOString().slice(0, 19).replaceAll(":", "-"));
        let complete = false;
        const devnet = await startDevnet({ dataDir: runDir, workers: count, ui, signal });
        try {
          const summary = await runRequester({
            job,
            rpcUrl: devnet.rpcUrl,
            relays: [devnet.relay],
            privateKey: await devnet.requesterKey(),
            dataDir: path.join(runDir, "requester"),
            listen: ["/ip4/127.0.0.1/tcp/0"],
            resultDir: runDir,
            cacheDir: path.join(homeDir(), "cache"),
            ui,
            signal,
          });
          const result = showEnd(ui, summary);
          if (options.stay) {
            const { keystore, passphraseFile } = devnet.requester;
            ui.line(
              `\nThe network stays until Ctrl-C. Other commands reach it with\n  --rpc ${devnet.rpcUrl} --relay ${devnet.relay} --keystore ${keystore} --passphrase-file ${passphraseFile}`,
            );
            await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          }
          complete = !options.stay;
          return result;
        } finally {
          await devnet.stop();
          if (complete) await removeBlocks(runDir);
        }
      }),
    );
}
