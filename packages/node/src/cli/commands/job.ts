import type { Command } from "commander";
import type { Chain } from "@skynet/contracts";
import { actOnJob, settleJob, type JobAction } from "../../roles/job-actions.ts";
import { describeJob } from "../../roles/describe-job.ts";
import { tokenInfo } from "../../roles/token.ts";
import { watchJob } from "../../roles/watch-job.ts";
import { shutdownSignal } from "../../runtime/shutdown.ts";
import { addDownload } from "./job-download.ts";
import { findJob, openAccount, openReader } from "../account.ts";
import { confirm } from "../confirm.ts";
import { shortId } from "../format.ts";
import { addIndexOptions, type IndexChoice } from "../index-choice.ts";
import { openJobSource, type JobDetails, type JobFilter } from "../job-source.ts";
import {
  addChainOptions,
  addWalletOptions,
  withUi,
  yesOption,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";
import { addPostOptions, requesterOptions, type PostOptions } from "../post-options.ts";
import { tableText } from "../table.ts";

type JobOptions = ConnectionOptions & JsonOption & { readonly yes?: true };
type ListOptions = JobOptions & IndexChoice & JobFilter;

/** `skynet job post|list|show|watch|download|cancel|stop|accept|complain|settle`. */
export function addJob(program: Command): void {
  const job = program.command("job").description("post, list, show, follow or end jobs on the chain");
  addPost(job);
  addList(job);
  addShow(job);
  addWatch(job);
  addDownload(job);
  addAction(job, "cancel", "cancel an own job that still waits for workers; the budget returns");
  addAction(job, "stop", "end an own job after its present round, which is still paid");
  addAction(job, "accept", "accept the result of an own job: the held pay goes to the workers");
  addAction(job, "complain", "complain about the result of an own job: the held pay is burned, nobody gets it");
  withJob(job, "settle", "carry out what the end of a phase's time means, for example the refund; anybody may").action(
    (prefix: string, options: JobOptions) =>
      withUi(options, async (ui) => {
        const chain = await openAccount(options);
        const jobId = await findJob(chain, prefix);
        const done = await settleJob(chain, jobId);
        ui.line(`job ${shortId(jobId)} ${done}`);
        return { jobId, done };
      }),
  );
}

/** A subcommand that takes a job and signs with a wallet. */
const withJob = (job: Command, name: string, description: string): Command =>
  addWalletOptions(addChainOptions(job.command(name).description(description)))
    .argument("<job>", "job id, or the first digits of one")
    .addHelpText("after", `\nExample:\n  $ npx skynet job ${name} 0x3f2a`);

function addPost(job: Command): void {
  addPostOptions(
    job
      .command("post")
      .description("post a job and return; npx skynet train with the same file and wallet leads it to its end"),
  )
    .addHelpText("after", "\nExample:\n  $ npx skynet job post examples/fashion-mnist/job.yaml")
    .action((file: string, options: PostOptions) =>
      withUi(options, async (ui) => {
        // Its modules are large; the other subcommands do without them.
        const { postJob } = await import("../../roles/requester.ts");
        const { jobId } = await postJob(await requesterOptions(file, options, ui));
        ui.line(`workers can join once its data is served: npx skynet train ${file}`);
        return { jobId };
      }),
    );
}

function addList(job: Command): void {
  addIndexOptions(addChainOptions(job.command("list").description("jobs on this chain, newest last")))
    .option("--search <text>", "only those in which all these words occur, or begin")
    .option("--active", "without settled jobs")
    .addHelpText("after", "\nExample:\n  $ npx skynet job list\n  $ npx skynet job list --search mnist --active")
    .action((options: ListOptions) =>
      withUi(options, async (ui) => {
        const jobs = await (await openJobSource(options, ui)).list(options);
        if (jobs.length === 0) ui.line("there are no such jobs on this chain yet");
        else ui.line(tableText(["job", "name", "phase", ">round", ">workers", "a round pays"], jobs.map(listRow)));
        return { jobs };
      }),
    );
}

const listRow = ({ jobId, name, phase, outcome, round, rounds, workers, seats, offers }: JobDetails): string[] => [
  shortId(jobId),
  name,
  phase === "SETTLED" ? outcome : phase,
  `${round}/${rounds}`,
  `${workers.length}/${seats}`,
  offers,
];

function addShow(job: Command): void {
  addIndexOptions(addChainOptions(job.command("show").description("everything the chain says about one job")))
    .argument("<job>", "job id, or the first digits of one")
    .addHelpText("after", "\nExample:\n  $ npx skynet job show 0x3f2a")
    .action((prefix: string, options: ListOptions) =>
      withUi(options, async (ui) => {
        const details = await (await openJobSource(options, ui)).show(prefix);
        for (const [name, value] of Object.entries(details))
          ui.line(`${name.padEnd(12)} ${Array.isArray(value) ? value.join("\n".padEnd(14)) : String(value)}`);
        return details;
      }),
    );
}

function addWatch(job: Command): void {
  addChainOptions(job.command("watch").description("follow any job until it is settled; needs no wallet"))
    .argument("<job>", "job id, or the first digits of one")
    .addHelpText("after", "\nExample:\n  $ npx skynet job watch 0x3f2a")
    .action((prefix: string, options: JobOptions) =>
      withUi(options, async (ui) => {
        const signal = shutdownSignal();
        const chain = await openReader(options);
        const jobId = await findJob(chain, prefix);
        await watchJob({ chain, jobId, token: await tokenOfJob(chain, jobId), ui, signal });
        return describeJob(chain, jobId);
      }),
    );
}

const tokenOfJob = async (chain: Chain, jobId: `0x${string}`) =>
  tokenInfo(chain.rpcUrl, (await chain.job(jobId)).spec.token);

function addAction(job: Command, action: JobAction, description: string): void {
  withJob(job, action, description)
    .addOption(yesOption())
    .action((prefix: string, options: JobOptions) =>
      withUi(options, async (ui) => {
        const chain = await openAccount(options);
        const jobId = await findJob(chain, prefix);
        if (action === "complain") await confirm("Burn the held pay of this job? Nobody gets it.", options);
        const done = await actOnJob(chain, jobId, action);
        ui.line(`job ${shortId(jobId)} ${done}`);
        return { jobId, action, done };
      }),
    );
}
