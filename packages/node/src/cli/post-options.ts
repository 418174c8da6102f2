// What `train` and `job post` have in common.
import path from "node:path";
import type { Command } from "commander";
import type { Hex } from "@skynet/protocol";
import { readJobFile } from "../job-file.ts";
import type { RequesterOptions } from "../roles/requester.ts";
import { shutdownSignal } from "../runtime/shutdown.ts";
import { openConnection } from "./account.ts";
import { confirm } from "./confirm.ts";
import {
  addConnectionOptions,
  addListenOptions,
  addProofOptions,
  addUrlOptions,
  fromOption,
  homeDir,
  listening,
  noZkOption,
  withZk,
  yesOption,
  type ConnectionOptions,
  type JsonOption,
  type ListenOptions,
  type ProofOptions,
  type UrlOptions,
} from "./options.ts";
import type { Ui } from "./ui.ts";

export interface PostOptions extends ConnectionOptions, JsonOption, ListenOptions, ProofOptions, UrlOptions {
  readonly data: string;
  readonly zk: boolean;
  readonly yes?: true;
  readonly from?: readonly Hex[];
}

export function addPostOptions(command: Command): Command {
  command
    .argument("<job>", "job file, such as examples/fashion-mnist/job.yaml")
    .option("--data <folder>", "folder for the job's files and results", path.join(homeDir(), "requester"))
    .addOption(fromOption())
    .addOption(noZkOption())
    .addOption(yesOption());
  addUrlOptions(command);
  return addConnectionOptions(addProofOptions(addListenOptions(command)));
}

/** The requester's node for a job file. @throws as `readJobFile` and `openConnection` do */
export async function requesterOptions(file: string, options: PostOptions, ui: Ui): Promise<RequesterOptions> {
  const signal = shutdownSignal();
  const job = withZk(await readJobFile(file), options.zk);
  return {
    job,
    ...(await openConnection(options, "Passphrase of the requester's wallet")),
    dataDir: path.resolve(options.data),
    ...listening(options),
    threads: options.threads,
    referenceString: options.srs,
    from: options.from,
    allowPrivate: options.allowPrivate,
    refresh: options.refresh,
    confirm: (question) => confirm(question, options),
    ui,
    signal,
  };
}
