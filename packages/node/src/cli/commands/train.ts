import path from "node:path";
import type { Command } from "commander";
import { readJobFile } from "../../job-file.ts";
import { runRequester } from "../../roles/requester.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { openKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { confirm } from "../confirm.ts";
import {
  addConnectionOptions,
  addProofOptions,
  homeDir,
  noZkOption,
  resolveConnection,
  showEnd,
  withUi,
  withZk,
  yesOption,
  type ConnectionOptions,
  type JsonOption,
  type ProofOptions,
} from "../options.ts";

interface TrainOptions extends ConnectionOptions, JsonOption, ProofOptions {
  readonly data: string;
  readonly listen: string;
  readonly zk: boolean;
  readonly yes?: true;
}

/** `skynet train JOB.yaml`: posts a job and leads it to its end; run again, it resumes an unfinished one. */
export function addTrain(program: Command): void {
  const command = program
    .command("train")
    .description("post a training job, follow it to its end and fetch the model; run again to resume an unfinished job")
    .argument("<job>", "job file, such as examples/fashion-mnist/job.yaml")
    .option("--data <folder>", "folder for the job's files and results", path.join(homeDir(), "requester"))
    .option("--listen <multiaddr>", "address to listen on", "/ip4/127.0.0.1/tcp/0")
    .addOption(noZkOption())
    .addOption(yesOption());
  addProofOptions(command);
  addConnectionOptions(command)
    .addHelpText(
      "after",
      "\nExample:\n  $ npx skynet devnet                                # in another terminal\n  $ npx skynet train examples/fashion-mnist/job.yaml",
    )
    .action((file: string, options: TrainOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        const job = withZk(await readJobFile(file), options.zk);
        const connection = resolveConnection(options);
        const privateKey = await openKeystore(
          connection.keystore,
          await readPassphrase(connection, "Passphrase of the requester's wallet"),
        );
        const summary = await runRequester({
          job,
          rpcUrl: connection.rpcUrl,
          relays: connection.relays,
          privateKey,
          dataDir: path.resolve(options.data),
          listen: [options.listen],
          threads: options.threads,
          referenceString: options.srs,
          confirm: (question) => confirm(question, options),
          ui,
          signal,
        });
        return showEnd(ui, summary);
      }),
    );
}
