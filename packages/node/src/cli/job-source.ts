import type { Chain } from "@skynet/contracts";
import type { IndexClient, IndexedJob } from "@skynet/indexer";
import { InvalidInputError } from "@skynet/protocol";
import { describeJob } from "../roles/describe-job.ts";
import { findJob, openReader } from "./account.ts";
import { formatAmount, isId } from "./format.ts";
import { allEntries, chooseIndex, matches, type IndexChoice } from "./index-choice.ts";
import type { Ui } from "./ui.ts";

export type JobDetails = Awaited<ReturnType<typeof describeJob>>;

export interface JobFilter {
  readonly search?: string;
  /** Without settled jobs. */
  readonly active?: true;
}

/** Where lists of jobs come from. Both say the same; an index is quicker, and has to be believed. */
export interface JobSource {
  /** Oldest first. */
  list(filter: JobFilter): Promise<JobDetails[]>;
  /** @throws InvalidInputError `NoSuchJob` unless exactly one id begins so */
  show(prefix: string): Promise<JobDetails>;
}

/** The index that is configured, else the chain. */
export async function openJobSource(options: IndexChoice, ui: Ui): Promise<JobSource> {
  const index = await chooseIndex(options, ui);
  return index === undefined ? chainSource(await openReader(options)) : indexSource(index);
}

function chainSource(chain: Chain): JobSource {
  return {
    list: async ({ search, active }) => {
      const jobs: JobDetails[] = [];
      for (const jobId of await chain.jobIds()) {
        const job = await describeJob(chain, jobId);
        if (active && job.phase === "SETTLED") continue;
        if (matches(search, job.jobId, job.name, job.requester)) jobs.push(job);
      }
      return jobs;
    },
    show: async (prefix) => describeJob(chain, await findJob(chain, prefix)),
  };
}

function indexSource(index: IndexClient): JobSource {
  return {
    list: async ({ search, active }) => {
      const jobs = await allEntries(index.jobs, {
        ...(search === undefined ? {} : { q: search }),
        ...(active === undefined ? {} : { active }),
      });
      return jobs.map(detailsOf);
    },
    show: async (prefix) => {
      const [head = ""] = prefix.split("…");
      const valid = /^0x[0-9a-f]{0,64}$/i.test(head);
      const page = valid ? await index.jobs({ prefix: head, limit: 200 }) : { items: [] };
      const items = page.items.filter(({ id }) => isId(id, prefix));
      if (items.length === 1) return detailsOf(items[0]!);
      const message = items.length === 0 ? `the index has no job ${prefix}` : `several jobs begin with ${prefix}`;
      throw new InvalidInputError("NoSuchJob", message, { hint: "npx skynet job list shows the ids" });
    },
  };
}

/** An indexed job in the words of the chain's description. */
function detailsOf(job: IndexedJob): JobDetails {
  const { symbol, decimals, address } = job.token;
  const token = { symbol: symbol ?? `units of ${address}`, decimals: decimals ?? 0 };
  const amount = (value: bigint) => formatAmount(value, token);
  const [from, to] = [amount(job.priceMin), amount(job.priceMax)];
  const details = {
    jobId: job.id,
    name: job.name ?? "(metadata not readable)",
    requester: job.requester,
    phase: job.phase,
    outcome: job.outcome,
    round: job.round,
    rounds: job.rounds,
    seats: job.seats,
    workers: job.workers,
    offers: from === to ? to : `${from} rising to ${to}`,
    price: amount(job.price),
    stake: amount(job.stake),
    budget: amount(job.budget),
    paid: amount(job.paid),
    refunded: amount(job.refunded),
    burned: amount(job.burned),
    modelId: job.modelId,
    verification:
      job.mode === "proof" ? `proof, ${job.zeroKnowledge ? "" : "not "}zero-knowledge` : "quorum of signatures",
  };
  return details;
}
