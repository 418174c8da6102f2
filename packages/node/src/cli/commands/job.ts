import type { Command } from "commander";
import type { Chain } from "@skynet/contracts";
import { createChain } from "@skynet/contracts";
import { InvalidInputError, JobMode, JobOutcome, JobPhase, toHex, type Hex } from "@skynet/protocol";
import { decodeMetadata, nameOf } from "@skynet/swarm";
import { tokenInfo } from "../../roles/token.ts";
import { openKeystore } from "../../wallet/keystore.ts";
import { readPassphrase } from "../../wallet/passphrase.ts";
import { formatAmount, shortId } from "../format.ts";
import { addIndexOptions, type IndexChoice } from "../index-choice.ts";
import { openJobSource, type JobFilter } from "../job-source.ts";
import {
  addChainOptions,
  addWalletOptions,
  resolveRpc,
  resolveWallet,
  withUi,
  type ConnectionOptions,
  type JsonOption,
} from "../options.ts";

type JobOptions = ConnectionOptions & JsonOption;
type ListOptions = JobOptions & IndexChoice & JobFilter;

/** Any key can read; reading needs no wallet. */
const READER_KEY: Hex = `0x${"01".repeat(32)}`;

/** `skynet job list|show|cancel`. */
export function addJob(program: Command): void {
  const job = program.command("job").description("list, show or cancel jobs on the chain");
  addIndexOptions(addChainOptions(job.command("list").description("jobs on this chain, newest last")))
    .option("--search <text>", "only those in which all these words occur, or begin")
    .option("--active", "without settled jobs")
    .addHelpText("after", "\nExample:\n  $ npx skynet job list\n  $ npx skynet job list --search mnist --active")
    .action((options: ListOptions) =>
      withUi(options, async (ui) => {
        const jobs = await (await openJobSource(options, ui)).list(options);
        if (jobs.length === 0) ui.line("there are no such jobs on this chain yet");
        for (const { jobId, name, phase, round, rounds, workers, seats } of jobs)
          ui.line(
            `${shortId(jobId)}  ${name.padEnd(20)} ${phase.padEnd(10)} round ${round}/${rounds}  workers ${workers.length}/${seats}`,
          );
        return { jobs };
      }),
    );
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
  addWalletOptions(
    addChainOptions(job.command("cancel").description("cancel an own job that is still open; the budget returns")),
  )
    .argument("<job>", "job id, or the first digits of one")
    .addHelpText("after", "\nExample:\n  $ npx skynet job cancel 0x3f2a")
    .action((prefix: string, options: JobOptions) =>
      withUi(options, async (ui) => {
        const wallet = resolveWallet(options);
        const privateKey = await openKeystore(wallet.keystore, await readPassphrase(wallet, "Passphrase"));
        const chain = await createChain({ rpcUrl: resolveRpc(options), privateKey: toHex(privateKey) });
        await chain.assertDeployed();
        const jobId = await findJob(chain, prefix);
        await chain.cancel(jobId);
        ui.line(
          `cancelled ${shortId(jobId)}; the budget is back in the Ledger (npx skynet wallet withdraw fetches it)`,
        );
        return { jobId, cancelled: true };
      }),
    );
}

export async function openReader(options: JobOptions): Promise<Chain> {
  const chain = await createChain({ rpcUrl: resolveRpc(options), privateKey: READER_KEY });
  await chain.assertDeployed();
  return chain;
}

export async function findJob(chain: Chain, prefix: string): Promise<Hex> {
  const matches = (await chain.jobIds()).filter((jobId) => jobId.startsWith(prefix.toLowerCase()));
  if (matches.length === 1) return matches[0]!;
  throw new InvalidInputError(
    "NoSuchJob",
    matches.length === 0 ? `there is no job ${prefix} on this chain` : `${matches.length} jobs begin with ${prefix}`,
    { hint: "npx skynet job list shows the ids" },
  );
}

export async function describeJob(chain: Chain, jobId: Hex) {
  const { spec, state, modelId } = await chain.job(jobId);
  const token = await tokenInfo(chain.rpcUrl, spec.token);
  const money = await chain.money(jobId);
  const { name, zk } = await readMetadata(chain, jobId);
  return {
    jobId,
    name,
    requester: spec.requester,
    phase: nameOf(JobPhase, state.phase),
    outcome: nameOf(JobOutcome, state.outcome),
    round: state.round,
    rounds: spec.rounds,
    seats: spec.seats,
    workers: state.workers,
    price: formatAmount(state.price, token),
    budget: formatAmount(money.budget, token),
    paid: formatAmount(money.paid, token),
    refunded: formatAmount(money.refunded, token),
    burned: formatAmount(money.burned, token),
    modelId,
    verification: spec.mode === JobMode.PROOF ? `proof, ${zk ? "" : "not "}zero-knowledge` : "quorum of signatures",
  };
}

/** Metadata comes from strangers: a malformed one must not hide the job. */
async function readMetadata(chain: Chain, jobId: Hex): Promise<{ name: string; zk: boolean }> {
  try {
    const { name, circuit } = decodeMetadata(await chain.meta(jobId));
    return { name, zk: circuit?.hiding !== false };
  } catch {
    return { name: "(metadata not readable)", zk: false };
  }
}
